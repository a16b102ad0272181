package retraintest_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retraintest"
)

func TestEngine(t *testing.T) {
	retraintest.RunEngine(t, func(*testing.T) func() retrain.Engine {
		var life *retraintest.Engine
		return func() retrain.Engine {
			if life == nil {
				life = retraintest.NewEngine()
			} else {
				life = life.Restart()
			}
			return life
		}
	})
}

// A killed life loses the step under way and nothing else.
func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs := make(map[string]int)
		workflow := func(ctx context.Context, steps retrain.Steps, _ []byte) ([]byte, error) {
			var last []byte
			for _, name := range []string{"first", "second"} {
				var err error
				last, err = steps.Do(ctx, name, func(context.Context) ([]byte, error) {
					runs[name]++
					time.Sleep(time.Hour) // whatever its context says
					return []byte(name), nil
				}, nil)
				if err != nil {
					return nil, err
				}
			}
			return last, nil
		}
		e := retraintest.NewEngine()
		require.NoError(t, e.Register("w", workflow))
		require.NoError(t, e.Launch(t.Context()))
		require.NoError(t, e.Start(t.Context(), "w", "a/1", nil))
		time.Sleep(90 * time.Minute)
		dead := e
		e = dead.Restart()
		_, err := dead.Result(t.Context(), "a/1")
		require.ErrorIs(t, err, fault.Closed)
		time.Sleep(90 * time.Minute) // the second step returned in the dead life
		require.NoError(t, e.Register("w", workflow))
		require.NoError(t, e.Launch(t.Context()))
		r, err := e.Result(t.Context(), "a/1")
		require.NoError(t, err)
		require.False(t, r.Done)
		r, err = e.Wait(t.Context(), "a/1")
		require.NoError(t, err)
		require.Equal(t, "second", string(r.Output))
		require.Equal(t, map[string]int{"first": 1, "second": 2}, runs)
		require.NoError(t, e.Close(t.Context()))
	})
}

// Close without a deadline gives up on a hung step, in the time of the bubble.
func TestCloseGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		e := retraintest.NewEngine()
		require.NoError(t, e.Register("hang", func(context.Context, retrain.Steps, []byte) ([]byte, error) {
			<-release
			return []byte("too late"), nil
		}))
		require.NoError(t, e.Launch(t.Context()))
		require.NoError(t, e.Start(t.Context(), "hang", "a/1", nil))
		begin := time.Now()
		require.ErrorIs(t, e.Close(t.Context()), fault.Unavailable)
		require.Equal(t, 10*time.Second, time.Since(begin))
		next := e.Restart()
		close(release)
		synctest.Wait()
		require.NoError(t, next.Launch(t.Context()))
		r, err := next.Result(t.Context(), "a/1")
		require.NoError(t, err)
		require.False(t, r.Done, "what a hung step returned after Close is lost")
		require.NoError(t, next.Close(t.Context()))
	})
}

// Workflows sleep and wait for months in no time, and a killed life does not
// start the wait anew.
func TestMonths(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		workflow := func(ctx context.Context, steps retrain.Steps, _ []byte) ([]byte, error) {
			if err := steps.Sleep(ctx, "until spring", 90*24*time.Hour); err != nil {
				return nil, err
			}
			data, ok, err := steps.Await(ctx, "approval", 30*24*time.Hour)
			return fmt.Appendf(data, " %v", ok), err
		}
		e := retraintest.NewEngine()
		require.NoError(t, e.Register("w", workflow))
		require.NoError(t, e.Launch(t.Context()))
		begin := time.Now()
		require.NoError(t, e.Start(t.Context(), "w", "a/1", nil))
		require.NoError(t, e.Start(t.Context(), "w", "a/2", nil))
		time.Sleep(100 * 24 * time.Hour) // ten days into the wait
		e = e.Restart()
		require.NoError(t, e.Register("w", workflow))
		require.NoError(t, e.Launch(t.Context()))
		require.NoError(t, e.Signal(t.Context(), "a/2", "approval", []byte("yes")))
		r, err := e.Wait(t.Context(), "a/2")
		require.NoError(t, err)
		require.Equal(t, "yes true", string(r.Output))
		r, err = e.Wait(t.Context(), "a/1")
		require.NoError(t, err)
		require.Equal(t, " false", string(r.Output))
		require.Equal(t, 120*24*time.Hour, time.Since(begin))
		require.NoError(t, e.Close(t.Context()))
	})
}

// A name that comes back while a step of its former workflow still runs waits for it.
func TestRegisteredAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at, ran := 0, 0
		heedless := func(ctx context.Context, steps retrain.Steps, _ []byte) ([]byte, error) {
			return steps.Do(ctx, "step", func(context.Context) ([]byte, error) {
				at, ran = at+1, ran+1
				require.Equal(t, 1, at, "at one time")
				time.Sleep(time.Hour)
				at--
				return nil, context.Canceled
			}, nil)
		}
		e := retraintest.NewEngine()
		require.NoError(t, e.Register("w", heedless))
		require.NoError(t, e.Launch(t.Context()))
		require.NoError(t, e.Start(t.Context(), "w", "a/1", nil))
		time.Sleep(time.Minute)
		require.NoError(t, e.Unregister("w"))
		require.NoError(t, e.Register("w", heedless))
		_, err := e.Wait(t.Context(), "a/1")
		require.NoError(t, err)
		require.Equal(t, 2, ran)
		require.NoError(t, e.Close(t.Context()))
	})
}
