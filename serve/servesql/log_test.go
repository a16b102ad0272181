package servesql_test

import (
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/sqlstore"
	"github.com/mlloop/mlloop/train/frame"
)

// TestLogView: people read the log as JSON, with any SQL tool.
func TestLogView(t *testing.T) { eachPlace(t, testLogView) }

func testLogView(t *testing.T, at place) {
	s := at.open(t)
	p := day(0)[0]
	p.Features = frame.Row{
		Schema: frame.Schema{
			{Name: "age", Kind: frame.Float64}, {Name: "plan", Kind: frame.String}, {Name: "paid", Kind: frame.Bool}, {Name: "n", Kind: frame.Int64},
			{Name: "odd", Kind: frame.String},
		},
		Values: []frame.Value{frame.FloatValue(33.5), frame.StringValue(`größer, "pro"`), frame.BoolValue(true), {}, frame.StringValue("a\x00b")},
	}
	p.Time, p.TraceID = time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC), "0af7"
	failed := p
	failed.ID, failed.Status, failed.Outputs, failed.Error = "failed", frame.TimedOut, frame.Row{}, "late"
	require.NoError(t, s.AppendPredictions(t.Context(), []serve.Prediction{p, failed}))
	for _, value := range []string{"DOWN", `UP "?`} {
		_, err := s.AppendLabels(t.Context(), []serve.Label{{ID: p.ID, Model: p.Model, Value: frame.StringValue(value)}})
		require.NoError(t, err)
	}

	db, err := sqlstore.Open(t.Context(), at.url, at.options())
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	const query = `SELECT time, id, row_index, attempt, variant, status, key, features, outputs, coalesce(label, '-'), coalesce(trace_id, '-'), coalesce(error, '-')
		FROM {p}serve_log ORDER BY seq`
	got, err := sqlstore.Select(t.Context(), db, func(row sqlstore.Scanner) ([]string, error) {
		c := make([]string, 12)
		return c, row.Scan(&c[0], &c[1], &c[2], &c[3], &c[4], &c[5], &c[6], &c[7], &c[8], &c[9], &c[10], &c[11])
	}, query)
	require.NoError(t, err)
	require.Len(t, got, 2)
	for _, row := range got {
		require.JSONEq(t, `{"age":33.5,"plan":"größer, \"pro\"","paid":true,"n":null,"odd":"a\u0000b"}`, row[7])
		require.Less(t, strings.Index(row[7], "age"), strings.Index(row[7], "paid"), "in the order of the columns")
		row[7] = ""
	}
	require.JSONEq(t, `{"label":"UP","probability.0":0.3,"probability.1":0.7}`, got[0][8])
	got[0][8] = ""
	require.Equal(t, []string{"2026-01-02T03:04:05.678Z", "row-0", "0", "1", "primary", "answered", "row-0", "", "", `UP "?`, "0af7", "-"}, got[0])
	require.Equal(t, []string{"2026-01-02T03:04:05.678Z", "failed", "0", "1", "primary", "timed_out", "row-0", "", "{}", "-", "0af7", "late"}, got[1])
}

// TestLogViewOnTheCommandLine: sqlite3 shows what the documentation says.
func TestLogViewOnTheCommandLine(t *testing.T) {
	sqlite3, err := exec.LookPath("sqlite3")
	if err != nil {
		t.Skip("sqlite3 is left out: install it to test the view with it")
	}
	path := file(t)
	require.NoError(t, open(t, path).AppendPredictions(t.Context(), day(0)[:1]))
	out, err := exec.CommandContext(t.Context(), sqlite3, path, `SELECT outputs FROM mlloop_serve_log LIMIT 1`).CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Equal(t, `{"label":"UP","probability.0":0.3,"probability.1":0.7}`+"\n", string(out))
}

// TestWritersOfOneID: several handles use one ID for different inputs and label
// it: each becomes an attempt of its own, numbered without gaps, and each label
// names the one before it.
func TestWritersOfOneID(t *testing.T) { eachPlace(t, testWritersOfOneID) }

func testWritersOfOneID(t *testing.T, at place) {
	const writers, each = 4, 10
	var wg sync.WaitGroup
	for w := range writers {
		s := at.open(t)
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
	s := at.open(t)
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
