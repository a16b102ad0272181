package trackingtest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/tracking"
)

func unstorableText(t *testing.T, s tracking.Store) {
	newRun(t, s, "r")
	before := get(t, s, "r")
	for _, bad := range []string{"a\x00b", "\x00", "a\xffb"} {
		for name, err := range callsWith(t, s, bad) {
			require.ErrorIs(t, err, fault.Invalid, "%s with %q", name, bad)
		}
	}
	require.Equal(t, before, get(t, s, "r"))
	es, err := s.Experiments(t.Context())
	require.NoError(t, err)
	require.Len(t, es, 1)
}

// callsWith puts the text into every place that takes one.
func callsWith(t *testing.T, s tracking.Store, bad string) map[string]error {
	ctx := t.Context()
	errs := map[string]error{
		"CreateExperiment id":   s.CreateExperiment(ctx, tracking.Experiment{ID: bad, Name: "x"}),
		"CreateExperiment name": s.CreateExperiment(ctx, tracking.Experiment{ID: "x", Name: bad}),
	}
	_, errs["Experiment"] = s.Experiment(ctx, bad)
	good := tracking.RunInfo{ID: "x", ExperimentID: "e", Status: tracking.Running}
	for name, change := range map[string]func(r *tracking.RunInfo){
		"id":         func(r *tracking.RunInfo) { r.ID = bad },
		"experiment": func(r *tracking.RunInfo) { r.ExperimentID = bad },
		"name":       func(r *tracking.RunInfo) { r.Name = bad },
		"error":      func(r *tracking.RunInfo) { r.Error = bad },
	} {
		r := good
		change(&r)
		errs["CreateRun "+name] = s.CreateRun(ctx, r)
	}
	for name, p := range map[string]tracking.RunPatch{
		"id":    {ID: bad},
		"name":  {ID: "r", Name: &bad},
		"error": {ID: "r", Status: tracking.Failed, Error: bad},
	} {
		_, errs["UpdateRun "+name] = s.UpdateRun(ctx, p)
	}
	for name, b := range batchesWith(bad) {
		errs["Log "+name] = s.Log(ctx, "r", b)
	}
	errs["Log run"] = s.Log(ctx, bad, tracking.Batch{})
	_, errs["Run"] = s.Run(ctx, bad)
	_, errs["MetricHistory run"] = s.MetricHistory(ctx, bad, "m")
	_, errs["MetricHistory key"] = s.MetricHistory(ctx, "r", bad)
	for name, q := range map[string]tracking.RunQuery{
		"experiment":     {ExperimentID: bad},
		"tag":            {Tags: map[string]string{bad: "v"}},
		"value of a tag": {Tags: map[string]string{"k": bad}},
		"page":           {Page: bad},
	} {
		_, _, errs["Runs "+name] = s.Runs(ctx, q)
	}
	return errs
}

// batchesWith puts the text into every place of a batch.
func batchesWith(bad string) map[string]tracking.Batch {
	return map[string]tracking.Batch{
		"metric":           {Metrics: []tracking.Metric{{Key: bad}}},
		"param":            {Params: map[string]string{bad: "v"}},
		"value of a param": {Params: map[string]string{"k": bad}},
		"tag":              {Tags: map[string]string{bad: "v"}},
		"value of a tag":   {Tags: map[string]string{"k": bad}},
		"input's name":     {Inputs: []tracking.Input{{Name: bad, Digest: "d"}}},
		"input's digest":   {Inputs: []tracking.Input{{Name: "n", Digest: bad}}},
		"input's context":  {Inputs: []tracking.Input{{Name: "n", Digest: "d", Context: bad}}},
		"input's source":   {Inputs: []tracking.Input{{Name: "n", Digest: "d", Source: bad}}},
		"artifact":         {Artifacts: []tracking.Artifact{{Path: bad, Digest: "d"}}},
	}
}
