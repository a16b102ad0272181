package servehttp

import (
	"cmp"
	"net/http"
	"strconv"

	"github.com/mlloop/mlloop/serve"
)

// infer answers an inference request.
func (h *Handler) infer(w http.ResponseWriter, r *http.Request, t target) error {
	body := h.bodies.get()
	defer h.bodies.put(body)
	if err := h.read(w, r, body); err != nil {
		return err
	}
	header, tensors, err := split(r, body.Bytes())
	if err != nil {
		return err
	}
	q := h.requests.get()
	defer h.requests.put(q)
	if err := q.decode(header, tensors); err != nil {
		return err
	}
	resp, err := h.srv.Predict(r.Context(), t.model, serve.Request{
		ID: q.id, Key: cmp.Or(q.key, r.Header.Get(KeyHeader)), Version: t.version, Inputs: q.inputs, Outputs: q.names,
		TraceID: traceID(r),
	})
	if err != nil {
		return err
	}
	out := h.bodies.get()
	defer h.bodies.put(out)
	encoded, jsonSize, err := q.encode(out.AvailableBuffer(), &resp)
	if err != nil {
		return err
	}
	out.Write(encoded) // keeps what encode has grown for the next request
	contentType := "application/json"
	if jsonSize >= 0 {
		contentType = "application/octet-stream"
		w.Header().Set(headerSize, strconv.Itoa(jsonSize))
	}
	write(w, http.StatusOK, contentType, encoded)
	return nil
}
