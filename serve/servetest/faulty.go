package servetest

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train/frame"
)

// Hanging is a Predictor that does not answer until Release, whatever its
// context says, as a call into a stuck library does. It waits on a channel, so
// that time goes on in a testing/synctest bubble. It is safe for concurrent use.
type Hanging struct {
	p       serve.Predictor
	release chan struct{}
	closed  atomic.Bool
	calls   atomic.Int64
	hung    atomic.Int64
}

// Hang returns p made to hang. Call Release before the test ends.
func Hang(p serve.Predictor) *Hanging { return &Hanging{p: p, release: make(chan struct{})} }

// Signature implements serve.Predictor.
func (h *Hanging) Signature() bundle.Signature { return h.p.Signature() }

// Predict implements serve.Predictor.
func (h *Hanging) Predict(ctx context.Context, inputs []frame.Tensor) ([]frame.Tensor, error) {
	h.calls.Add(1)
	h.hung.Add(1)
	<-h.release
	h.hung.Add(-1)
	return h.p.Predict(ctx, inputs)
}

// Release lets all calls go on, these and later ones.
func (h *Hanging) Release() {
	if !h.closed.Swap(true) {
		close(h.release)
	}
}

// Calls returns how many calls there were.
func (h *Hanging) Calls() int { return int(h.calls.Load()) }

// Hung returns how many calls hang at present.
func (h *Hanging) Hung() int { return int(h.hung.Load()) }

// Slow returns p made to take d longer. It gives up with its context.
func Slow(p serve.Predictor, d time.Duration) serve.Predictor {
	return Func{Sig: p.Signature(), F: func(ctx context.Context, inputs []frame.Tensor) ([]frame.Tensor, error) {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
			return p.Predict(ctx, inputs)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}}
}

// ErrFaulty is what Failing's predictors return.
var ErrFaulty = errors.New("servetest: the predictor failed as it was told to")

// Failing returns p made to fail each every-th call: the first one with every
// 1, and with it all.
func Failing(p serve.Predictor, every int64) serve.Predictor {
	return each(p, every, func() error { return ErrFaulty })
}

// Panicking returns p made to panic each every-th call.
func Panicking(p serve.Predictor, every int64) serve.Predictor {
	return each(p, every, func() error { panic(ErrFaulty) })
}

// Refusing returns p made to refuse the inputs of each every-th call, as a
// model does that does not know a value.
func Refusing(p serve.Predictor, every int64) serve.Predictor {
	return each(p, every, func() error { return serve.ErrInvalid })
}

func each(p serve.Predictor, every int64, fault func() error) serve.Predictor {
	var calls atomic.Int64
	return Func{Sig: p.Signature(), F: func(ctx context.Context, inputs []frame.Tensor) ([]frame.Tensor, error) {
		if calls.Add(1)%every == 0 {
			return nil, fault()
		}
		return p.Predict(ctx, inputs)
	}}
}
