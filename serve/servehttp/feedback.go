package servehttp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
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
	// Value is read once it is known to be a scalar: of a list, each byte would take
	// up twenty.
	Value json.RawMessage `json:"value"`
}

func (l labelJSON) empty() bool {
	return l.ID == "" && l.Index == 0 && l.Output == "" && l.Value == nil
}

// feedbackJSON is either a list of labels or one label.
type feedbackJSON struct {
	Labels labelList `json:"labels"`
	labelJSON
}

// labelList takes as many labels as a request may have rows: a small body packs
// many millions of empty ones.
type labelList struct {
	most  int
	given bool
	list  []labelJSON
}

// UnmarshalJSON implements json.Unmarshaler.
func (l *labelList) UnmarshalJSON(raw []byte) error {
	l.given, l.list = string(raw) != "null", nil
	if !l.given {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	if start, err := d.Token(); err != nil || start != json.Delim('[') {
		return fault.Errorf(fault.Invalid, `"labels" is no list`)
	}
	for d.More() {
		if len(l.list) == l.most {
			return &codeError{http.StatusRequestEntityTooLarge, fmt.Errorf("there are more than %d labels: send them in parts", l.most)}
		}
		var one labelJSON
		if err := d.Decode(&one); err != nil {
			return err
		}
		l.list = append(l.list, one)
	}
	return nil
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
	labels, err := decodeFeedback(body.Bytes(), h.srv.MaxBatchRows())
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

// decodeFeedback reads at most so many labels.
func decodeFeedback(body []byte, most int) ([]serve.LabelInput, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	f := feedbackJSON{Labels: labelList{most: most}}
	err := d.Decode(&f)
	var tooMany *codeError
	if errors.As(err, &tooMany) {
		return nil, tooMany
	}
	if err == nil {
		if _, end := d.Token(); end != io.EOF {
			err = fault.Errorf(fault.Invalid, "something follows the object")
		}
	}
	if err != nil {
		return nil, fault.Errorf(fault.Invalid, `the body is not the JSON of labels, {"labels":[{"id":…,"value":…}, …]}: %w`, err)
	}
	list := []labelJSON{f.labelJSON}
	if f.Labels.given {
		if list = f.Labels.list; !f.empty() {
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
func labelValue(raw json.RawMessage) (frame.Value, bool) {
	if len(raw) == 0 {
		return frame.Value{}, true
	}
	if raw[0] == '[' || raw[0] == '{' {
		return frame.Value{}, false
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber() // 64-bit integers stay whole
	var v any
	if err := d.Decode(&v); err != nil {
		return frame.Value{}, false
	}
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
