package retrain

import (
	"context"
	"database/sql"
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/train"
	"github.com/mlloop/mlloop/train/feature"
)

// costGate is a gate of the service's own.
type costGate struct {
	limit float64
	note  *string
}

func (costGate) Name() string { return "cost" }

func (costGate) Judge(context.Context, Candidate) (Verdict, error) {
	return Verdict{Gate: "cost", Outcome: Pass}, nil
}

func configured() Config {
	note := "per customer"
	return Config{
		Model: "churn", Time: "seen_at", Label: "churned", LabelDelay: 36 * time.Hour,
		Features: feature.Pipeline{feature.Impute(), feature.OneHot("plan")},
		Trainer:  train.MLP{Hidden: []int{8}, LearningRate: 0.01},
		Gates:    []Gate{NonInferior("auc", 0.01), AtLeast("accuracy", 0.7), SmokeTest(), costGate{3, &note}},
		Triggers: []Trigger{OnDrift(), OnDecay("auc", 0.03), Cron("0 3 * * 1"), Every(time.Hour)},
		Rollout:  ShadowThenCanary(0.05, 0.25, 1),
		Seed:     7,
	}.withDefaults()
}

// TestConfigurationJSON holds the stored form of a configuration, which later
// releases read: it is canonical, and names code by type and Go value.
func TestConfigurationJSON(t *testing.T) {
	c := configurationOf(configured())
	c.Program = program{Path: "shop", Revision: "abc"}
	raw, err := json.Marshal(c)
	require.NoError(t, err)
	again, err := json.Marshal(c)
	require.NoError(t, err)
	require.Equal(t, string(raw), string(again))
	require.JSONEq(t, `{
		"format": 1, "model": "churn", "time": "seen_at", "entity": "", "label": "churned", "inputs": null,
		"label_delay": "36h0m0s", "holdout": "0s",
		"features": {"type": "feature.Pipeline", "value": [{"type": "feature.Step", "Op": "impute", "Columns": null}, {"type": "feature.Step", "Op": "one_hot", "Columns": ["plan"]}]},
		"trainer": {"type": "train.MLP", "Hidden": [8], "Activation": "", "Epochs": 0, "Batch": 0, "LearningRate": 0.01, "Decay": 0,
			"WeightDecay": 0, "Validation": 0, "Patience": 0, "Refit": false},
		"gates": [
			{"name": "non-inferior: auc by 0.01", "type": "retrain.comparison", "kind": "non-inferior", "metric": "auc", "limit": 0.01},
			{"name": "at least: accuracy 0.7", "type": "retrain.atLeast", "kind": "at least", "metric": "accuracy", "limit": 0.7},
			{"name": "smoke test", "type": "retrain.smokeTest", "kind": "smoke test", "limit": 0},
			{"name": "cost", "type": "retrain.costGate", "limit": 0, "value": {"type": "retrain.costGate", "limit": 3, "note": "per customer"}}],
		"triggers": [{"type": "retrain.onDrift"}, {"type": "retrain.onDecay", "metric": "auc", "drop": 0.03}, {"type": "retrain.cron", "value": "0 3 * * 1"}, {"type": "retrain.every", "value": "1h0m0s"}],
		"policy": {"type": "retrain.Policy", "Cooldown": "36h0m0s", "Per": "0s", "MaxFailures": 5, "Worse": 1.5, "MaxBackoff": "336h0m0s"},
		"rollout": {"shadow": "24h0m0s", "metric": "log_loss", "margin": 0.05, "min_labels": 0, "weights": [0.05, 0.25], "bake": "24h0m0s",
			"rollback_margin": 0.25, "failure_margin": 0.01, "patience": 4, "shadow_rate": 20, "inconclusive": "keep champion"},
		"drift": null, "mode": "", "inconclusive": "keep champion", "fit_timeout": "6h0m0s", "seed": 7,
		"program": {"path": "shop", "version": "", "revision": "abc", "modified": false, "go": ""}}`, string(raw))
}

// TestTermsReadBack: what a stored configuration decides by is what it was made
// from; a gate that is code is the present program's of that type, and one that
// the program lacks lets nothing pass.
func TestTermsReadBack(t *testing.T) {
	was, is := configured(), configured()
	is.Rollout, is.LabelDelay, is.Holdout, is.Inconclusive = Rollout{}.withDefaults(), day, 9*day, GoOn
	is.Gates = []Gate{costGate{5, nil}, NoHarm("auc", 0.2)}
	raw, err := json.Marshal(configurationOf(was))
	require.NoError(t, err)
	l := &Loop{config: is, digest: "is"}
	l.config.Stores = &Stores{Retrain: configStore{configs: map[string][]byte{"was": raw}}}
	got, err := l.readTerms(t.Context(), "was")
	require.NoError(t, err)
	want := termsOf(was)
	want.Gates = []Gate{NonInferior("auc", 0.01), AtLeast("accuracy", 0.7), SmokeTest(), costGate{5, nil}}
	require.Equal(t, comparisonsOf(want), comparisonsOf(got))
	require.Equal(t, want.Gates[1:], got.Gates[1:])
	want.Gates, got.Gates = nil, nil
	require.Equal(t, want, got)

	l.config.Gates = nil
	got, err = l.readTerms(t.Context(), "was")
	require.NoError(t, err)
	require.Equal(t, "cost", got.Gates[3].Name())
	_, err = got.Gates[3].Judge(t.Context(), Candidate{})
	require.ErrorContains(t, err, "a gate of type retrain.costGate, which this program has not")
}

// comparisonsOf names the comparisons: functions cannot be compared.
func comparisonsOf(t terms) (names []string) {
	for _, g := range t.Gates {
		names = append(names, g.Name())
	}
	return names
}

// configStore is a Store of configurations alone.
type configStore struct {
	UnimplementedStore
	configs map[string][]byte
}

func (s configStore) Config(_ context.Context, digest string) ([]byte, error) {
	if raw, ok := s.configs[digest]; ok {
		return raw, nil
	}
	return nil, ErrNotFound
}

// TestDescribe: nothing that a service may put into a Trainer or a Gate ends the
// program, says what is secret, or says another thing the next time.
func TestDescribe(t *testing.T) {
	type ring struct {
		Next *ring
		N    int
	}
	loop := &ring{N: 1}
	loop.Next = loop
	db := new(sql.DB)
	for name, c := range map[string]struct {
		value any
		want  string
	}{
		"nothing":           {nil, `null`},
		"no number":         {map[string]any{"a": math.NaN(), "b": math.Inf(-1)}, `{"a": "NaN", "b": "-Inf"}`},
		"a nil pointer":     {(*ring)(nil), `null`},
		"a ring":            {loop, `{"type": "retrain.ring", "N": 1, "Next": {"type": "retrain.ring", "N": 1, "Next": {"type": "retrain.ring", "N": 1, "Next": {"type": "…", "N": "…"}}}}`},
		"a connection":      {struct{ DB *sql.DB }{db}, `{"type": "struct { DB *sql.DB }", "DB": "sql.DB"}`},
		"a channel":         {make(chan int), `"chan int"`},
		"a command":         {train.Command{Name: "fit", Env: []string{"TOKEN=s3cret", "N"}}, `{"type": "train.Command", "Name": "fit", "Args": null, "Dir": "", "Env": ["TOKEN", "N"]}`},
		"keys that are not": {map[int]bool{2: true, 1: false}, `{"1": false, "2": true}`},
		"text that is none": {"a\xff", `"a\uFFFD"`},
		"a point in time":   {time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC), `"2026-03-02T00:00:00Z"`},
	} {
		if name == "a ring" {
			raw, err := json.Marshal(describe(c.value))
			require.NoError(t, err)
			require.Less(t, len(raw), 1000)
			require.Contains(t, string(raw), `"…"`)
			continue
		}
		for range 3 {
			raw, err := json.Marshal(describe(c.value))
			require.NoError(t, err, name)
			require.JSONEq(t, c.want, string(raw), name)
		}
	}
}

func TestDescribeChanges(t *testing.T) {
	text, err := describeChanges(
		[]byte(`{"rollout": {"shadow": "24h0m0s", "weights": [0.05, 0.25]}, "seed": 1, "trainer": {"type": "a"}}`),
		[]byte(`{"rollout": {"shadow": "48h0m0s", "weights": [0.05]}, "seed": 1, "trainer": {"type": "b", "N": 2}}`))
	require.NoError(t, err)
	require.Equal(t, `rollout.shadow: "24h0m0s" → "48h0m0s"; rollout.weights[1]: 0.25 → none; trainer.N: none → 2; trainer.type: "a" → "b"`, text)
	_, err = describeChanges([]byte(`{`), []byte(`{}`))
	require.ErrorIs(t, err, ErrCorrupt)
}
