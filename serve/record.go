package serve

import (
	"runtime/debug"
	"strings"

	"github.com/mlloop/mlloop/train/frame"
)

// maxErrorBytes is how much of an error's text the log keeps.
const maxErrorBytes = 256

// record counts an answer, logs it row by row and tells the model's observer.
func (s *Server) record(m *served, req *Request, a *answer) { s.recordFrom(m, req, a, 0) }

// recordFrom is record for rows whose first one has that Index.
func (s *Server) recordFrom(m *served, req *Request, a *answer, first int) {
	a.version.metrics.observe(a)
	observer := s.opts.Observers[m.name]
	if a.variant == Shadow {
		observer = nil
	}
	if len(a.rows) == 0 || (s.log == nil && observer == nil) {
		return
	}
	ps := s.predictions(m, req, a, first)
	if s.log != nil {
		s.log.put(ps)
	}
	if observer != nil {
		for i := range ps {
			s.tell(observer, observation(&ps[i]))
		}
	}
}

// predictions returns the rows of an answer for the log; first is the Index of
// the first one.
func (s *Server) predictions(m *served, req *Request, a *answer, first int) []Prediction {
	text := ""
	if a.err != nil {
		text = clip(a.err.Error())
	}
	var outputs []frame.Value
	shape := &a.version.shape
	width := len(shape.outputs)
	if a.err == nil { // in memory of their own, as the caller owns the outputs
		outputs = valuesOf(width, shape.outWidths, a.outputs, len(a.rows))
	}
	ps := make([]Prediction, len(a.rows))
	for i := range ps {
		ps[i] = Prediction{
			ID: req.ID, Index: first + i, Model: m.name, Version: a.version.number, Variant: a.variant, Status: a.status, Key: req.Key,
			Time: a.at, Features: a.rows[i], Propensity: a.propensity, Latency: a.latency,
			RouteRev: a.rev, TraceID: req.TraceID, Error: text,
		}
		if outputs != nil {
			ps[i].Outputs = frame.Row{Schema: shape.outputs, Values: outputs[i*width : (i+1)*width : (i+1)*width]}
		}
		if a.digests != nil {
			ps[i].Digest = a.digests[i]
		} else {
			ps[i].Digest = Digest(a.rows[i])
		}
	}
	return ps
}

// clip cuts an error's text to what the log keeps.
func clip(text string) string {
	text = strings.ToValidUTF8(text[:min(len(text), maxErrorBytes)], "")
	return strings.ReplaceAll(text, "\x00", "")
}

// observation returns the event of an answer.
func observation(p *Prediction) frame.Observation {
	return frame.Observation{
		Model: p.Model, Version: p.Version, Variant: string(p.Variant), ID: p.ID, Index: p.Index, Status: p.Status,
		Row: p.Features, Outputs: p.Outputs, Time: p.Time,
	}
}

// tell hands an event to an observer, whose panic reaches nobody.
func (s *Server) tell(observer Observer, o frame.Observation) {
	defer func() {
		if p := recover(); p != nil && s.observerPanics.Add(1) == 1 {
			s.opts.Logger.Error("serve: an observer panicked: it is told of what follows, further panics are counted in Stats only",
				"model", o.Model, "panic", p, "stack", string(debug.Stack()))
		}
	}()
	observer.Observe(o)
}
