package retraintest_test

import (
	"context"
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
