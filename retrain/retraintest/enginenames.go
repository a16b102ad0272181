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

// This file holds the cases of RunEngine about names that come and go, and about
// what is kept.

func checkRegister(t *testing.T, next func() retrain.Engine) {
	var ran atomic.Int64
	e := next()
	require.NoError(t, e.Register("count", counting(&ran)))
	require.ErrorIs(t, e.Register("count", counting(&ran)), fault.AlreadyExists)
	require.NoError(t, e.Launch(t.Context()))
	require.ErrorIs(t, e.Register("count", counting(&ran)), fault.AlreadyExists)
	require.ErrorIs(t, e.Start(t.Context(), "late", "a/1", nil), fault.NotFound)
	require.NoError(t, e.Register("late", counting(&ran)))
	require.NoError(t, e.Start(t.Context(), "late", "a/1", nil))
	requireOutput(t, e, "a/1", "done")
}

func checkRegisterLate(t *testing.T, next func() retrain.Engine) {
	var ran atomic.Int64
	interrupted(t, next(), &ran)
	e := next()
	require.NoError(t, e.Launch(t.Context()))
	requireRunning(t, e, "a/1")
	require.NoError(t, e.Register("w", resumed(&ran)))
	requireOutput(t, e, "a/1", "done with input")
	require.EqualValues(t, 1, ran.Load())
}

func checkUnregister(t *testing.T, next func() retrain.Engine) {
	var ran atomic.Int64
	began := make(chan struct{}, 1)
	e := next()
	require.ErrorIs(t, e.Unregister("w"), fault.NotFound)
	require.NoError(t, e.Register("other", counting(new(atomic.Int64))))
	require.NoError(t, e.Register("w", func(ctx context.Context, steps retrain.Steps, input []byte) ([]byte, error) {
		if _, err := counting(&ran)(ctx, steps, input); err != nil {
			return nil, err
		}
		return blocking(began, nil)(ctx, steps, input)
	}))
	require.NoError(t, e.Launch(t.Context()))
	require.NoError(t, e.Start(t.Context(), "w", "a/1", []byte("input")))
	requireSignal(t, began)
	require.NoError(t, e.Unregister("w"))
	require.ErrorIs(t, e.Unregister("w"), fault.NotFound)
	require.ErrorIs(t, e.Start(t.Context(), "w", "a/2", nil), fault.NotFound)
	require.NoError(t, e.Start(t.Context(), "other", "a/3", nil))
	requireOutput(t, e, "a/3", "done")
	requireRunning(t, e, "a/1")
	require.NoError(t, e.Register("w", resumed(&ran)))
	requireOutput(t, e, "a/1", "done with input")
	require.EqualValues(t, 1, ran.Load(), "a recorded step is not run again")
}

// listed returns what List yields, as "id name done".
func listed(t *testing.T, e retrain.Engine, q retrain.ListQuery) []string {
	t.Helper()
	var all []string
	for x, err := range e.List(soon(t), q) {
		require.NoError(t, err)
		require.WithinRange(t, x.Started, time.Now().Add(-time.Hour), time.Now().Add(time.Second))
		require.Equal(t, x.Result.Done, !x.Ended.IsZero())
		all = append(all, fmt.Sprintf("%s %s %v", x.ID, x.Name, x.Result.Done))
	}
	return all
}

func checkList(t *testing.T, next func() retrain.Engine) {
	e := next()
	require.NoError(t, e.Register("count", counting(new(atomic.Int64))))
	began := make(chan struct{}, 1)
	require.NoError(t, e.Register("block", blocking(began, nil)))
	require.NoError(t, e.Launch(t.Context()))
	require.Empty(t, listed(t, e, retrain.ListQuery{}))
	var from time.Time
	for i, id := range []string{"a_1", "a%2", "ab/1", "b/1"} {
		if i == 2 {
			time.Sleep(5 * time.Millisecond)
			from = time.Now()
			time.Sleep(5 * time.Millisecond)
		}
		require.NoError(t, e.Start(t.Context(), "count", id, nil))
		requireOutput(t, e, id, "done")
		time.Sleep(2 * time.Millisecond) // so that the order is that of the starts
	}
	require.NoError(t, e.Start(t.Context(), "block", "a_3", nil))
	requireSignal(t, began)
	all := []string{"a_1 count true", "a%2 count true", "ab/1 count true", "b/1 count true", "a_3 block false"}
	require.Equal(t, all, listed(t, e, retrain.ListQuery{}))
	require.Equal(t, all[4:], listed(t, e, retrain.ListQuery{Name: "block"}))
	require.Equal(t, all[4:], listed(t, e, retrain.ListQuery{Unfinished: true}))
	require.Equal(t, []string{all[0], all[4]}, listed(t, e, retrain.ListQuery{Prefix: "a_"}))
	require.Equal(t, all[1:2], listed(t, e, retrain.ListQuery{Prefix: "a%"}))
	require.Equal(t, all[2:], listed(t, e, retrain.ListQuery{From: from}))
	for x, err := range e.List(t.Context(), retrain.ListQuery{}) {
		require.NoError(t, err)
		require.Equal(t, "done", string(x.Result.Output))
		break // a caller may stop early
	}
}

func checkForget(t *testing.T, next func() retrain.Engine) {
	var ran atomic.Int64
	interrupted(t, next(), &ran) // a/1, with a step recorded
	e := next()
	require.NoError(t, e.Register("count", counting(&ran)))
	require.NoError(t, e.Register("await", awaiting(1, 0)))
	require.NoError(t, e.Launch(t.Context()))
	require.NoError(t, e.Start(t.Context(), "count", "a/2", nil))
	requireOutput(t, e, "a/2", "done")
	require.NoError(t, e.Start(t.Context(), "await", "a/3", nil))
	require.NoError(t, e.Signal(t.Context(), "a/3", "approval", []byte("old")))
	require.NoError(t, e.Cancel(t.Context(), "a/3"))
	n, err := e.Forget(t.Context(), time.Now().Add(-time.Minute))
	require.NoError(t, err)
	require.Zero(t, n, "they ended later")
	n, err = e.Forget(t.Context(), time.Now().Add(time.Minute))
	require.NoError(t, err)
	require.Equal(t, 2, n)
	_, err = e.Result(t.Context(), "a/2")
	require.ErrorIs(t, err, fault.NotFound)
	require.Equal(t, []string{"a/1 w false"}, listed(t, e, retrain.ListQuery{}))
	require.NoError(t, e.Start(t.Context(), "count", "a/2", nil), "a forgotten id is new")
	requireOutput(t, e, "a/2", "done")
	require.EqualValues(t, 3, ran.Load())
	require.NoError(t, e.Start(t.Context(), "await", "a/3", nil))
	require.NoError(t, e.Signal(t.Context(), "a/3", "other", nil))
	require.NoError(t, e.Signal(t.Context(), "a/3", "approval", []byte("new")))
	requireOutput(t, e, "a/3", "approval=new(true) other=(true) ")
	require.NoError(t, e.Register("w", resumed(&ran)))
	requireOutput(t, e, "a/1", "done with input")
	require.EqualValues(t, 3, ran.Load(), "what is unfinished keeps its steps")
}
