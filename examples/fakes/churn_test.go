package fakes_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/examples/fakes"
	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/registry/registrytest"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/serve/servetest"
	"github.com/mlloop/mlloop/tracking"
	"github.com/mlloop/mlloop/tracking/trackingtest"
	"github.com/mlloop/mlloop/train/frame"
	"github.com/mlloop/mlloop/train/traintest"
)

var night = time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)

func TestGoodModelBecomesChampion(t *testing.T) {
	runs, models := trackingtest.New(t), registrytest.New(t)
	churn := fakes.Churn{Runs: runs, Models: models, Trainer: &traintest.Fake{}, Floor: 0.9}

	require.NoError(t, churn.Retrain(t.Context(), traintest.NewJob(t, 500, 1).Data, night))

	trackingtest.RequireParam(t, runs, "trainer", "fake")
	trackingtest.RequireMetricAtLeast(t, runs, "auc", 0.9)
	registrytest.RequireChampion(t, models, "churn", 1)

	require.NoError(t, churn.Retrain(t.Context(), traintest.NewJob(t, 500, 2).Data, night.AddDate(0, 0, 1)))
	registrytest.RequireChampion(t, models, "churn", 2)
}

func TestPoorModelIsNotRegistered(t *testing.T) {
	runs, models := trackingtest.New(t), registrytest.New(t)
	churn := fakes.Churn{Runs: runs, Models: models, Trainer: &traintest.Fake{}, Floor: 1.1}

	require.NoError(t, churn.Retrain(t.Context(), traintest.NewJob(t, 500, 1).Data, night))

	_, err := models.Model(t.Context(), "churn")
	require.ErrorIs(t, err, registry.ErrNotFound)
}

func TestFailedFitIsAFailedRun(t *testing.T) {
	runs, trainer := trackingtest.New(t), &traintest.Fake{}
	full := errors.New("out of memory")
	trainer.FailWith(full)
	churn := fakes.Churn{Runs: runs, Models: registrytest.New(t), Trainer: trainer}

	require.ErrorIs(t, churn.Retrain(t.Context(), traintest.NewJob(t, 50, 1).Data, night), full)

	failed, _, err := runs.Runs(t.Context(), tracking.RunQuery{Statuses: []tracking.Status{tracking.Failed}})
	require.NoError(t, err)
	require.Len(t, failed, 1)
	require.Equal(t, "out of memory", failed[0].Error)
}

func TestDiscount(t *testing.T) {
	// A model fitted by the fake on customers that leave when they spend much.
	b, err := (&traintest.Fake{}).Fit(t.Context(), traintest.NewJob(t, 500, 1))
	require.NoError(t, err)
	model, err := serve.NewClassifier(b)
	require.NoError(t, err)
	srv := servetest.New(t, "churn", model, nil)

	for id, want := range map[string]int{"a": 0, "b": 20} {
		spend := map[string]float64{"a": -2, "b": 2}[id]
		got, err := fakes.Discount(t.Context(), srv.Server, id, customer(spend))
		require.NoError(t, err)
		require.Equal(t, want, got, id)
	}

	report, err := srv.Label(t.Context(), "churn", []serve.LabelInput{{ID: "b", Value: frame.BoolValue(true)}})
	require.NoError(t, err)
	require.Equal(t, 1, report.Stored)
	servetest.RequirePredictions(t, srv, "churn", 2)
	servetest.RequireLabel(t, srv, "churn", "b", frame.BoolValue(true))
}

func customer(spend float64) frame.Row {
	return frame.Row{
		Schema: frame.Schema{{Name: "spend", Kind: frame.Float64}, {Name: "visits", Kind: frame.Float64}, {Name: "plan", Kind: frame.String}},
		Values: []frame.Value{frame.FloatValue(spend), frame.FloatValue(0), frame.StringValue("basic")},
	}
}
