package retraindbos_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retraindbos"
)

// shortLease makes a living process look often.
var shortLease = retraindbos.Options{Lease: 500 * time.Millisecond}

// Of two live processes one runs a workflow; the other takes it up when the
// first is closed, without being launched or asked anew.
func TestTwoLive(t *testing.T) {
	each(t, testTwoLive)
	// DBOS calls both the same then, and would take up what the other runs.
	t.Run("one name in the environment", func(t *testing.T) {
		t.Setenv("DBOS__VMID", "one")
		t.Setenv("DBOS__APPVERSION", "1")
		each(t, testTwoLive)
	})
}

func testTwoLive(t *testing.T, dir string) {
	first, second := openEngine(t, dir, &shortLease), openEngine(t, dir, &shortLease)
	began, took := make(chan struct{}, 1), make(chan struct{}, 1)
	release := make(chan struct{})
	require.NoError(t, first.Register("w", blocking("first", began, nil)))
	require.NoError(t, second.Register("w", blocking("second", took, release)))
	require.NoError(t, first.Launch(t.Context()))
	require.NoError(t, first.Start(t.Context(), "w", "a/1", nil))
	<-began
	require.NoError(t, second.Launch(t.Context()))
	require.NoError(t, second.Start(t.Context(), "w", "a/1", nil))
	select {
	case <-took:
		require.Fail(t, "the step runs in both")
	case <-time.After(4 * shortLease.Lease):
	}
	close(release)
	require.NoError(t, first.Close(t.Context()))
	r, err := second.Wait(soon(t.Context(), t), "a/1")
	require.NoError(t, err)
	require.NoError(t, r.Err)
	require.Equal(t, "second", string(r.Output))
}

// A cancellation reaches the step in the other process.
func TestCancelElsewhere(t *testing.T) { each(t, testCancelElsewhere) }

func testCancelElsewhere(t *testing.T, dir string) {
	first, second := openEngine(t, dir, &shortLease), openEngine(t, dir, &shortLease)
	began, ended := make(chan struct{}), make(chan struct{})
	require.NoError(t, first.Register("w", func(ctx context.Context, steps retrain.Steps, _ []byte) ([]byte, error) {
		return steps.Do(ctx, "wait", func(ctx context.Context) ([]byte, error) {
			close(began)
			<-ctx.Done()
			close(ended)
			return []byte("too late"), nil
		}, nil)
	}))
	require.NoError(t, first.Launch(t.Context()))
	require.NoError(t, first.Start(t.Context(), "w", "a/1", nil))
	<-began
	require.NoError(t, second.Launch(t.Context()))
	require.NoError(t, second.Cancel(t.Context(), "a/1"))
	select {
	case <-ended:
	case <-soon(t.Context(), t).Done():
		require.Fail(t, "the step's context did not end")
	}
	for _, e := range []retrain.Engine{first, second} {
		r, err := e.Wait(soon(t.Context(), t), "a/1")
		require.NoError(t, err)
		require.ErrorIs(t, r.Err, fault.Unavailable)
	}
}

// A process that shows no life for a Lease loses its workflow: what it records
// later is discarded, and it learns the result of the other.
func TestSilentProcess(t *testing.T) { each(t, testSilentProcess) }

func testSilentProcess(t *testing.T, dir string) {
	silent := openEngine(t, dir, &retraindbos.Options{Lease: time.Hour}) // renews every 12 minutes
	began, release := make(chan struct{}, 1), make(chan struct{})
	again := 0
	require.NoError(t, silent.Register("w", func(ctx context.Context, steps retrain.Steps, input []byte) ([]byte, error) {
		out, err := blocking("silent", began, release)(ctx, steps, input)
		if err != nil {
			return out, err
		}
		return steps.Do(ctx, "next", func(context.Context) ([]byte, error) {
			again++
			return out, nil
		}, nil)
	}))
	require.NoError(t, silent.Launch(t.Context()))
	require.NoError(t, silent.Start(t.Context(), "w", "a/1", nil))
	<-began

	released := make(chan struct{})
	close(released)
	lively := openEngine(t, dir, &shortLease)
	require.NoError(t, lively.Register("w", blocking("lively", make(chan struct{}, 1), released)))
	require.NoError(t, lively.Launch(t.Context()))
	r, err := lively.Wait(soon(t.Context(), t), "a/1")
	require.NoError(t, err)
	require.Equal(t, "lively", string(r.Output))

	close(release)
	require.NoError(t, silent.Close(soon(t.Context(), t)))
	require.Zero(t, again, "a try that was lost runs no further step")
	r, err = lively.Result(t.Context(), "a/1")
	require.NoError(t, err)
	require.Equal(t, "lively", string(r.Output))
}
