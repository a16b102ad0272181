package retraintest

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/retrain"
)

// This file holds the cases of RunEngine in which workflows or engines end early.

func checkCancel(t *testing.T, next func() retrain.Engine) {
	began, ended := make(chan struct{}, 1), make(chan struct{})
	e := next()
	require.NoError(t, e.Register("w", func(ctx context.Context, steps retrain.Steps, _ []byte) ([]byte, error) {
		// The workflow does not heed the step's error: it is cancelled all the same.
		_, _ = steps.Do(ctx, "wait", func(ctx context.Context) ([]byte, error) {
			began <- struct{}{}
			<-ctx.Done()
			close(ended)
			return nil, ctx.Err()
		}, nil)
		return steps.Do(ctx, "next", func(context.Context) ([]byte, error) {
			t.Error("a step ran after its workflow was cancelled")
			return nil, nil
		}, nil)
	}))
	require.NoError(t, e.Launch(t.Context()))
	require.NoError(t, e.Start(t.Context(), "w", "a/1", nil))
	requireSignal(t, began)
	require.NoError(t, e.Cancel(t.Context(), "a/1"))
	requireSignal(t, ended)
	requireCancelled(t, e, "a/1")
	require.NoError(t, e.Cancel(t.Context(), "a/1"), "once more")
	require.NoError(t, e.Start(t.Context(), "w", "a/1", nil))
	requireCancelled(t, e, "a/1")
	require.Empty(t, began)
}

func requireCancelled(t *testing.T, e retrain.Engine, id string) {
	t.Helper()
	err := requireFailed(t, e, id)
	require.ErrorIs(t, err, fault.Unavailable)
	require.ErrorContains(t, err, "cancelled")
}

func checkCancelEnded(t *testing.T, next func() retrain.Engine) {
	var ran atomic.Int64
	e := next()
	require.NoError(t, e.Register("count", counting(&ran)))
	require.NoError(t, e.Launch(t.Context()))
	require.NoError(t, e.Start(t.Context(), "count", "a/1", nil))
	requireOutput(t, e, "a/1", "done")
	require.NoError(t, e.Cancel(t.Context(), "a/1"))
	requireOutput(t, e, "a/1", "done")
}

func checkHung(t *testing.T, next func() retrain.Engine) {
	began, release := make(chan struct{}), make(chan struct{})
	returned := make(chan struct{})
	t.Cleanup(func() {
		close(release)
		<-returned
	})
	e := next()
	require.NoError(t, e.Register("hang", func(ctx context.Context, steps retrain.Steps, _ []byte) ([]byte, error) {
		defer close(returned)
		return steps.Do(ctx, "hang", func(context.Context) ([]byte, error) {
			close(began)
			<-release
			return []byte("too late"), nil
		}, nil)
	}))
	require.NoError(t, e.Launch(t.Context()))
	require.NoError(t, e.Start(t.Context(), "hang", "a/1", nil))
	requireSignal(t, began)
	requireRunning(t, e, "a/1")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err := e.Wait(ctx, "a/1")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NoError(t, e.Cancel(soon(t), "a/1"))
	requireCancelled(t, e, "a/1")
	begin := time.Now()
	require.ErrorIs(t, closeSoon(t, e), fault.Unavailable)
	require.Less(t, time.Since(begin), 10*time.Second)
}

func checkClosed(t *testing.T, next func() retrain.Engine) {
	began, release := make(chan struct{}, 1), make(chan struct{})
	e := next()
	require.NoError(t, e.Register("block", blocking(began, release)))
	require.NoError(t, e.Launch(t.Context()))
	require.NoError(t, e.Start(t.Context(), "block", "a/1", nil))
	requireSignal(t, began)
	waited := make(chan error, 1)
	go func() {
		_, err := e.Wait(soon(t), "a/1")
		waited <- err
	}()
	require.NoError(t, e.Close(soon(t)))
	require.ErrorIs(t, <-waited, fault.Closed)
	require.NoError(t, e.Close(t.Context()), "a second Close does nothing")
	require.ErrorIs(t, e.Launch(t.Context()), fault.Closed)
	require.ErrorIs(t, e.Start(t.Context(), "block", "a/1", nil), fault.Closed)
	_, err := e.Result(t.Context(), "a/1")
	require.ErrorIs(t, err, fault.Closed)
	_, err = e.Wait(t.Context(), "a/1")
	require.ErrorIs(t, err, fault.Closed)
	require.ErrorIs(t, e.Cancel(t.Context(), "a/1"), fault.Closed)
	require.ErrorIs(t, e.Signal(t.Context(), "a/1", "topic", nil), fault.Closed)
	_, err = e.Forget(t.Context(), time.Now())
	require.ErrorIs(t, err, fault.Closed)
	for _, err := range e.List(t.Context(), retrain.ListQuery{}) {
		require.ErrorIs(t, err, fault.Closed)
	}
}

// interrupted starts a workflow of two steps, "count" and "block", and ends the
// life in the second.
func interrupted(t *testing.T, e retrain.Engine, ran *atomic.Int64) {
	t.Helper()
	began := make(chan struct{}, 1)
	require.NoError(t, e.Register("w", func(ctx context.Context, steps retrain.Steps, input []byte) ([]byte, error) {
		if _, err := counting(ran)(ctx, steps, input); err != nil {
			return nil, err
		}
		return blocking(began, nil)(ctx, steps, input)
	}))
	require.NoError(t, e.Launch(t.Context()))
	require.NoError(t, e.Start(t.Context(), "w", "a/1", []byte("input")))
	requireSignal(t, began)
	require.NoError(t, e.Close(soon(t)))
}

// resumed is the workflow of interrupted in a later version.
func resumed(ran *atomic.Int64) retrain.Workflow {
	return func(ctx context.Context, steps retrain.Steps, input []byte) ([]byte, error) {
		done, err := counting(ran)(ctx, steps, input)
		if err != nil {
			return nil, err
		}
		return steps.Do(ctx, "block", func(context.Context) ([]byte, error) {
			return append(append(done, " with "...), input...), nil
		}, nil)
	}
}

func checkResume(t *testing.T, next func() retrain.Engine) {
	var ran atomic.Int64
	interrupted(t, next(), &ran)
	e := next()
	require.NoError(t, e.Register("before", counting(&ran)), "another order of registration")
	require.NoError(t, e.Register("w", resumed(&ran)))
	require.NoError(t, e.Launch(t.Context()))
	requireOutput(t, e, "a/1", "done with input")
	require.EqualValues(t, 1, ran.Load(), "a recorded step is not run again")
}

func checkHeedless(t *testing.T, next func() retrain.Engine) {
	began := make(chan struct{}, 1)
	e := next()
	require.NoError(t, e.Register("w", func(ctx context.Context, steps retrain.Steps, input []byte) ([]byte, error) {
		if _, err := blocking(began, nil)(ctx, steps, input); err != nil {
			return []byte("failed, but never mind"), nil
		}
		return []byte("done"), nil
	}))
	require.NoError(t, e.Launch(t.Context()))
	require.NoError(t, e.Start(t.Context(), "w", "a/1", nil))
	requireSignal(t, began)
	require.NoError(t, e.Close(soon(t)))

	var ran atomic.Int64
	e = next()
	require.NoError(t, e.Register("w", counting(&ran)))
	require.NoError(t, e.Launch(t.Context()))
	requireOutput(t, e, "a/1", "done")
}

func checkOtherVersion(t *testing.T, next func() retrain.Engine) {
	var ran atomic.Int64
	interrupted(t, next(), &ran)
	e := next()
	require.NoError(t, e.Register("w", func(ctx context.Context, steps retrain.Steps, input []byte) ([]byte, error) {
		added, err := steps.Do(ctx, "added", func(context.Context) ([]byte, error) { return []byte("added, "), nil }, nil)
		if err != nil {
			return nil, err
		}
		done, err := counting(&ran)(ctx, steps, input)
		return append(added, done...), err
	}))
	require.NoError(t, e.Launch(t.Context()))
	requireOutput(t, e, "a/1", "added, done")
	require.EqualValues(t, 1, ran.Load(), "a recorded step is found by its name")
}

func checkUnregistered(t *testing.T, next func() retrain.Engine) {
	var ran, other atomic.Int64
	interrupted(t, next(), &ran)
	without := next()
	require.NoError(t, without.Register("other", counting(&other)))
	require.NoError(t, without.Launch(t.Context()))
	requireRunning(t, without, "a/1")
	require.NoError(t, without.Start(t.Context(), "other", "a/1", nil))
	require.NoError(t, without.Start(t.Context(), "other", "a/2", nil))
	requireOutput(t, without, "a/2", "done")
	requireRunning(t, without, "a/1")
	require.EqualValues(t, 1, other.Load(), "an id keeps its workflow")
	require.NoError(t, without.Close(soon(t)))

	e := next()
	require.NoError(t, e.Register("w", resumed(&ran)))
	require.NoError(t, e.Launch(t.Context()))
	requireOutput(t, e, "a/1", "done with input")
	require.EqualValues(t, 1, ran.Load())
}

func checkStartedAgain(t *testing.T, next func() retrain.Engine) {
	var ran, second atomic.Int64
	interrupted(t, next(), &ran)
	began, release := make(chan struct{}, 1), make(chan struct{})
	e := next()
	require.NoError(t, e.Register("w", func(ctx context.Context, steps retrain.Steps, input []byte) ([]byte, error) {
		second.Add(1)
		return blocking(began, release)(ctx, steps, input)
	}))
	require.NoError(t, e.Launch(t.Context()))
	require.NoError(t, e.Start(t.Context(), "w", "a/1", []byte("another input")))
	requireSignal(t, began)
	require.NoError(t, e.Start(t.Context(), "w", "a/1", nil))
	close(release)
	requireOutput(t, e, "a/1", "done")
	require.EqualValues(t, 1, second.Load())
}

func checkEndedBefore(t *testing.T, next func() retrain.Engine) {
	var ran atomic.Int64
	e := next()
	require.NoError(t, e.Register("count", counting(&ran)))
	require.NoError(t, e.Register("fail", func(context.Context, retrain.Steps, []byte) ([]byte, error) {
		return nil, fault.Errorf(fault.Denied, "not today")
	}))
	require.NoError(t, e.Launch(t.Context()))
	require.NoError(t, e.Start(t.Context(), "count", "a/1", nil))
	require.NoError(t, e.Start(t.Context(), "fail", "a/2", nil))
	requireOutput(t, e, "a/1", "done")
	require.ErrorIs(t, requireFailed(t, e, "a/2"), fault.Denied)
	require.NoError(t, e.Close(soon(t)))

	e = next()
	require.NoError(t, e.Launch(t.Context()))
	requireOutput(t, e, "a/1", "done")
	require.ErrorIs(t, requireFailed(t, e, "a/2"), fault.Denied)
	require.EqualValues(t, 1, ran.Load())
}

func checkCancelledBefore(t *testing.T, next func() retrain.Engine) {
	began := make(chan struct{}, 1)
	e := next()
	require.NoError(t, e.Register("w", blocking(began, nil)))
	require.NoError(t, e.Launch(t.Context()))
	require.NoError(t, e.Start(t.Context(), "w", "a/1", nil))
	requireSignal(t, began)
	require.NoError(t, e.Cancel(t.Context(), "a/1"))
	require.NoError(t, e.Close(soon(t)))

	var ran atomic.Int64
	e = next()
	require.NoError(t, e.Register("w", counting(&ran)))
	require.NoError(t, e.Launch(t.Context()))
	require.NoError(t, e.Start(t.Context(), "w", "a/1", nil))
	requireCancelled(t, e, "a/1")
	require.Zero(t, ran.Load())
}
