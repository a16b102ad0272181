package serve

import (
	"context"
	"fmt"
	"math"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/train/frame"
)

// AskShadow asks the model's present shadow about logged predictions, from
// their Features: what a shadow was to be asked, and did not answer because the
// process died or its queue was full, can so be made good. Predictions that
// nobody answered, that are a shadow's own, or whose attempt has a row of a
// shadow in the log are passed over. It queues as many as there is room for, in
// their order, waits for none of them (Drain does) and returns how many of ps
// it got through: ask the rest again later. Rows that the shadow cannot read
// are logged as its failures. Options.Shadow.Rate does not count here.
//
// Errors: NotFound when the model is not served or has no shadow, Unsupported
// without a Log, Closed, the store's.
func (s *Server) AskShadow(ctx context.Context, model string, ps []Prediction) (done int, err error) {
	if done, err = s.askShadow(ctx, model, ps); err != nil {
		return done, fmt.Errorf("serve: ask the shadow of %s: %w", model, err)
	}
	return done, nil
}

func (s *Server) askShadow(ctx context.Context, model string, ps []Prediction) (int, error) {
	m, err := s.find(model)
	if err != nil {
		return 0, err
	}
	if s.log == nil {
		return 0, errNoLog()
	}
	asked, err := s.shadowed(ctx, model, ps)
	if err != nil {
		return 0, err
	}
	for i := range ps {
		p := &ps[i]
		if !p.Status.OK() || p.Variant == Shadow || asked[attemptKey{p.ID, p.Index, p.Attempt}] {
			continue
		}
		v, rev := m.holdShadow()
		if v == nil {
			return i, fault.Errorf(fault.NotFound, "the route has no shadow")
		}
		if !s.shadows(m).askAgain(v, rev, p) {
			return i, nil
		}
	}
	return len(ps), nil
}

// attemptKey names an attempt at a row of a model.
type attemptKey struct {
	id             string
	index, attempt int
}

// shadowed returns the attempts that have a shadow's row.
func (s *Server) shadowed(ctx context.Context, model string, ps []Prediction) (map[attemptKey]bool, error) {
	ids := make([]string, len(ps))
	for i, p := range ps {
		ids[i] = p.ID
	}
	found, err := s.opts.Log.Lookup(ctx, model, ids)
	if err != nil {
		return nil, err
	}
	out := map[attemptKey]bool{}
	for _, p := range found {
		if p.Variant == Shadow {
			out[attemptKey{p.ID, p.Index, p.Attempt}] = true
		}
	}
	return out, nil
}

// holdShadow returns the present shadow with a reference, nil when there is none.
func (m *served) holdShadow() (*version, int64) {
	for {
		t := m.current.Load()
		if t == nil || t.shadow == nil {
			return nil, 0
		}
		if t.shadow.acquire() {
			return t.shadow, t.route.Rev
		}
	}
}

// askAgain queues one logged prediction, and reports whether there was room. It
// takes over the reference to v.
func (q *shadowQueue) askAgain(v *version, rev int64, p *Prediction) bool {
	job := shadowJob{
		version: v, first: p.Index, rev: rev, at: p.Time, bytes: 40 * int64(len(p.Features.Values)),
		req:    Request{ID: p.ID, Key: p.Key, TraceID: p.TraceID},
		logged: []frame.Row{p.Features}, digests: []uint64{p.Digest},
	}
	var err error
	if v.shape.rows != nil {
		job.rows, err = v.shape.project(p.Features)
	} else {
		job.inputs, err = v.shape.tensors(p.Features)
	}
	if err != nil {
		defer v.release()
		a := answer{
			version: v, variant: Shadow, status: frame.Failed, err: err, propensity: 1, rev: rev, at: p.Time,
			rows: job.logged, digests: job.digests, n: 1,
		}
		q.server.shadowFailed.Add(1)
		q.server.recordFrom(q.model, &job.req, &a, job.first)
		return true
	}
	if q.reserve(&job, 1, 1) == 0 {
		v.metrics.dropped.Add(-1) // it is not lost: the caller asks again
		return false
	}
	q.put(job)
	return true
}

// project returns a logged row as the columns that a predictor of rows reads.
// Errors: Invalid.
func (s *shape) project(logged frame.Row) ([]frame.Row, error) {
	if s.columns.Equal(logged.Schema) {
		return []frame.Row{logged}, nil
	}
	row := frame.Row{Schema: s.columns, Values: make([]frame.Value, len(s.columns))}
	var problems fault.Problems
	for i, f := range s.columns {
		at := logged.Schema.Index(f.Name)
		if at < 0 {
			problems.Addf("the logged row has no column %q", f.Name)
			continue
		}
		v, ok := convert(logged.Values[at], f.Kind)
		if !ok && !v.IsNull() {
			problems.Addf("logged column %q is %s, want %s", f.Name, v.Kind(), f.Kind)
		}
		row.Values[i] = v
	}
	return []frame.Row{row}, problems.Err()
}

// tensors returns a logged row as the inputs that it was. Errors: Invalid for
// inputs that the log does not hold, and for nulls that no tensor can say.
func (s *shape) tensors(logged frame.Row) ([]frame.Tensor, error) {
	rows, err := s.project(logged)
	if err != nil {
		return nil, err
	}
	var problems fault.Problems
	values := rows[0].Values
	out := make([]frame.Tensor, len(s.signature.Inputs))
	for i, spec := range s.signature.Inputs {
		w := s.widths[i]
		if w == 0 {
			problems.Addf("input %q is not in the log", spec.Name)
			continue
		}
		dims := append([]int64{1}, spec.Shape[min(1, len(spec.Shape)):]...)
		data, ok := elements(frame.Datatype(spec.Datatype), values[:w])
		if !ok {
			problems.Addf("input %q: %s cannot say what is logged", spec.Name, spec.Datatype)
		}
		out[i] = frame.Tensor{Name: spec.Name, Datatype: frame.Datatype(spec.Datatype), Shape: dims, Data: data}
		values = values[w:]
	}
	return out, problems.Err()
}

// elements returns values of kindOf the datatype as its slice, and whether it
// can say them all: a null only as a NaN.
func elements(d frame.Datatype, values []frame.Value) (any, bool) {
	switch d {
	case frame.FP64:
		return collect(values, true, frame.Value.Float)
	case frame.FP32:
		return collect(values, true, func(v frame.Value) float32 { return float32(v.Float()) })
	case frame.BOOL:
		return collect(values, false, func(v frame.Value) bool { return v.Int() != 0 })
	case frame.BYTES:
		return collect(values, false, frame.Value.Text)
	case frame.INT64:
		return collect(values, false, frame.Value.Int)
	case frame.INT32:
		return integers[int32](values, math.MinInt32, math.MaxInt32)
	case frame.INT16:
		return integers[int16](values, math.MinInt16, math.MaxInt16)
	case frame.INT8:
		return integers[int8](values, math.MinInt8, math.MaxInt8)
	case frame.UINT64:
		return integers[uint64](values, 0, math.MaxInt64)
	case frame.UINT32:
		return integers[uint32](values, 0, math.MaxUint32)
	case frame.UINT16:
		return integers[uint16](values, 0, math.MaxUint16)
	case frame.UINT8:
		return integers[uint8](values, 0, math.MaxUint8)
	}
	return nil, false
}

func collect[T any](values []frame.Value, nullable bool, get func(frame.Value) T) (any, bool) {
	out, ok := make([]T, len(values)), true
	for i, v := range values {
		ok = ok && (nullable || !v.IsNull())
		out[i] = get(v)
	}
	return out, ok
}

func integers[T int8 | int16 | int32 | uint8 | uint16 | uint32 | uint64](values []frame.Value, low, high int64) (any, bool) {
	for _, v := range values {
		if v.Int() < low || v.Int() > high {
			return []T(nil), false
		}
	}
	return collect(values, false, func(v frame.Value) T { return T(v.Int()) })
}
