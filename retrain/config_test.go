package retrain_test

import (
	"database/sql"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/drift/alert"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retraintest"
	"github.com/mlloop/mlloop/train"
	"github.com/mlloop/mlloop/train/feature"
)

func TestNewReportsEveryProblem(t *testing.T) {
	_, err := retrain.New(retrain.Config{})
	require.ErrorIs(t, err, retrain.ErrInvalid)
	for _, text := range []string{"Data is missing", "Time is missing", "Label is missing", "Trainer is missing", "Stores is nil: use retrainsql.Open", `Model ""`} {
		require.ErrorContains(t, err, text)
	}
}

func TestNewRefuses(t *testing.T) {
	s := newStream(t, rowsADay, never)
	for want, change := range map[string]func(*retrain.Config){
		`Model "a/b" is no name`:                        func(c *retrain.Config) { c.Model = "a/b" },
		"LabelDelay, Holdout, Interval, FitTimeout":     func(c *retrain.Config) { c.LabelDelay = -1 },
		`Label "y" is the Time or the Entity column`:    func(c *retrain.Config) { c.Entity = "y" },
		`Inputs names the label "y"`:                    func(c *retrain.Config) { c.Inputs = []string{"x", "y"} },
		`Inputs names "x" twice`:                        func(c *retrain.Config) { c.Inputs = []string{"x", "x"} },
		"Inputs is empty":                               func(c *retrain.Config) { c.Inputs = []string{} },
		"Stores.Engine is nil":                          func(c *retrain.Config) { c.Stores.Engine = nil },
		"Policy: Per, MaxFailures and MaxBackoff":       func(c *retrain.Config) { c.Policy.Per = -1 },
		"Rollout: Metric: ":                             func(c *retrain.Config) { c.Rollout.Metric = "fame" },
		"want rising shares between 0 and 1":            func(c *retrain.Config) { c.Rollout.Weights = []float64{0.5, 0.25} },
		"Rollout: RollbackMargin is -1":                 func(c *retrain.Config) { c.Rollout.RollbackMargin = -1 },
		"Rollout: FailureMargin is 1: want 0 to 0.99":   func(c *retrain.Config) { c.Rollout.FailureMargin = 1 },
		"Rollout: Weights [1e-06]: want rising shares":  func(c *retrain.Config) { c.Rollout.Weights = []float64{1e-6} },
		"Rollout: Weights [0.99999]":                    func(c *retrain.Config) { c.Rollout.Weights = []float64{0.99999} },
		"Rollout: MinLabels is 30000: a shadow":         func(c *retrain.Config) { c.Rollout.MinLabels = 30_000 },
		"Data: Query: the database is nil":              func(c *retrain.Config) { c.Data = retrain.Query(nil, "SELECT 1") },
		"Data: Query: the query is empty":               func(c *retrain.Config) { c.Data = retrain.Query(new(sql.DB), "") },
		"Data: SourceFunc: the function is nil":         func(c *retrain.Config) { c.Data = retrain.SourceFunc(nil) },
		"Triggers[0]: TriggerFunc: the function is nil": func(c *retrain.Config) { c.Triggers = []retrain.Trigger{retrain.TriggerFunc(nil)} },
		"Rollout: Patience is NaN":                      func(c *retrain.Config) { c.Rollout.Patience = math.NaN() },
		"Rollout: Margin is +Inf":                       func(c *retrain.Config) { c.Rollout.Margin = math.Inf(1) },
		"Rollout: ShadowRate is NaN":                    func(c *retrain.Config) { c.Rollout.ShadowRate = math.NaN() },
		"Policy: Worse is NaN":                          func(c *retrain.Config) { c.Policy.Worse = math.NaN() },
		"Rollout: Shadow, Bake and MinLabels":           func(c *retrain.Config) { c.Rollout.MinLabels = -1 },
		`Gates[0]: `:                                    func(c *retrain.Config) { c.Gates = []retrain.Gate{retrain.NonInferior("acuracy", 0)} },
		`Gates[1]: `:                                    func(c *retrain.Config) { c.Gates = []retrain.Gate{retrain.SmokeTest(), retrain.AtLeast("x", 0)} },
		"Gates[0]: it is nil":                           func(c *retrain.Config) { c.Gates = []retrain.Gate{nil} },
		"Triggers[0]: ":                                 func(c *retrain.Config) { c.Triggers = []retrain.Trigger{retrain.OnDecay("fame", 0.1)} },
		"OnDecay: a drop of -1 must not be negative":    func(c *retrain.Config) { c.Triggers = []retrain.Trigger{retrain.OnDecay("auc", -1)} },
		`Triggers[0]: cron "0 3 * *": want five fields`: func(c *retrain.Config) { c.Triggers = []retrain.Trigger{retrain.Cron("0 3 * *")} },
		`cron "0 99 * * 1": want five fields`:           func(c *retrain.Config) { c.Triggers = []retrain.Trigger{retrain.Cron("0 99 * * 1")} },
		"Drift: ":                                       func(c *retrain.Config) { c.Drift = &drift.Options{Hits: 5, Of: 2} },
		`Mode is "perhaps"`:                             func(c *retrain.Config) { c.Mode = "perhaps" },
		`Inconclusive is "perhaps"`:                     func(c *retrain.Config) { c.Inconclusive = "perhaps" },
		`Rollout: Inconclusive is "perhaps"`:            func(c *retrain.Config) { c.Rollout.Inconclusive = "perhaps" },
		"Rollout: Patience is 0.5: want 1 to 1000":      func(c *retrain.Config) { c.Rollout.Patience = 0.5 },
		"Rollout: FailureMargin is 2: want 0 to 0.99":   func(c *retrain.Config) { c.Rollout.FailureMargin = 2 },
		"Policy: Worse is 0.5: want a factor of 1":      func(c *retrain.Config) { c.Policy.Worse = 0.5 },
		"Retention: Age is 1m0s: want an hour":          func(c *retrain.Config) { c.Retention.Age = time.Minute },
		"a margin of 1 lets everything pass":            func(c *retrain.Config) { c.Gates = []retrain.Gate{retrain.NoHarm("accuracy", 1)} },
		"a margin of -1: want 0 or more":                func(c *retrain.Config) { c.Gates = []retrain.Gate{retrain.Superior("auc", -1)} },
		"at least: a floor of NaN":                      func(c *retrain.Config) { c.Gates = []retrain.Gate{retrain.AtLeast("auc", math.NaN())} },
		"Labels: LabelQuery: the database is nil":       func(c *retrain.Config) { c.Labels = retrain.LabelQuery(nil, "SELECT 1") },
		"Alerts: ":                               func(c *retrain.Config) { c.Alerts = []alert.Sender{nil} },
		"Trainer: ":                              func(c *retrain.Config) { c.Trainer = train.MLP{Hidden: []int{-1}} },
		"Features: ":                             func(c *retrain.Config) { c.Features = feature.Pipeline{feature.OneHot("plan", "plan")} },
		"Triggers[0]: Every: 0s must be above 0": func(c *retrain.Config) { c.Triggers = []retrain.Trigger{retrain.Every(0)} },
	} {
		c := baseConfig(s, retraintest.NewStores())
		change(&c)
		_, err := retrain.New(c)
		require.ErrorIs(t, err, retrain.ErrInvalid, want)
		require.ErrorContains(t, err, want)
	}
}

// TestLoopsOnOneStores runs two models on the same stores, and refuses two
// loops of one model.
func TestLoopsOnOneStores(t *testing.T) {
	s, stores := newStream(t, 30*rowsADay, never), retraintest.NewStores()
	c := baseConfig(s, stores)
	churn, err := retrain.New(c)
	require.NoError(t, err)
	_, err = retrain.New(c)
	require.ErrorIs(t, err, retrain.ErrAlreadyExists)
	require.ErrorContains(t, err, `retrain: new loop of "churn"`)
	c.Model = "fraud"
	fraud, err := retrain.New(c)
	require.NoError(t, err)
	for _, l := range []*retrain.Loop{churn, fraud} {
		retraintest.StepAndSettle(t, l, at(20*rowsADay))
		require.Equal(t, time.Duration(0), at(20*rowsADay).Sub(retraintest.RequirePromoted(t, l, 1).StartedAt))
		require.NoError(t, l.Close(t.Context()))
	}
}

func TestShadowThenCanary(t *testing.T) {
	day := day
	require.Equal(t, retrain.Rollout{Shadow: day, Weights: []float64{0.05, 0.25}, Bake: day}, retrain.ShadowThenCanary(0.05, 0.25, 1))
	require.Equal(t, retrain.Rollout{Shadow: day, Bake: day}, retrain.ShadowThenCanary())
}
