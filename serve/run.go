package serve

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"

	"github.com/mlloop/mlloop/train/frame"
)

// run runs the predictor. A panic becomes an error: one request's, not the process's.
func (s *Server) run(ctx context.Context, v *version, b batch, rows []frame.Row) (outputs []frame.Tensor, err error) {
	defer func() {
		if p := recover(); p != nil {
			s.opts.Logger.Error("serve: a predictor panicked", "version", v.number, "panic", p, "stack", string(debug.Stack()))
			outputs, err = nil, fmt.Errorf("version %d panicked: %v", v.number, p)
		}
	}()
	if v.shape.rows != nil {
		outputs, err = v.shape.rows.predictRows(rows)
	} else {
		outputs, err = v.predictor.Predict(ctx, b.inputs)
	}
	if err != nil {
		return nil, err
	}
	return outputs, v.shape.checkOutputs(outputs, b.n)
}

// outcome is what a predictor on a goroutine of its own came to.
type outcome struct {
	outputs []frame.Tensor
	err     error
}

// The states of a call on a goroutine of its own.
const (
	callRuns = iota
	callEnded
	callAbandoned
)

// errQuit says that the server was closed before the answer came.
var errQuit = errors.New("the server is closed")

// runApart runs the predictor on a goroutine of its own, which nobody waits for
// once ctx is done or quit is closed: Go cannot stop a predictor that hangs. b
// must not share memory with the caller's tensors. abandoned reports that the
// call was left behind; it holds on to the version until it returns.
func (s *Server) runApart(ctx context.Context, quit <-chan struct{}, v *version, b batch, rows []frame.Row) (o outcome, abandoned bool) {
	if !v.acquire() {
		return outcome{err: errQuit}, false
	}
	var state atomic.Int32
	done := make(chan outcome, 1)
	go func() {
		outputs, err := s.run(ctx, v, b, rows)
		if state.CompareAndSwap(callRuns, callEnded) {
			v.release() // first: who waits for the outcome may close the server then
			done <- outcome{outputs, err}
			return
		}
		v.hung.Add(-1)
		s.abandoned.Add(-1)
		v.release()
	}()
	select {
	case o = <-done:
		return o.late(ctx, v), false
	case <-quit:
		o.err = errQuit
	case <-ctx.Done():
		o = outcome{err: ctx.Err()}.late(ctx, v)
	}
	v.hung.Add(1)
	s.abandoned.Add(1)
	if !state.CompareAndSwap(callRuns, callAbandoned) { // it came just now
		v.hung.Add(-1)
		s.abandoned.Add(-1)
		return (<-done).late(ctx, v), false
	}
	return o, true
}

// late makes an error that came after the call's time say so, whether the
// predictor gave up or was left behind.
func (o outcome) late(ctx context.Context, v *version) outcome {
	if o.err != nil && ctx.Err() != nil {
		o.err = fmt.Errorf("version %d did not answer in time: %w", v.number, o.err)
	}
	return o
}

// isTimeout reports whether a predictor gave up because time was over.
func isTimeout(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}
