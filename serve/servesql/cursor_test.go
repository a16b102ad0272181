package servesql_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/crashtest"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/serve/servesql"
	"github.com/mlloop/mlloop/sqlstore"
	"github.com/mlloop/mlloop/train/frame"
)

// What the writers of TestCursorSkipsNothing do.
const (
	writerProcesses = 3
	writersOfEach   = 3
	batchesOfEach   = 12
)

var cursorModels = []string{"churn", "fraud"}

// appendBatches is a child: several writers store predictions of both models, in
// either order, and their labels.
func appendBatches(ctx context.Context, arg string) error {
	process, at, _ := strings.Cut(arg, " ")
	p := placeOf(at)
	s, err := servesql.Open(ctx, p.url, p.options())
	if err != nil {
		return err
	}
	defer s.Close()
	var wg sync.WaitGroup
	errs := make([]error, writersOfEach)
	for w := range writersOfEach {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(w), uint64(len(process))))
			for b := 0; b < batchesOfEach && errs[w] == nil; b++ {
				errs[w] = appendBatch(ctx, s, r, fmt.Sprint(process, "/", w, "/", b))
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func appendBatch(ctx context.Context, s *servesql.Store, r *rand.Rand, name string) error {
	var ps []serve.Prediction
	var ls []serve.Label
	n, first := 1+r.IntN(8), r.IntN(2)
	for i := range 2 * n {
		p := day(0)[0]
		p.Model, p.ID = cursorModels[(first+i)%2], fmt.Sprint(name, "/", i/2)
		ps = append(ps, p)
		ls = append(ls, serve.Label{ID: p.ID, Model: p.Model, Value: frame.IntValue(int64(i))})
	}
	if err := s.AppendPredictions(ctx, ps); err != nil {
		return err
	}
	unknown, err := s.AppendLabels(ctx, ls)
	if err == nil && len(unknown) > 0 {
		err = fmt.Errorf("%d labels are unknown", len(unknown))
	}
	if err == nil {
		fmt.Println(n)
	}
	return err
}

// follower reads a model's log by its cursors.
type follower struct {
	model             string
	after, afterLabel int64
	seen, labels      map[string]bool
}

func (f *follower) read(t *testing.T, s *servesql.Store) (n int) {
	ps, err := s.Predictions(t.Context(), serve.PredictionQuery{Model: f.model, After: f.after, Limit: 50})
	require.NoError(t, err)
	for _, p := range ps {
		require.Greater(t, p.Seq, f.after)
		require.False(t, f.seen[p.ID])
		f.seen[p.ID], f.after = true, p.Seq
	}
	ls, err := s.Labels(t.Context(), serve.LabelQuery{Model: f.model, After: f.afterLabel, Limit: 50})
	require.NoError(t, err)
	for _, l := range ls {
		require.Greater(t, l.Truth.Seq, f.afterLabel)
		require.False(t, f.labels[l.Truth.ID])
		f.labels[l.Truth.ID], f.afterLabel = true, l.Truth.Seq
	}
	return len(ps) + len(ls)
}

// TestCursorSkipsNothing: processes with several writers each store predictions
// and labels of two models, while a reader follows by the cursors: it meets each
// record once, and misses none.
func TestCursorSkipsNothing(t *testing.T) { eachPlace(t, testCursorSkipsNothing) }

func testCursorSkipsNothing(t *testing.T, p place) {
	s := p.open(t)
	stored := make([]int, writerProcesses) // of each model
	ended := make(chan error)
	for i := range stored {
		child := crashtest.Start(t, fmt.Sprint("append ", i, " ", p), nil, func(line string) {
			n, err := strconv.Atoi(line)
			if err != nil {
				t.Errorf("process %d: %s", i, line)
			}
			stored[i] += n
		})
		go func() { ended <- child.Wait() }()
	}
	var followers []*follower
	for _, model := range cursorModels {
		followers = append(followers, &follower{model: model, seen: map[string]bool{}, labels: map[string]bool{}})
	}
	for running := writerProcesses; running > 0; {
		for _, f := range followers {
			f.read(t, s)
		}
		select {
		case err := <-ended:
			require.NoError(t, err)
			running--
		default:
		}
	}
	want := stored[0] + stored[1] + stored[2]
	require.GreaterOrEqual(t, want, writerProcesses*writersOfEach*batchesOfEach)
	for _, f := range followers {
		for f.read(t, s) > 0 { // what came last
		}
		require.Len(t, f.seen, want)
		require.Len(t, f.labels, want)
		counts, err := s.Counts(t.Context(), f.model)
		require.NoError(t, err)
		require.Equal(t, []int64{int64(want), int64(want)}, []int64{counts.Predictions, counts.Labels})
	}
}

// TestLateCommit: a service stores predictions in its own transaction and takes
// its time; what another one stores meanwhile gets higher numbers and is seen
// after them.
func TestLateCommit(t *testing.T) { eachPlace(t, testLateCommit) }

func testLateCommit(t *testing.T, p place) {
	s := p.open(t)
	db, err := sqlstore.Open(t.Context(), p.url, p.options())
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	one, two := day(0)[:1], day(0)[1:2]
	require.NoError(t, s.AppendPredictions(t.Context(), day(1)[:1]))
	f := follower{model: "electricity", seen: map[string]bool{}, labels: map[string]bool{}}
	f.read(t, s)

	tx, err := db.Pool().BeginTx(t.Context(), nil)
	require.NoError(t, err)
	defer func() { _ = tx.Rollback() }()
	require.NoError(t, servesql.New(db).WithTx(tx).AppendPredictions(t.Context(), one))
	other := make(chan error, 1)
	go func() { other <- s.AppendPredictions(t.Context(), two) }()
	select {
	case err := <-other:
		require.NoError(t, err)
		t.Error("the second writer did not wait for the first one")
	case <-time.After(100 * time.Millisecond):
	}
	require.Zero(t, f.read(t, s), "nothing is committed yet")
	require.NoError(t, tx.Commit())
	require.NoError(t, <-other)
	require.Equal(t, 2, f.read(t, s))
	require.Equal(t, map[string]bool{"row-48": true, one[0].ID: true, two[0].ID: true}, f.seen)
}
