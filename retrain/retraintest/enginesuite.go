package retraintest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/retrain"
)

// RunEngine checks that engines behave as retrain.Engine says. newEngine
// returns a fresh engine, not yet launched.
func RunEngine(t *testing.T, newEngine func(t *testing.T) retrain.Engine) {
	t.Helper()
	for _, c := range engineCases {
		t.Run(c.name, func(t *testing.T) {
			t.Log(c.why)
			e := newEngine(t)
			t.Cleanup(func() { _ = e.Close(context.WithoutCancel(t.Context())) })
			c.check(t, e)
		})
	}
}

var engineCases = []struct {
	name, why string
	check     func(t *testing.T, e retrain.Engine)
}{
	{"result", "Run waits for the workflow's end and returns what its steps made of the input", checkResult},
	{"same id", "an id names one execution: a second Run returns the first's result and runs no step", checkSameID},
	{"concurrent", "calls with one id at the same time share one execution", checkConcurrent},
	{"step error", "a step's error reaches the workflow and the caller, with its kind", checkStepError},
	{"unknown name", "a workflow that was never registered is NotFound", checkUnknownName},
	{"order", "registering after Launch and running before it are conflicts, a name registers once", checkOrder},
	{"caller gives up", "Run returns when its context ends; the workflow itself goes on", checkCallerGivesUp},
	{"closed", "a closed engine runs nothing", checkClosed},
}

func checkResult(t *testing.T, e retrain.Engine) {
	require.NoError(t, e.Register("greet", func(ctx context.Context, steps retrain.Steps, input []byte) ([]byte, error) {
		hello, err := steps.Do(ctx, "hello", func(context.Context) ([]byte, error) { return []byte("hello "), nil })
		if err != nil {
			return nil, err
		}
		return steps.Do(ctx, "name", func(context.Context) ([]byte, error) { return append(hello, input...), nil })
	}))
	require.NoError(t, e.Launch(t.Context()))
	out, err := e.Run(t.Context(), "greet", "a/1", []byte("you"))
	require.NoError(t, err)
	require.Equal(t, "hello you", string(out))
}

func checkSameID(t *testing.T, e retrain.Engine) {
	var ran atomic.Int64
	require.NoError(t, e.Register("count", countingWorkflow(&ran)))
	require.NoError(t, e.Launch(t.Context()))
	for range 3 {
		out, err := e.Run(t.Context(), "count", "a/1", nil)
		require.NoError(t, err)
		require.Equal(t, "done", string(out))
	}
	require.EqualValues(t, 1, ran.Load())
	_, err := e.Run(t.Context(), "count", "a/2", nil)
	require.NoError(t, err)
	require.EqualValues(t, 2, ran.Load())
}

func countingWorkflow(ran *atomic.Int64) retrain.Workflow {
	return func(ctx context.Context, steps retrain.Steps, _ []byte) ([]byte, error) {
		return steps.Do(ctx, "count", func(context.Context) ([]byte, error) {
			ran.Add(1)
			return []byte("done"), nil
		})
	}
}

func checkConcurrent(t *testing.T, e retrain.Engine) {
	var ran atomic.Int64
	require.NoError(t, e.Register("count", countingWorkflow(&ran)))
	require.NoError(t, e.Launch(t.Context()))
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() { _, errs[i] = e.Run(t.Context(), "count", "a/1", nil) })
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
	require.EqualValues(t, 1, ran.Load())
}

func checkStepError(t *testing.T, e retrain.Engine) {
	var ran atomic.Int64
	require.NoError(t, e.Register("fail", func(ctx context.Context, steps retrain.Steps, _ []byte) ([]byte, error) {
		return steps.Do(ctx, "fail", func(context.Context) ([]byte, error) {
			ran.Add(1)
			return nil, fault.Errorf(fault.Invalid, "column %q is missing", "price")
		})
	}))
	require.NoError(t, e.Launch(t.Context()))
	for range 2 {
		_, err := e.Run(t.Context(), "fail", "a/1", nil)
		require.ErrorIs(t, err, fault.Invalid)
		require.ErrorContains(t, err, `column "price" is missing`)
	}
	require.EqualValues(t, 1, ran.Load(), "a recorded error is a result too")
}

func checkUnknownName(t *testing.T, e retrain.Engine) {
	require.NoError(t, e.Launch(t.Context()))
	_, err := e.Run(t.Context(), "nobody", "a/1", nil)
	require.ErrorIs(t, err, fault.NotFound)
}

func checkOrder(t *testing.T, e retrain.Engine) {
	var ran atomic.Int64
	require.NoError(t, e.Register("count", countingWorkflow(&ran)))
	require.ErrorIs(t, e.Register("count", countingWorkflow(&ran)), fault.AlreadyExists)
	_, err := e.Run(t.Context(), "count", "a/1", nil)
	require.ErrorIs(t, err, fault.Conflict)
	require.NoError(t, e.Launch(t.Context()))
	require.NoError(t, e.Launch(t.Context()), "a second Launch is a no-op")
	require.ErrorIs(t, e.Register("late", countingWorkflow(&ran)), fault.Conflict)
}

func checkCallerGivesUp(t *testing.T, e retrain.Engine) {
	started, release := make(chan struct{}), make(chan struct{})
	require.NoError(t, e.Register("slow", func(ctx context.Context, steps retrain.Steps, _ []byte) ([]byte, error) {
		return steps.Do(ctx, "wait", func(context.Context) ([]byte, error) {
			close(started)
			<-release
			return []byte("done"), nil
		})
	}))
	require.NoError(t, e.Launch(t.Context()))
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-started
		cancel()
	}()
	_, err := e.Run(ctx, "slow", "a/1", nil)
	require.ErrorIs(t, err, context.Canceled)
	close(release)
	out, err := e.Run(t.Context(), "slow", "a/1", nil)
	require.NoError(t, err)
	require.Equal(t, "done", string(out))
}

func checkClosed(t *testing.T, e retrain.Engine) {
	require.NoError(t, e.Launch(t.Context()))
	require.NoError(t, e.Close(t.Context()))
	require.NoError(t, e.Close(t.Context()), "a second Close is a no-op")
	_, err := e.Run(t.Context(), "count", "a/1", nil)
	require.ErrorIs(t, err, fault.Closed)
	require.ErrorIs(t, e.Launch(t.Context()), fault.Closed)
}
