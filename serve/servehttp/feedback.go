package servehttp

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train/frame"
)

// labelJSON is one label on the wire.
type labelJSON struct {
	ID     string `json:"id"`
	Index  int    `json:"index"`  // of the row within the request
	Output string `json:"output"` // that it is the truth of; "": label
	Value  any    `json:"value"`
}

// feedbackJSON is either a list of labels or one label.
type feedbackJSON struct {
	Labels *[]labelJSON `json:"labels"`
	labelJSON
}

// reportJSON is what became of the labels.
type reportJSON struct {
	Error     string        `json:"error,omitempty"`
	Accepted  int           `json:"accepted"` // are stored now as they were sent
	Corrected int           `json:"corrected,omitempty"`
	Unchanged int           `json:"unchanged,omitempty"`
	Unknown   []problemJSON `json:"unknown,omitempty"`
	Refused   []problemJSON `json:"refused,omitempty"`
}

type problemJSON struct {
	ID     string `json:"id"`
	Index  int    `json:"index"`
	Reason string `json:"reason"`
}

func problems(list []serve.LabelProblem) []problemJSON {
	var out []problemJSON
	for _, p := range list {
		out = append(out, problemJSON(p))
	}
	return out
}

// feedback takes labels by prediction id. When none of them could be stored the
// status says so: 404 when all ids are unknown, else 400.
func (h *Handler) feedback(w http.ResponseWriter, r *http.Request, t target) error {
	body := h.bodies.get()
	defer h.bodies.put(body)
	if err := h.read(w, r, body); err != nil {
		return err
	}
	labels, err := decodeFeedback(body.Bytes())
	if err != nil {
		return err
	}
	report, err := h.srv.Label(r.Context(), t.model, labels)
	if err != nil {
		return err
	}
	out := reportJSON{
		Accepted: report.Stored + report.Corrected + report.Unchanged, Corrected: report.Corrected, Unchanged: report.Unchanged,
		Unknown: problems(report.Unknown), Refused: problems(report.Refused),
	}
	code := http.StatusOK
	switch {
	case out.Accepted > 0 || len(labels) == 0:
	case len(out.Refused) > 0:
		code, out.Error = http.StatusBadRequest, "no label is stored: see refused and unknown for each one's reason"
	default:
		code, out.Error = http.StatusNotFound, "no label is stored: see unknown for each one's reason"
	}
	encoded, err := json.Marshal(out)
	if err != nil {
		return err
	}
	write(w, code, "application/json", encoded)
	return nil
}

func decodeFeedback(body []byte) ([]serve.LabelInput, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber() // 64-bit integers stay whole
	var f feedbackJSON
	err := d.Decode(&f)
	if err == nil {
		if _, end := d.Token(); end != io.EOF {
			err = fault.Errorf(fault.Invalid, "something follows the object")
		}
	}
	if err != nil {
		return nil, fault.Errorf(fault.Invalid, `the body is not the JSON of labels, {"labels":[{"id":…,"value":…}, …]}: %w`, err)
	}
	list := []labelJSON{f.labelJSON}
	if f.Labels != nil {
		if list = *f.Labels; f.labelJSON != (labelJSON{}) {
			return nil, fault.Errorf(fault.Invalid, "the body has both labels and a label of its own")
		}
	}
	out := make([]serve.LabelInput, len(list))
	var problems fault.Problems
	for i, l := range list {
		out[i].ID, out[i].Index, out[i].Output = l.ID, l.Index, l.Output
		var ok bool
		if out[i].Value, ok = labelValue(l.Value); !ok {
			problems.Addf("label %d, of %q: want a number, text or truth value", i, l.ID)
		}
	}
	return out, problems.Err()
}

// labelValue returns a JSON value as the label that it says; null stays null.
func labelValue(v any) (frame.Value, bool) {
	switch v := v.(type) {
	case nil:
		return frame.Value{}, true
	case string:
		return frame.StringValue(v), true
	case bool:
		return frame.BoolValue(v), true
	case json.Number:
		if !strings.ContainsAny(v.String(), ".eE") {
			if i, err := v.Int64(); err == nil {
				return frame.IntValue(i), true
			}
		}
		f, err := v.Float64()
		return frame.FloatValue(f), err == nil
	}
	return frame.Value{}, false
}
