package servehttp

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/mlloop/mlloop/internal/fault"
)

// codeError is an error with a status that no kind has.
type codeError struct {
	code int
	err  error
}

func (e *codeError) Error() string { return e.err.Error() }
func (e *codeError) Unwrap() error { return e.err }

// status returns the HTTP status of an error: the one place where kinds meet
// the wire. It is the table that Triton and KServe agree on where they do.
func status(err error) int {
	var tooLarge *http.MaxBytesError
	var coded *codeError
	switch {
	case errors.As(err, &coded):
		return coded.code
	case errors.As(err, &tooLarge):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, context.DeadlineExceeded):
		return http.StatusGatewayTimeout
	case errors.Is(err, context.Canceled): // the client is gone: nobody reads it
		return http.StatusServiceUnavailable
	}
	switch fault.Kind(err) {
	case fault.Invalid:
		return http.StatusBadRequest
	case fault.Denied:
		return http.StatusForbidden
	case fault.NotFound:
		return http.StatusNotFound
	case fault.AlreadyExists, fault.Conflict:
		return http.StatusConflict
	case fault.Unsupported:
		return http.StatusNotImplemented
	case fault.Unavailable, fault.Closed:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// fail answers with an error, as {"error": text}.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	code := status(err)
	if code == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	level := slog.LevelDebug
	if code == http.StatusInternalServerError {
		level = slog.LevelError
	}
	h.opts.Logger.Log(r.Context(), level, "servehttp: request failed", "method", r.Method, "path", r.URL.Path, "status", code, "error", err)
	refuse(w, code, err.Error())
}

// refuse answers with a status and a text.
func refuse(w http.ResponseWriter, code int, text string) {
	body := append(appendString([]byte(`{"error":`), text), '}')
	write(w, code, "application/json", body)
}

// write sends a whole answer.
func write(w http.ResponseWriter, code int, contentType string, body []byte) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(code)
	_, _ = w.Write(body) // a client that is gone cannot be told
}
