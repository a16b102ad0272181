package retraindbos_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retraindbos"
)

// Lists and deletions go through pages: nothing is skipped, nothing comes twice,
// though many workflows begin in one millisecond and have several tries.
func TestPages(t *testing.T) { each(t, testPages) }

func testPages(t *testing.T, dir string) {
	const n = 210 // more than a page of either
	e := openEngine(t, dir, nil)
	require.NoError(t, e.Register("count", func(ctx context.Context, steps retrain.Steps, input []byte) ([]byte, error) {
		return input, nil
	}))
	began := make(chan struct{}, 1)
	require.NoError(t, e.Register("hang", blocking("", began, nil)))
	require.NoError(t, e.Launch(t.Context()))
	require.NoError(t, e.Start(t.Context(), "hang", `odd\id_%`, nil))
	<-began
	require.NoError(t, e.Signal(t.Context(), `odd\id_%`, "approval/@1#", []byte("kept")))
	var want []string
	for i := range n {
		id := fmt.Sprintf("a/%d", i)
		want = append(want, id)
		require.NoError(t, e.Start(t.Context(), "count", id, []byte(id)))
	}
	for _, id := range want {
		_, err := e.Wait(soon(t.Context(), t), id)
		require.NoError(t, err)
	}
	ids := listed(t, e, retrain.ListQuery{})
	require.Equal(t, `odd\id_%`, ids[0])
	slices.Sort(ids)
	slices.Sort(want)
	require.Equal(t, want, ids[:n])
	require.Len(t, ids, n+1)
	require.Equal(t, []string{`odd\id_%`}, listed(t, e, retrain.ListQuery{Prefix: `odd\i`}))

	forgotten, err := e.Forget(t.Context(), time.Now().Add(time.Minute))
	require.NoError(t, err)
	require.Equal(t, n, forgotten)
	require.Equal(t, []string{`odd\id_%`}, listed(t, e, retrain.ListQuery{}))
	require.NoError(t, e.Cancel(t.Context(), `odd\id_%`)) // two tries, and a signal
	forgotten, err = e.Forget(t.Context(), time.Now().Add(time.Minute))
	require.NoError(t, err)
	require.Equal(t, 1, forgotten)
	require.Zero(t, e.Rows(t), "no try, step or signal is left")
}

func listed(t *testing.T, e retrain.Engine, q retrain.ListQuery) (ids []string) {
	t.Helper()
	for x, err := range e.List(soon(t.Context(), t), q) {
		require.NoError(t, err)
		ids = append(ids, x.ID)
	}
	return ids
}

// What a process no longer has a name for goes on in another live one.
func TestUnregisteredElsewhere(t *testing.T) { each(t, testUnregisteredElsewhere) }

func testUnregisteredElsewhere(t *testing.T, dir string) {
	first, second := openEngine(t, dir, &shortLease), openEngine(t, dir, &shortLease)
	began := make(chan struct{}, 1)
	require.NoError(t, second.Register("w", blocking("second", make(chan struct{}, 1), closed())))
	require.NoError(t, second.Launch(t.Context()))
	require.NoError(t, first.Launch(t.Context()))
	require.NoError(t, first.Register("w", blocking("first", began, nil)))
	require.NoError(t, first.Start(t.Context(), "w", "a/1", nil))
	<-began
	require.NoError(t, first.Unregister("w"))
	r, err := first.Wait(soon(t.Context(), t), "a/1")
	require.NoError(t, err)
	require.Equal(t, "second", string(r.Output))
}

// A name that comes back while the step of its former workflow still runs waits
// for it: no step runs twice at one time.
func TestRegisteredAgain(t *testing.T) { each(t, testRegisteredAgain) }

func testRegisteredAgain(t *testing.T, dir string) {
	e := openEngine(t, dir, &shortLease)
	var at atomic.Int64
	began, release := make(chan struct{}, 2), make(chan struct{})
	heedless := func(ctx context.Context, steps retrain.Steps, _ []byte) ([]byte, error) {
		return steps.Do(ctx, "step", func(context.Context) ([]byte, error) {
			defer at.Add(-1)
			if at.Add(1) > 1 {
				t.Error("a step runs twice at one time")
			}
			began <- struct{}{}
			<-release
			return nil, context.Canceled
		}, nil)
	}
	require.NoError(t, e.Launch(t.Context()))
	require.NoError(t, e.Register("w", heedless))
	require.NoError(t, e.Start(t.Context(), "w", "a/1", nil))
	<-began
	require.NoError(t, e.Unregister("w"))
	require.NoError(t, e.Register("w", heedless))
	time.Sleep(4 * shortLease.Lease)
	require.Empty(t, began)
	close(release)
	_, err := e.Wait(soon(t.Context(), t), "a/1")
	require.NoError(t, err)
	require.Len(t, began, 1)
}

// A signal that was sent in another process is seen.
func TestSignalElsewhere(t *testing.T) { each(t, testSignalElsewhere) }

func testSignalElsewhere(t *testing.T, dir string) {
	first, second := openEngine(t, dir, nil), openEngine(t, dir, nil)
	require.NoError(t, first.Register("w", func(ctx context.Context, steps retrain.Steps, _ []byte) ([]byte, error) {
		data, _, err := steps.Await(ctx, "approval", time.Minute)
		return data, err
	}))
	for _, e := range []*retraindbos.Engine{first, second} {
		require.NoError(t, e.Launch(t.Context()))
	}
	require.NoError(t, first.Start(t.Context(), "w", "a/1", nil))
	time.Sleep(time.Second)
	begin := time.Now()
	require.NoError(t, second.Signal(t.Context(), "a/1", "approval", []byte("yes")))
	r, err := second.Wait(soon(t.Context(), t), "a/1")
	require.NoError(t, err)
	require.Equal(t, "yes", string(r.Output))
	require.Less(t, time.Since(begin), 5*time.Second)
}
