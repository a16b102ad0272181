package retrain

import (
	"context"
	"errors"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
)

// StepOptions say how often and how long a step is tried. A nil *StepOptions
// means all defaults.
type StepOptions struct {
	// Timeout bounds each attempt: its context ends, and an error that it returns
	// then is one of kind Unavailable that says so. The attempt is waited for, so
	// that two never run at once. 0: no limit.
	Timeout time.Duration
	// Retries is how many attempts may follow a failed one. They are counted in one
	// life: a step that its process died in begins anew. 0: none.
	Retries int
	// Backoff is the wait before the first of them; it doubles with each, up to a
	// minute. 0: 1 s.
	Backoff time.Duration
	// Retry says whether trying again may help. nil: it may where the error has the
	// kind Unavailable or none.
	Retry func(err error) bool
}

// maxBackoff bounds the wait between two attempts of a step.
const maxBackoff = time.Minute

// errStepTimeout is the cause with which the context of an attempt ends.
var errStepTimeout = errors.New("the step's time is up")

// Run calls fn as the options say and returns the last attempt's result. It is
// for implementations of Engine. Where ctx ends between two attempts, the error
// is that of the attempt before.
func (o *StepOptions) Run(ctx context.Context, fn func(ctx context.Context) ([]byte, error)) ([]byte, error) {
	if o == nil {
		return fn(ctx)
	}
	wait := o.Backoff
	if wait <= 0 {
		wait = time.Second
	}
	for attempt := 0; ; attempt++ {
		output, err := o.attempt(ctx, fn)
		if err == nil || attempt >= o.Retries || !o.mayHelp(err) {
			return output, err
		}
		pause := time.NewTimer(min(wait, maxBackoff))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return nil, err
		}
		wait = min(2*wait, maxBackoff)
	}
}

// attempt calls fn once, in its time.
func (o *StepOptions) attempt(ctx context.Context, fn func(ctx context.Context) ([]byte, error)) ([]byte, error) {
	if o.Timeout <= 0 {
		return fn(ctx)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, o.Timeout, errStepTimeout)
	defer cancel()
	output, err := fn(ctx)
	if err != nil && errors.Is(context.Cause(ctx), errStepTimeout) {
		return nil, fault.Errorf(fault.Unavailable, "an attempt of the step took longer than StepOptions.Timeout, %s: %v", o.Timeout, err)
	}
	return output, err
}

// mayHelp says whether another attempt could end better.
func (o *StepOptions) mayHelp(err error) bool {
	if o.Retry != nil {
		return o.Retry(err)
	}
	kind := fault.Kind(err)
	return kind == nil || errors.Is(kind, fault.Unavailable)
}
