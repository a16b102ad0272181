package retraintest

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/retrain"
)

// This file holds the cases of RunEngine in which workflows wait or try again.

func checkRetries(t *testing.T, next func() retrain.Engine) {
	var down, invalid, given, panics atomic.Int64
	e := next()
	register(t, e, "down", func(context.Context) ([]byte, error) {
		if down.Add(1) < 3 {
			return nil, fault.Errorf(fault.Unavailable, "not yet")
		}
		return []byte("up"), nil
	}, &retrain.StepOptions{Retries: 5, Backoff: time.Millisecond})
	register(t, e, "invalid", func(context.Context) ([]byte, error) {
		invalid.Add(1)
		return nil, fault.Errorf(fault.Invalid, "a column is missing")
	}, &retrain.StepOptions{Retries: 5, Backoff: time.Millisecond})
	register(t, e, "given up", func(context.Context) ([]byte, error) {
		return nil, fmt.Errorf("failure %d", given.Add(1))
	}, &retrain.StepOptions{Retries: 2, Backoff: time.Millisecond})
	register(t, e, "told", func(context.Context) ([]byte, error) {
		panics.Add(1)
		panic("the step's panic")
	}, &retrain.StepOptions{Retries: 2, Backoff: time.Millisecond, Retry: func(error) bool { return false }})
	require.NoError(t, e.Launch(t.Context()))
	for _, name := range []string{"down", "invalid", "given up", "told"} {
		require.NoError(t, e.Start(t.Context(), name, name, nil))
	}
	requireOutput(t, e, "down", "up")
	require.ErrorIs(t, requireFailed(t, e, "invalid"), fault.Invalid)
	require.ErrorContains(t, requireFailed(t, e, "given up"), "failure 3")
	require.ErrorContains(t, requireFailed(t, e, "told"), "the step's panic")
	require.EqualValues(t, []int64{3, 1, 3, 1}, []int64{down.Load(), invalid.Load(), given.Load(), panics.Load()})
}

// register gives the name a workflow of one step.
func register(t *testing.T, e retrain.Engine, name string, fn func(ctx context.Context) ([]byte, error), o *retrain.StepOptions) {
	t.Helper()
	require.NoError(t, e.Register(name, func(ctx context.Context, steps retrain.Steps, _ []byte) ([]byte, error) {
		return steps.Do(ctx, "step", fn, o)
	}))
}

func checkStepTimeout(t *testing.T, next func() retrain.Engine) {
	e := next()
	register(t, e, "slow", func(ctx context.Context) ([]byte, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}, &retrain.StepOptions{Timeout: 20 * time.Millisecond})
	register(t, e, "fast", func(context.Context) ([]byte, error) { return []byte("in time"), nil }, &retrain.StepOptions{Timeout: time.Minute})
	require.NoError(t, e.Launch(t.Context()))
	require.NoError(t, e.Start(t.Context(), "slow", "a/1", nil))
	require.NoError(t, e.Start(t.Context(), "fast", "a/2", nil))
	err := requireFailed(t, e, "a/1")
	require.ErrorIs(t, err, fault.Unavailable)
	require.ErrorContains(t, err, "20ms")
	requireOutput(t, e, "a/2", "in time")
}

func checkSleep(t *testing.T, next func() retrain.Engine) {
	const nap = 500 * time.Millisecond
	began := make(chan struct{}, 1)
	w := func(ctx context.Context, steps retrain.Steps, _ []byte) ([]byte, error) {
		if _, err := steps.Do(ctx, "nap", func(context.Context) ([]byte, error) { return nil, nil }, nil); err != nil {
			return nil, err
		}
		began <- struct{}{}
		if err := steps.Sleep(ctx, "nap", nap); err != nil {
			return nil, err
		}
		return []byte("awake"), steps.Sleep(ctx, "none", 0)
	}
	e := next()
	require.NoError(t, e.Register("w", w))
	require.NoError(t, e.Launch(t.Context()))
	begin := time.Now()
	require.NoError(t, e.Start(t.Context(), "w", "a/1", nil))
	requireOutput(t, e, "a/1", "awake")
	require.GreaterOrEqual(t, time.Since(begin), nap)
	<-began
	require.NoError(t, e.Start(t.Context(), "w", "a/2", nil))
	requireSignal(t, began)
	time.Sleep(nap / 5) // the sleep has begun
	require.NoError(t, e.Close(soon(t)))
	time.Sleep(nap)

	e = next()
	require.NoError(t, e.Register("w", w))
	begin = time.Now()
	require.NoError(t, e.Launch(t.Context()))
	requireOutput(t, e, "a/2", "awake")
	require.Less(t, time.Since(begin), nap, "the time between the lives counts")
}

// awaiting is a workflow that takes n signals of "approval", one of "other", and
// gives what came.
func awaiting(n int, timeout time.Duration) retrain.Workflow {
	return func(ctx context.Context, steps retrain.Steps, _ []byte) ([]byte, error) {
		var all []byte
		for i := range n + 1 {
			topic := "approval"
			if i == n {
				topic = "other"
			}
			data, ok, err := steps.Await(ctx, topic, timeout)
			if err != nil {
				return nil, err
			}
			all = fmt.Appendf(all, "%s=%s(%v) ", topic, data, ok)
		}
		return all, nil
	}
}

func checkSignal(t *testing.T, next func() retrain.Engine) {
	e := next()
	require.NoError(t, e.Register("w", awaiting(2, 0)))
	require.NoError(t, e.Launch(t.Context()))
	require.ErrorIs(t, e.Signal(t.Context(), "a/1", "approval", nil), fault.NotFound)
	require.NoError(t, e.Start(t.Context(), "w", "a/1", nil))
	require.NoError(t, e.Start(t.Context(), "w", "a/1#approval", nil))
	require.NoError(t, e.Signal(t.Context(), "a/1", "approval", []byte("first")))
	require.NoError(t, e.Signal(t.Context(), "a/1", "nobody's", []byte("lost")))
	require.NoError(t, e.Signal(t.Context(), "a/1", "other", []byte("too early")))
	requireRunning(t, e, "a/1")
	require.NoError(t, e.Signal(t.Context(), "a/1", "approval", nil))
	requireOutput(t, e, "a/1", "approval=first(true) approval=(true) other=too early(true) ")
	require.ErrorIs(t, e.Signal(t.Context(), "a/1", "approval", nil), fault.Conflict, "it has ended")
	requireRunning(t, e, "a/1#approval")
	require.NoError(t, e.Cancel(t.Context(), "a/1#approval"))
	requireCancelled(t, e, "a/1#approval")
}

func checkAwaitTimeout(t *testing.T, next func() retrain.Engine) {
	e := next()
	require.NoError(t, e.Register("w", awaiting(1, 100*time.Millisecond)))
	require.NoError(t, e.Launch(t.Context()))
	require.NoError(t, e.Start(t.Context(), "w", "a/1", nil))
	require.NoError(t, e.Signal(t.Context(), "a/1", "other", []byte("here")))
	requireOutput(t, e, "a/1", "approval=(false) other=here(true) ")
}

func checkAwaitLives(t *testing.T, next func() retrain.Engine) {
	e := next()
	began, release := make(chan struct{}, 1), make(chan struct{})
	w := func(ctx context.Context, steps retrain.Steps, input []byte) ([]byte, error) {
		first, ok, err := steps.Await(ctx, "approval", time.Minute)
		if err != nil || !ok {
			return nil, err
		}
		if _, err := blocking(began, release)(ctx, steps, input); err != nil {
			return nil, err
		}
		second, _, err := steps.Await(ctx, "approval", time.Minute)
		return append(first, second...), err
	}
	require.NoError(t, e.Register("w", w))
	require.NoError(t, e.Launch(t.Context()))
	require.NoError(t, e.Start(t.Context(), "w", "a/1", nil))
	require.NoError(t, e.Signal(t.Context(), "a/1", "approval", []byte("one ")))
	requireSignal(t, began)
	require.NoError(t, e.Signal(t.Context(), "a/1", "approval", []byte("two")))
	require.NoError(t, e.Close(soon(t)))

	close(release)
	e = next()
	require.NoError(t, e.Launch(t.Context()))
	require.NoError(t, e.Signal(t.Context(), "a/1", "approval", []byte("three")), "to what waits for its name")
	require.NoError(t, e.Register("w", w))
	requireOutput(t, e, "a/1", "one two")
}
