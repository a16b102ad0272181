package servesql_test

import (
	"fmt"
	"path/filepath"
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
