package servesql_test

import (
	"fmt"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train/frame"
)

// TestLogView: people read the log as JSON, with any SQL tool.
func TestLogView(t *testing.T) {
	path := file(t)
	s := open(t, path)
	p := day(0)[0]
	p.Features = frame.Row{
		Schema: frame.Schema{{Name: "age", Kind: frame.Float64}, {Name: "plan", Kind: frame.String}, {Name: "paid", Kind: frame.Bool}, {Name: "n", Kind: frame.Int64}},
		Values: []frame.Value{frame.FloatValue(33.5), frame.StringValue(`größer, "pro"`), frame.BoolValue(true), {}},
	}
	p.Time, p.TraceID = time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC), "0af7"
	failed := p
	failed.ID, failed.Status, failed.Outputs, failed.Error = "failed", frame.TimedOut, frame.Row{}, "late"
	require.NoError(t, s.AppendPredictions(t.Context(), []serve.Prediction{p, failed}))
	for _, value := range []string{"DOWN", "UP"} {
		_, err := s.AppendLabels(t.Context(), []serve.Label{{ID: p.ID, Model: p.Model, Value: frame.StringValue(value)}})
		require.NoError(t, err)
	}

	const query = `SELECT time, id, row_index, attempt, variant, status, key, features, outputs, coalesce(label, '-'), coalesce(trace_id, '-'), coalesce(error, '-') FROM mlloop_serve_log`
	rows, err := pool(t, path).Query(query)
	require.NoError(t, err)
	defer func() { require.NoError(t, rows.Close()) }()
	var got []string
	for rows.Next() {
		c := make([]string, 12)
		require.NoError(t, rows.Scan(&c[0], &c[1], &c[2], &c[3], &c[4], &c[5], &c[6], &c[7], &c[8], &c[9], &c[10], &c[11]))
		got = append(got, fmt.Sprintf("%q", c))
	}
	require.NoError(t, rows.Err())
	features := `{"age":33.5,"plan":"größer, \"pro\"","paid":true,"n":null}`
	require.Equal(t, []string{
		fmt.Sprintf("%q", []string{"2026-01-02T03:04:05.678Z", "row-0", "0", "1", "primary", "answered", "row-0", features,
			`{"label":"UP","probability.0":0.3,"probability.1":0.7}`, "UP", "0af7", "-"}),
		fmt.Sprintf("%q", []string{"2026-01-02T03:04:05.678Z", "failed", "0", "1", "primary", "timed_out", "row-0", features, `{}`, "-", "0af7", "late"}),
	}, got)

	if sqlite3, err := exec.LookPath("sqlite3"); err == nil {
		out, err := exec.CommandContext(t.Context(), sqlite3, path, `SELECT features FROM mlloop_serve_log LIMIT 1`).CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.Equal(t, features+"\n", string(out))
	}
}

// TestWritersOfOneID: several handles, on pools whose transactions begin as
// readers, use one ID for different inputs and label it: each becomes an attempt
// of its own, numbered without gaps, and each label names the one before it.
func TestWritersOfOneID(t *testing.T) {
	const writers, each = 4, 10
	path := file(t)
	open(t, path) // makes the tables
	var wg sync.WaitGroup
	for w := range writers {
		db := pool(t, path+"?_pragma=busy_timeout(10000)&x=")
		s := on(db)
		wg.Go(func() {
			for i := range each {
				p := day(0)[0]
				p.Digest = uint64(w*each + i)
				if err := s.AppendPredictions(t.Context(), []serve.Prediction{p}); err != nil {
					t.Errorf("writer %d: %v", w, err)
				}
				if _, err := s.AppendLabels(t.Context(), []serve.Label{{ID: p.ID, Model: p.Model, Value: frame.IntValue(int64(p.Digest))}}); err != nil {
					t.Errorf("writer %d: %v", w, err)
				}
			}
		})
	}
	wg.Wait()
	s := open(t, path)
	ps, err := s.Predictions(t.Context(), serve.PredictionQuery{Model: "electricity"})
	require.NoError(t, err)
	require.Len(t, ps, writers*each)
	for i, p := range ps {
		require.Equal(t, i+1, p.Attempt)
	}
	ls, err := s.Labels(t.Context(), serve.LabelQuery{Model: "electricity"})
	require.NoError(t, err)
	require.Len(t, ls, writers*each)
	for i := 1; i < len(ls); i++ {
		require.Equal(t, ls[i-1].Truth.Value, ls[i].Truth.Replaces)
	}
	counts, err := s.Counts(t.Context(), "electricity")
	require.NoError(t, err)
	require.Equal(t, []int64{writers * each, writers*each - 1, 1, writers*each - 1},
		[]int64{counts.Predictions, counts.Reattempts, counts.Labels, counts.Corrections})
}
