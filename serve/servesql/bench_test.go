package servesql_test

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train/frame"
)

var features = frame.Schema{
	{Name: "feat_1", Kind: frame.Float64}, {Name: "feat_2", Kind: frame.Float64}, {Name: "feat_3", Kind: frame.Float64},
	{Name: "feat_4", Kind: frame.Float64}, {Name: "feat_5", Kind: frame.Float64}, {Name: "feat_6", Kind: frame.Float64},
}

var outputs = frame.Schema{{Name: "label", Kind: frame.String}, {Name: "probability.0", Kind: frame.Float64}, {Name: "probability.1", Kind: frame.Float64}}

// day returns 48 predictions of six features and two scores.
func day(n int) []serve.Prediction {
	ps := make([]serve.Prediction, 48)
	for i := range ps {
		values := make([]frame.Value, len(features))
		for j := range values {
			values[j] = frame.FloatValue(float64(i) / float64(j+3))
		}
		ps[i] = serve.Prediction{
			ID: fmt.Sprint("row-", 48*n+i), Model: "electricity", Version: 1, Variant: serve.Primary, Key: fmt.Sprint("row-", 48*n+i),
			Status: frame.Answered, Time: time.UnixMilli(int64(48*n + i)), Features: frame.Row{Schema: features, Values: values},
			Outputs: frame.Row{Schema: outputs, Values: []frame.Value{
				frame.StringValue("UP"), frame.FloatValue(0.3), frame.FloatValue(0.7),
			}},
			Propensity: 1, Latency: time.Microsecond,
		}
		ps[i].Digest = serve.Digest(ps[i].Features)
	}
	return ps
}

func labelsOf(ps []serve.Prediction) []serve.Label {
	ls := make([]serve.Label, len(ps))
	for i, p := range ps {
		ls[i] = serve.Label{ID: p.ID, Model: p.Model, Value: frame.StringValue("DOWN"), Time: p.Time}
	}
	return ls
}

// BenchmarkDay is one day of the electricity example: 48 predictions stored and
// committed, their labels stored, and all of them read back with their labels.
func BenchmarkDay(b *testing.B) {
	s := open(b, filepath.Join(b.TempDir(), "serve.db"))
	steps := map[string]func(b *testing.B, n int){
		"append": func(b *testing.B, n int) { require.NoError(b, s.AppendPredictions(b.Context(), day(n))) },
		"label": func(b *testing.B, n int) {
			unknown, err := s.AppendLabels(b.Context(), labelsOf(day(n)))
			require.NoError(b, err)
			require.Empty(b, unknown)
		},
		"read": func(b *testing.B, n int) {
			got, err := s.Labels(b.Context(), serve.LabelQuery{Model: "electricity", After: int64(48 * n), Limit: 48})
			require.NoError(b, err)
			require.Len(b, got, 48)
		},
	}
	spent, done := map[string]time.Duration{}, 0
	for b.Loop() {
		for _, name := range []string{"append", "label", "read"} {
			began := time.Now()
			steps[name](b, done)
			spent[name] += time.Since(began)
		}
		done++
	}
	for name, d := range spent {
		b.ReportMetric(float64(d.Microseconds())/float64(done), "µs/"+name)
	}
}

// BenchmarkAppend stores batches of 512 predictions. x/bare is the ratio to the
// same rows as JSON text in a bare table with one index, without attempts,
// counts and further indexes: what a service would write by hand.
func BenchmarkAppend(b *testing.B) {
	const rows = 512
	s := open(b, filepath.Join(b.TempDir(), "serve.db"))
	bare := pool(b, filepath.Join(b.TempDir(), "bare.db"))
	_, err := bare.Exec(`PRAGMA journal_mode = wal; PRAGMA synchronous = normal; CREATE TABLE log (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, features TEXT, outputs TEXT, time INTEGER)`)
	require.NoError(b, err)
	var spent, byHand time.Duration
	n := 0
	for b.Loop() {
		var ps []serve.Prediction
		for ; len(ps) < rows; n++ {
			ps = append(ps, day(n)...)
		}
		began := time.Now()
		require.NoError(b, s.AppendPredictions(b.Context(), ps[:rows]))
		spent += time.Since(began)
		began = time.Now()
		require.NoError(b, insertBare(b, bare, ps[:rows]))
		byHand += time.Since(began)
	}
	b.ReportMetric(float64(spent.Microseconds())/float64(b.N*rows), "µs/row")
	b.ReportMetric(float64(spent)/float64(byHand), "x/bare")
}

func insertBare(b *testing.B, db *sql.DB, ps []serve.Prediction) error {
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	for len(ps) > 0 {
		n := min(64, len(ps))
		var args []any
		for _, p := range ps[:n] {
			var columns [2][]any
			for i, row := range []frame.Row{p.Features, p.Outputs} {
				for _, v := range row.Values {
					if v.Kind() == frame.Float64 {
						columns[i] = append(columns[i], v.Float())
					} else {
						columns[i] = append(columns[i], v.Text())
					}
				}
			}
			features, err := json.Marshal(columns[0])
			require.NoError(b, err)
			outputs, err := json.Marshal(columns[1])
			require.NoError(b, err)
			args = append(args, p.ID, string(features), string(outputs), p.Time.UnixMilli())
		}
		if _, err := tx.Exec(`INSERT INTO log (id, features, outputs, time) VALUES `+strings.Repeat("(?,?,?,?),", n-1)+"(?,?,?,?)", args...); err != nil {
			return err
		}
		ps = ps[n:]
	}
	return tx.Commit()
}
