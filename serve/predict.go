package serve

import (
	"context"
	"fmt"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/internal/id"
	"github.com/mlloop/mlloop/train/frame"
)

// Request is a batch to answer.
type Request struct {
	ID      string         // names the prediction: labels come under it, and the same ID with the same inputs again logs nothing new; "": a new one
	Key     string         // what keeps a caller on one side of a traffic split, and what Store.Erase erases by; "": the ID
	Version int64          // 0: the route decides; else this one, if it answers at present
	Inputs  []frame.Tensor // as the signature has them, in any order; not kept. A wire that cannot read one puts the error in its Data: it is told with all else
	Outputs []string       // names of the wanted outputs, in this order; nil: all
	TraceID string         // of the trace that the request is part of (W3C Trace Context: 32 hex digits), for the log; "": none
}

// Response is the answer to a batch, wholly by one version.
type Response struct {
	ID       string
	Model    string
	Version  int64
	Variant  Variant // Primary or Canary
	Fallback bool    // the primary answered in place of a canary that failed or timed out
	Outputs  []frame.Tensor
}

// MaxIDBytes is how long a request's ID and Key may be.
const MaxIDBytes = 1024

// Predict answers a request. The answer is logged behind its back, a Prediction
// a row, all under the request's ID.
//
// A canary answers on a goroutine of its own and has half of the time that is
// left until ctx's deadline, or Options.Canary.Timeout without one. When it
// fails, panics, breaks its signature, refuses the inputs or is late, the
// primary answers and the Response says Fallback; a canary that was asked for by
// number has no fallback. A shadow is asked later and delays nobody.
//
// Errors: NotFound (model, version), Invalid listing everything that is wrong
// with the inputs, or for an ID, Key or TraceID that is not Storable, Unavailable
// for a canary that has been taken off the traffic, Closed, the Predictor's own.
func (s *Server) Predict(ctx context.Context, model string, req Request) (Response, error) {
	resp, err := s.predict(ctx, model, &req)
	if err != nil {
		return Response{}, fmt.Errorf("serve: predict %s: %w", model, err)
	}
	return resp, nil
}

func (s *Server) predict(ctx context.Context, model string, req *Request) (Response, error) {
	m, err := s.find(model)
	if err != nil {
		return Response{}, err
	}
	if len(req.ID) > MaxIDBytes || len(req.Key) > MaxIDBytes {
		return Response{}, fault.Errorf(fault.Invalid, "id of %d bytes, key of %d bytes: at most %d are taken", len(req.ID), len(req.Key), MaxIDBytes)
	}
	if !Storable(req.ID) || !Storable(req.Key) || !Storable(req.TraceID) {
		return Response{}, fault.Errorf(fault.Invalid, "id %q, key %q, trace %q: want UTF-8 without the character U+0000", req.ID, req.Key, req.TraceID)
	}
	if req.ID == "" {
		req.ID = id.New()
	}
	if req.Key == "" {
		req.Key = req.ID
	}
	g, err := m.acquire(req.Key, req.Version)
	if err != nil {
		return Response{}, err
	}
	defer g.release()
	a := s.decide(ctx, m, &g, req)
	if a.err != nil {
		return Response{}, a.err
	}
	if g.shadow != nil {
		s.shadows(m).offer(&g, req, &a)
	}
	return Response{
		ID: req.ID, Model: m.name, Version: a.version.number, Variant: a.variant,
		Fallback: a.status == frame.Fallback, Outputs: a.wanted(req.Outputs),
	}, nil
}

// decide has the version that the route chose answer, or the primary in its
// place, and records what became of both.
func (s *Server) decide(ctx context.Context, m *served, g *grip, req *Request) answer {
	at := s.opts.Now()
	if g.variant != Canary {
		a := s.ask(ctx, g.version, req)
		a.drawn(g, at)
		s.record(m, req, &a)
		return a
	}
	canary := s.askCanary(ctx, m, g.version, req)
	canary.drawn(g, at)
	// A caller who has left cannot be answered by the primary either.
	if canary.err == nil || g.fallback == nil || ctx.Err() != nil {
		s.record(m, req, &canary)
		return canary
	}
	a := s.ask(ctx, g.fallback, req)
	a.drawn(g, at)
	a.variant = Primary
	if a.err == nil {
		a.status = frame.Fallback
		s.fallbacks.Add(1)
		if canary.status == frame.Refused { // what the primary takes a challenger must take
			canary.status = frame.Failed
		}
	}
	if canary.rows == nil { // it could not even read them
		canary.rows, canary.n = a.rows, a.n
	}
	s.record(m, req, &canary)
	s.record(m, req, &a)
	return a
}

// answer is what one version made of one request.
type answer struct {
	version    *version
	variant    Variant
	status     Status
	err        error // nil when the status is OK
	propensity float64
	rev        int64
	at         time.Time
	latency    time.Duration
	rows       []frame.Row // nil when nobody wants them, or none could be made
	digests    []uint64    // to be logged; nil: those of the rows
	outputs    []frame.Tensor
	n          int // rows; 0 when the request could not be read
}

// drawn notes how the version came to answer.
func (a *answer) drawn(g *grip, at time.Time) {
	a.variant, a.propensity, a.rev, a.at = g.variant, g.propensity, g.rev, at
}

// ask has a version answer a request on the caller's goroutine.
func (s *Server) ask(ctx context.Context, v *version, req *Request) answer {
	began := time.Now()
	b, rows, err := s.read(v, req)
	a := answer{version: v, rows: rows, n: b.n}
	if err == nil {
		a.outputs, err = s.run(ctx, v, b, rows)
	}
	a.end(ctx, began, err)
	return a
}

// end notes how long the answer took and what became of it.
func (a *answer) end(ctx context.Context, began time.Time, err error) {
	a.latency, a.err, a.status = time.Since(began), err, statusOf(ctx, err)
}

// statusOf says what an error means. A caller who has left did not get its
// answer in time either.
func statusOf(ctx context.Context, err error) Status {
	switch {
	case err == nil:
		return frame.Answered
	case fault.Kind(err) == fault.Invalid:
		return frame.Refused
	case ctx.Err() != nil || isTimeout(err):
		return frame.TimedOut
	}
	return frame.Failed
}

// read checks a request against a version's signature and makes the rows that
// are logged, or that the version reads. Errors: Invalid.
func (s *Server) read(v *version, req *Request) (batch, []frame.Row, error) {
	b, err := v.shape.check(req.Inputs, s.opts.MaxBatchRows)
	if err != nil {
		return batch{}, nil, err
	}
	for _, name := range req.Outputs {
		if indexOf(v.shape.signature.Outputs, name) < 0 {
			return batch{}, nil, fault.Errorf(fault.Invalid, "output %q is unknown; the model gives %s", name, describe(v.shape.signature.Outputs))
		}
	}
	if v.shape.rows != nil {
		rows, err := frame.RowsFromTensors(v.shape.columns, b.inputs)
		return b, rows, err
	}
	if s.log == nil && len(s.opts.Observers) == 0 {
		return b, nil, nil
	}
	return b, v.shape.makeRows(b), nil
}

// wanted returns the named outputs, or all.
func (a *answer) wanted(names []string) []frame.Tensor {
	if len(names) == 0 {
		return a.outputs
	}
	out := make([]frame.Tensor, len(names))
	for i, name := range names {
		out[i] = a.outputs[indexOf(a.version.shape.signature.Outputs, name)]
	}
	return out
}
