package trackingtest

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/tracking"
)

func params(t *testing.T, s tracking.Store) {
	newRun(t, s, "r")
	newRun(t, s, "other")
	log(t, s, "r", tracking.Batch{Params: map[string]string{"lr": "0.1", "layers": "2"}})
	log(t, s, "r", tracking.Batch{Params: map[string]string{"lr": "0.1", "empty": ""}})
	log(t, s, "other", tracking.Batch{Params: map[string]string{"lr": "0.2"}})
	want := map[string]string{"lr": "0.1", "layers": "2", "empty": ""}
	require.Equal(t, want, get(t, s, "r").Params)

	err := s.Log(t.Context(), "r", tracking.Batch{Params: map[string]string{"lr": "0.2"}})
	require.ErrorIs(t, err, fault.AlreadyExists)
	for _, part := range []string{"lr", "0.1", "0.2"} {
		require.ErrorContains(t, err, part, "the error names the key and both values")
	}
	require.ErrorIs(t, s.Log(t.Context(), "r", tracking.Batch{Params: map[string]string{"empty": "x"}}), fault.AlreadyExists)
	require.Equal(t, want, get(t, s, "r").Params)
}

func batchIsAtomic(t *testing.T, s tracking.Store) {
	newRun(t, s, "r")
	log(t, s, "r", tracking.Batch{Params: map[string]string{"p": "1"}, Tags: map[string]string{"t": "old"}})
	before := get(t, s, "r")
	err := s.Log(t.Context(), "r", tracking.Batch{
		Metrics:   []tracking.Metric{{Key: "m", Value: 1, Time: at(1)}},
		Params:    map[string]string{"a": "new", "p": "2", "z": "new"},
		Tags:      map[string]string{"t": "new"},
		Inputs:    []tracking.Input{{Name: "n", Digest: "d"}},
		Artifacts: []tracking.Artifact{{Path: "a", Digest: "d"}},
	})
	require.ErrorIs(t, err, fault.AlreadyExists)
	require.Equal(t, before, get(t, s, "r"))
	points, err := s.MetricHistory(t.Context(), "r", "m")
	require.NoError(t, err)
	require.Empty(t, points)
}

func tags(t *testing.T, s tracking.Store) {
	newRun(t, s, "r")
	log(t, s, "r", tracking.Batch{Tags: map[string]string{"a": "1", "b": "1"}})
	log(t, s, "r", tracking.Batch{Tags: map[string]string{"a": "2", "c": ""}})
	require.Equal(t, map[string]string{"a": "2", "b": "1", "c": ""}, get(t, s, "r").Tags)
}

func inputs(t *testing.T, s tracking.Store) {
	newRun(t, s, "r")
	train := tracking.Input{Name: "elec", Digest: "d1", Context: "training", Source: "elec.csv", Rows: 8712}
	check := tracking.Input{Name: "elec", Digest: "d1", Context: "validation", Rows: 1 << 40}
	later := tracking.Input{Name: "elec", Digest: "d2", Context: "training"}
	other := tracking.Input{Name: "a", Digest: "d9"}
	log(t, s, "r", tracking.Batch{Inputs: []tracking.Input{later, check}})
	moved := train
	moved.Source = "elsewhere"
	log(t, s, "r", tracking.Batch{Inputs: []tracking.Input{train, other, moved}})
	require.Equal(t, []tracking.Input{other, train, check, later}, get(t, s, "r").Inputs)
}

func artifacts(t *testing.T, s tracking.Store) {
	newRun(t, s, "r")
	log(t, s, "r", tracking.Batch{Artifacts: []tracking.Artifact{{Path: "b/c", Digest: "1", Size: 1}, {Path: "a", Digest: "2", Size: 1 << 40}}})
	log(t, s, "r", tracking.Batch{Artifacts: []tracking.Artifact{{Path: "b/c", Digest: "3", Size: 0}, {Path: "b", Digest: "4", Size: 4}, {Path: "b", Digest: "5", Size: 5}}})
	want := []tracking.Artifact{{Path: "a", Digest: "2", Size: 1 << 40}, {Path: "b", Digest: "5", Size: 5}, {Path: "b/c", Digest: "3"}}
	require.Equal(t, want, get(t, s, "r").Artifacts)
}

func metricValues(t *testing.T, s tracking.Store) {
	newRun(t, s, "r")
	values := []float64{0, 1, -1, 0.1, math.Pi, 1.0 / 3, math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64,
		5e-324, 1e300, 1 << 53, 1<<53 + 2, math.NaN(), math.Inf(1), math.Inf(-1)}
	steps := []int64{0, 1, -1, math.MaxInt64, math.MinInt64, 1 << 53, 1<<53 + 1}
	var sent []tracking.Metric
	for i, v := range values {
		sent = append(sent, tracking.Metric{Key: fmt.Sprintf("v%02d", i), Value: v, Step: steps[i%len(steps)], Time: at(int64(i))})
	}
	log(t, s, "r", tracking.Batch{Metrics: sent})
	latest := get(t, s, "r").Metrics
	require.Len(t, latest, len(sent))
	for _, want := range sent {
		require.Equal(t, printed(want), printed(latest[want.Key]))
		history, err := s.MetricHistory(t.Context(), "r", want.Key)
		require.NoError(t, err)
		require.Equal(t, printed([]tracking.Metric{want}), printed(history))
	}
}

func metricLatest(t *testing.T, s tracking.Store) {
	nan := math.NaN()
	// Every point is later than the one before it.
	rising := []tracking.Metric{
		{Key: "m", Value: 9, Step: -5, Time: at(9)},
		{Key: "m", Value: 9, Step: 1, Time: at(-1)},
		{Key: "m", Value: nan, Step: 1, Time: at(2)},
		{Key: "m", Value: math.Inf(-1), Step: 1, Time: at(2)},
		{Key: "m", Value: -3, Step: 1, Time: at(2)},
		{Key: "m", Value: 4, Step: 1, Time: at(2)},
		{Key: "m", Value: math.Inf(1), Step: 1, Time: at(2)},
		{Key: "m", Value: 0, Step: 2, Time: at(0)},
	}
	for i := range rising {
		// The latest of the points up to i, whatever their order and batches.
		id := fmt.Sprintf("r%d", i)
		newRun(t, s, id)
		falling := slices.Clone(rising[:i+1])
		slices.Reverse(falling)
		log(t, s, id, tracking.Batch{Metrics: falling})
		require.Equal(t, printed(rising[i]), printed(get(t, s, id).Metrics["m"]), "one batch")

		id += "b"
		newRun(t, s, id)
		for _, m := range falling {
			log(t, s, id, tracking.Batch{Metrics: []tracking.Metric{m}})
		}
		require.Equal(t, printed(rising[i]), printed(get(t, s, id).Metrics["m"]), "the latest first")
		id += "b"
		newRun(t, s, id)
		for _, m := range rising[:i+1] {
			log(t, s, id, tracking.Batch{Metrics: []tracking.Metric{m}})
		}
		require.Equal(t, printed(rising[i]), printed(get(t, s, id).Metrics["m"]), "the latest last")
	}
}

func metricHistory(t *testing.T, s tracking.Store) {
	newRun(t, s, "r")
	newRun(t, s, "other")
	sorted := []tracking.Metric{
		{Key: "m", Value: 5, Step: -1, Time: at(9)},
		{Key: "m", Value: math.NaN(), Step: 0, Time: at(1)},
		{Key: "m", Value: -2, Step: 0, Time: at(1)},
		{Key: "m", Value: 0, Step: 0, Time: at(1)},
		{Key: "m", Value: -7, Step: 0, Time: at(2)},
		{Key: "m", Value: 1, Step: 1, Time: at(0)},
	}
	shuffled := []tracking.Metric{sorted[3], sorted[5], sorted[1], sorted[0], sorted[4], sorted[2]}
	log(t, s, "r", tracking.Batch{Metrics: append(shuffled[:4:4], shuffled[1], shuffled[2])})
	log(t, s, "r", tracking.Batch{Metrics: shuffled[2:]})
	log(t, s, "r", tracking.Batch{Metrics: []tracking.Metric{{Key: "n", Value: 1, Time: at(0)}}})
	log(t, s, "other", tracking.Batch{Metrics: []tracking.Metric{{Key: "m", Value: 8, Time: at(0)}}})
	points, err := s.MetricHistory(t.Context(), "r", "m")
	require.NoError(t, err)
	require.Equal(t, printed(sorted), printed(points))
}

func largeBatch(t *testing.T, s tracking.Store) {
	newRun(t, s, "r")
	var b tracking.Batch
	for i := range 1000 {
		b.Metrics = append(b.Metrics, tracking.Metric{Key: fmt.Sprintf("m%d", i%250), Value: float64(i), Step: int64(i), Time: at(int64(i))})
	}
	log(t, s, "r", b)
	log(t, s, "r", b) // again is a no-op
	r := get(t, s, "r")
	require.Len(t, r.Metrics, 250)
	for i, want := range b.Metrics[750:] {
		require.Equal(t, want, r.Metrics[fmt.Sprintf("m%d", i)])
	}
	points, err := s.MetricHistory(t.Context(), "r", "m7")
	require.NoError(t, err)
	require.Equal(t, []tracking.Metric{b.Metrics[7], b.Metrics[257], b.Metrics[507], b.Metrics[757]}, points)
}

func emptyBatch(t *testing.T, s tracking.Store) {
	newRun(t, s, "r")
	before := get(t, s, "r")
	log(t, s, "r", tracking.Batch{})
	log(t, s, "r", tracking.Batch{Metrics: []tracking.Metric{}, Params: map[string]string{}, Tags: map[string]string{}})
	require.Equal(t, before, get(t, s, "r"))
}

func copies(t *testing.T, s tracking.Store) {
	newRun(t, s, "r")
	b := tracking.Batch{
		Metrics:   []tracking.Metric{{Key: "m", Value: 1, Time: at(0)}},
		Params:    map[string]string{"p": "1"},
		Tags:      map[string]string{"t": "1"},
		Inputs:    []tracking.Input{{Name: "n", Digest: "d"}},
		Artifacts: []tracking.Artifact{{Path: "a", Digest: "d"}},
	}
	log(t, s, "r", b)
	want := printed(get(t, s, "r"))

	b.Metrics[0].Value, b.Params["p"], b.Tags["t"], b.Inputs[0].Name, b.Artifacts[0].Path = 2, "2", "2", "x", "x"
	require.Equal(t, want, printed(get(t, s, "r")), "the batch is the caller's")

	r := get(t, s, "r")
	r.Params["p"], r.Tags["t"], r.Inputs[0].Name, r.Artifacts[0].Path = "3", "3", "y", "y"
	r.Metrics["m"] = tracking.Metric{}
	require.Equal(t, want, printed(get(t, s, "r")), "a record is the caller's")
	points, err := s.MetricHistory(t.Context(), "r", "m")
	require.NoError(t, err)
	points[0].Value = 4
	require.Equal(t, want, printed(get(t, s, "r")), "a history is the caller's")
}
