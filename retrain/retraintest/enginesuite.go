package retraintest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/retrain"
)

// RunEngine checks that engines behave as retrain.Engine says. A call of newStorage
// makes an empty storage, and each call of what it returns the engine of one more
// life on it, not yet launched. The suite closes a life before it asks for the
// next one.
func RunEngine(t *testing.T, newStorage func(t *testing.T) (nextLife func() retrain.Engine)) {
	t.Helper()
	for _, c := range engineCases {
		t.Run(c.name, func(t *testing.T) {
			t.Log(c.why)
			next := newStorage(t)
			c.check(t, func() retrain.Engine {
				e := next()
				t.Cleanup(func() { _ = closeSoon(t, e) })
				return e
			})
		})
	}
}

// closeSoon closes the engine, and gives up on steps that hang.
func closeSoon(t *testing.T, e retrain.Engine) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Second)
	defer cancel()
	return e.Close(ctx)
}

var engineCases = []struct {
	name, why string
	check     func(t *testing.T, next func() retrain.Engine)
}{
	{"result", "Wait returns what the workflow's steps made of the input", checkResult},
	{"register", "a name is registered once, before Launch or after it", checkRegister},
	{"register late", "what was left unfinished under a name goes on when the name is registered, after Launch too", checkRegisterLate},
	{"unregister", "a name that was taken back starts nothing; what ran goes on where the name comes back", checkUnregister},
	{"order", "nothing starts before Launch, a second Launch does nothing, an unregistered name is NotFound", checkOrder},
	{"start returns", "Start and Result do not wait for the workflow, whose life is not that of Start's context", checkStartReturns},
	{"same id", "an id that is known starts nothing anew, whatever name and input come with it", checkSameID},
	{"concurrent", "calls with one id at the same time share one execution", checkConcurrent},
	{"unknown id", "what was never started is NotFound", checkUnknownID},
	{"caller gives up", "Wait returns when its context ends; the workflow itself goes on", checkCallerGivesUp},
	{"step error", "a step's error reaches the workflow and the caller, with its kind, and is recorded", checkStepError},
	{"step name", "a name stands for one result: a second step of that name does not run", checkStepName},
	{"retries", "a step is tried again as its options say, and its last error is recorded", checkRetries},
	{"step timeout", "an attempt's context ends with its time; the error is Unavailable and says so", checkStepTimeout},
	{"sleep", "a sleep ends when its time has passed, whatever lives there were", checkSleep},
	{"signal", "signals reach the workflow in the order of their topic, early ones too; what has ended takes none", checkSignal},
	{"await timeout", "an Await gives up in its time, and takes nothing", checkAwaitTimeout},
	{"await lives", "signals outlive the life that they were sent in; one that was taken is not given again", checkAwaitLives},
	{"list", "List yields what the query asks for, the oldest first", checkList},
	{"forget", "Forget deletes what ended before a time, and nothing that is unfinished", checkForget},
	{"panic", "a panic in a step or between steps is an error of that workflow alone", checkPanic},
	{"started within", "a step may start another workflow", checkStartedWithin},
	{"cancel", "Cancel ends the step's context, for good; the result is Unavailable and says so", checkCancel},
	{"cancel ended", "what has ended stays as it is", checkCancelEnded},
	{"hung", "a step that ignores its context delays no other call, and Close no longer than its context", checkHung},
	{"closed", "a closed engine answers nothing but Closed; a waiting call is told", checkClosed},
	{"resume", "what an earlier life left unfinished goes on at Launch; recorded steps are not run again", checkResume},
	{"heedless", "a workflow that goes on after a step was cut off is resumed all the same", checkHeedless},
	{"other version", "a step that a later version puts in, leaves out or moves does not stop a workflow", checkOtherVersion},
	{"unregistered", "a workflow whose name is not registered stays unfinished until it is", checkUnregistered},
	{"started again", "Start on what was left unfinished does not run it twice", checkStartedAgain},
	{"ended before", "results and errors are there in later lives, whatever is registered", checkEndedBefore},
	{"cancelled before", "what was cancelled stays so in later lives", checkCancelledBefore},
	{"random", "operations in a random order, over several lives, show what they show in memory", checkRandom},
}

// soon is a context with the deadline that the suite gives each wait.
func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// requireOutput waits for the workflow and its output.
func requireOutput(t *testing.T, e retrain.Engine, id, want string) {
	t.Helper()
	r, err := e.Wait(soon(t), id)
	require.NoError(t, err)
	require.NoError(t, r.Err)
	require.True(t, r.Done)
	require.Equal(t, want, string(r.Output))
	again, err := e.Result(soon(t), id)
	require.NoError(t, err)
	require.Equal(t, r, again)
}

// requireRunning checks that the workflow is known and has not ended.
func requireRunning(t *testing.T, e retrain.Engine, id string) {
	t.Helper()
	r, err := e.Result(soon(t), id)
	require.NoError(t, err)
	require.Equal(t, retrain.Result{}, r)
}

// requireFailed waits for the workflow and returns its own error.
func requireFailed(t *testing.T, e retrain.Engine, id string) error {
	t.Helper()
	r, err := e.Wait(soon(t), id)
	require.NoError(t, err)
	require.True(t, r.Done)
	require.Error(t, r.Err)
	require.Empty(t, r.Output)
	return r.Err
}

// requireSignal waits for the channel.
func requireSignal(t *testing.T, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-soon(t).Done():
		require.Fail(t, "nothing came within 30 s")
	}
}

// counting is a workflow of one step that counts its runs.
func counting(ran *atomic.Int64) retrain.Workflow {
	return func(ctx context.Context, steps retrain.Steps, _ []byte) ([]byte, error) {
		return steps.Do(ctx, "count", func(context.Context) ([]byte, error) {
			ran.Add(1)
			return []byte("done"), nil
		}, nil)
	}
}

// blocking is a workflow whose one step says that it began, and ends when it is
// released or its context ends.
func blocking(began chan<- struct{}, release <-chan struct{}) retrain.Workflow {
	return func(ctx context.Context, steps retrain.Steps, _ []byte) ([]byte, error) {
		return steps.Do(ctx, "block", func(ctx context.Context) ([]byte, error) {
			select {
			case began <- struct{}{}:
			default:
			}
			select {
			case <-release:
				return []byte("done"), nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}, nil)
	}
}

func checkResult(t *testing.T, next func() retrain.Engine) {
	e := next()
	require.NoError(t, e.Register("greet", func(ctx context.Context, steps retrain.Steps, input []byte) ([]byte, error) {
		hello, err := steps.Do(ctx, "hello", func(context.Context) ([]byte, error) { return []byte("hello "), nil }, nil)
		if err != nil {
			return nil, err
		}
		return steps.Do(ctx, "name", func(context.Context) ([]byte, error) { return append(hello, input...), nil }, nil)
	}))
	require.NoError(t, e.Launch(t.Context()))
	require.NoError(t, e.Start(t.Context(), "greet", "a/1", []byte("you")))
	requireOutput(t, e, "a/1", "hello you")
	require.NoError(t, e.Register("nothing", func(context.Context, retrain.Steps, []byte) ([]byte, error) { return []byte{}, nil }))
	require.NoError(t, e.Start(t.Context(), "nothing", "a/2", nil))
	requireOutput(t, e, "a/2", "")
}

func checkOrder(t *testing.T, next func() retrain.Engine) {
	var ran atomic.Int64
	e := next()
	require.NoError(t, e.Register("count", counting(&ran)))
	require.ErrorIs(t, e.Start(t.Context(), "count", "a/1", nil), fault.Conflict)
	require.NoError(t, e.Launch(t.Context()))
	require.NoError(t, e.Start(t.Context(), "count", "a/1", nil))
	requireOutput(t, e, "a/1", "done")
	require.NoError(t, e.Launch(t.Context()), "a second Launch does nothing")
	require.ErrorIs(t, e.Start(t.Context(), "nobody", "a/2", nil), fault.NotFound)
	_, err := e.Result(t.Context(), "a/2")
	require.ErrorIs(t, err, fault.NotFound, "what could not start is not known")
	require.EqualValues(t, 1, ran.Load())
}

func checkStartReturns(t *testing.T, next func() retrain.Engine) {
	began, release := make(chan struct{}, 1), make(chan struct{})
	e := next()
	require.NoError(t, e.Register("block", blocking(began, release)))
	launched, end := context.WithCancel(t.Context())
	require.NoError(t, e.Launch(launched))
	end()
	ctx, cancel := context.WithCancel(t.Context())
	require.NoError(t, e.Start(ctx, "block", "a/1", nil))
	requireSignal(t, began)
	cancel()
	require.Error(t, e.Start(ctx, "block", "a/2", nil), "a context that has ended starts nothing")
	requireRunning(t, e, "a/1")
	close(release)
	requireOutput(t, e, "a/1", "done")
}

func checkSameID(t *testing.T, next func() retrain.Engine) {
	var ran, other atomic.Int64
	e := next()
	require.NoError(t, e.Register("count", counting(&ran)))
	require.NoError(t, e.Register("other", counting(&other)))
	require.NoError(t, e.Launch(t.Context()))
	for range 3 {
		require.NoError(t, e.Start(t.Context(), "count", "a/1", []byte("input")))
		requireOutput(t, e, "a/1", "done")
	}
	require.NoError(t, e.Start(t.Context(), "other", "a/1", []byte("another input")))
	requireOutput(t, e, "a/1", "done")
	require.EqualValues(t, 1, ran.Load())
	require.Zero(t, other.Load())
	require.NoError(t, e.Start(t.Context(), "count", "a/1#2", nil))
	requireOutput(t, e, "a/1#2", "done")
	require.EqualValues(t, 2, ran.Load(), "another id is another workflow")
}

func checkConcurrent(t *testing.T, next func() retrain.Engine) {
	var ran atomic.Int64
	e := next()
	require.NoError(t, e.Register("count", counting(&ran)))
	require.NoError(t, e.Launch(t.Context()))
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() { errs[i] = e.Start(t.Context(), "count", "a/1", nil) })
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
	requireOutput(t, e, "a/1", "done")
	require.EqualValues(t, 1, ran.Load())
}

func checkUnknownID(t *testing.T, next func() retrain.Engine) {
	e := next()
	require.NoError(t, e.Launch(t.Context()))
	_, err := e.Result(t.Context(), "a/1")
	require.ErrorIs(t, err, fault.NotFound)
	_, err = e.Wait(t.Context(), "a/1")
	require.ErrorIs(t, err, fault.NotFound)
	require.ErrorIs(t, e.Cancel(t.Context(), "a/1"), fault.NotFound)
}

func checkCallerGivesUp(t *testing.T, next func() retrain.Engine) {
	began, release := make(chan struct{}, 1), make(chan struct{})
	e := next()
	require.NoError(t, e.Register("block", blocking(began, release)))
	require.NoError(t, e.Launch(t.Context()))
	require.NoError(t, e.Start(t.Context(), "block", "a/1", nil))
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-began
		cancel()
	}()
	_, err := e.Wait(ctx, "a/1")
	require.ErrorIs(t, err, context.Canceled)
	requireRunning(t, e, "a/1")
	close(release)
	requireOutput(t, e, "a/1", "done")
}

func checkStepError(t *testing.T, next func() retrain.Engine) {
	var ran atomic.Int64
	e := next()
	require.NoError(t, e.Register("fail", func(ctx context.Context, steps retrain.Steps, _ []byte) ([]byte, error) {
		for range 2 {
			_, err := steps.Do(ctx, "fail", func(context.Context) ([]byte, error) {
				ran.Add(1)
				return nil, fault.Errorf(fault.Invalid, "column %q is missing", "price")
			}, nil)
			require.ErrorIs(t, err, fault.Invalid, "in the workflow")
		}
		return steps.Do(ctx, "fail", func(context.Context) ([]byte, error) { return nil, nil }, nil)
	}))
	require.NoError(t, e.Launch(t.Context()))
	require.NoError(t, e.Start(t.Context(), "fail", "a/1", nil))
	err := requireFailed(t, e, "a/1")
	require.ErrorIs(t, err, fault.Invalid)
	require.ErrorContains(t, err, `column "price" is missing`)
	require.EqualValues(t, 1, ran.Load(), "a recorded error is a result too")
}

func checkStepName(t *testing.T, next func() retrain.Engine) {
	var ran atomic.Int64
	e := next()
	require.NoError(t, e.Register("twice", func(ctx context.Context, steps retrain.Steps, input []byte) ([]byte, error) {
		if _, err := counting(&ran)(ctx, steps, input); err != nil {
			return nil, err
		}
		return counting(&ran)(ctx, steps, input)
	}))
	require.NoError(t, e.Launch(t.Context()))
	require.NoError(t, e.Start(t.Context(), "twice", "a/1", nil))
	requireOutput(t, e, "a/1", "done")
	require.EqualValues(t, 1, ran.Load())
}

func checkPanic(t *testing.T, next func() retrain.Engine) {
	e := next()
	require.NoError(t, e.Register("step", func(ctx context.Context, steps retrain.Steps, _ []byte) ([]byte, error) {
		return steps.Do(ctx, "panic", func(context.Context) ([]byte, error) { panic("the step's panic") }, nil)
	}))
	require.NoError(t, e.Register("between", func(context.Context, retrain.Steps, []byte) ([]byte, error) {
		panic("a panic between steps")
	}))
	require.NoError(t, e.Launch(t.Context()))
	require.NoError(t, e.Start(t.Context(), "step", "a/1", nil))
	require.NoError(t, e.Start(t.Context(), "between", "a/2", nil))
	require.ErrorContains(t, requireFailed(t, e, "a/1"), "the step's panic")
	require.ErrorContains(t, requireFailed(t, e, "a/2"), "a panic between steps")
}

func checkStartedWithin(t *testing.T, next func() retrain.Engine) {
	var ran atomic.Int64
	e := next()
	require.NoError(t, e.Register("count", counting(&ran)))
	require.NoError(t, e.Register("outer", func(ctx context.Context, steps retrain.Steps, _ []byte) ([]byte, error) {
		return steps.Do(ctx, "inner", func(ctx context.Context) ([]byte, error) {
			if err := e.Start(ctx, "count", "inner", nil); err != nil {
				return nil, err
			}
			r, err := e.Wait(ctx, "inner")
			return r.Output, err
		}, nil)
	}))
	require.NoError(t, e.Launch(t.Context()))
	require.NoError(t, e.Start(t.Context(), "outer", "outer", nil))
	requireOutput(t, e, "outer", "done")
	requireOutput(t, e, "inner", "done")
}
