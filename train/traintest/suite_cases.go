package traintest

import (
	"context"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/tracking"
	"github.com/mlloop/mlloop/tracking/trackingtest"
	"github.com/mlloop/mlloop/train"
	"github.com/mlloop/mlloop/train/feature"
	"github.com/mlloop/mlloop/train/frame"
)

func learns(t *testing.T, trainer train.Trainer) {
	job := NewJob(t, 800, 1)
	later := NewJob(t, 400, 2)
	got := open(t, fit(t, trainer, job)).accuracy(t, later.Data, later.Label)
	require.GreaterOrEqual(t, got, 0.9, "accuracy on later rows")
}

func complete(t *testing.T, trainer train.Trainer) {
	job := NewJob(t, 300, 1)
	b := fit(t, trainer, job)
	m := b.Manifest()
	require.Equal(t, train.ClassifierFlavor, m.Flavor)
	require.True(t, job.Now.Equal(m.CreatedAt), "stamped with the job's time")
	require.Equal(t, bundle.Signature{
		Inputs: []bundle.TensorSpec{
			{Name: "spend", Datatype: "FP64", Shape: []int64{-1}},
			{Name: "visits", Datatype: "FP64", Shape: []int64{-1}},
			{Name: "plan", Datatype: "BYTES", Shape: []int64{-1}},
		},
		Outputs: []bundle.TensorSpec{
			{Name: "label", Datatype: "BOOL", Shape: []int64{-1}},
			{Name: "probability", Datatype: "FP64", Shape: []int64{-1, 2}},
		},
	}, b.Signature())

	o := open(t, b)
	require.Equal(t, []frame.Value{frame.BoolValue(false), frame.BoolValue(true)}, o.classifier.Classes, "ascending")
	require.Equal(t, o.classifier.Inputs(), o.features.Width(), "the features are what the classifier reads")
	require.Equal(t, 300, o.profile.Rows())
	require.Equal(t, 37, o.profile.WindowRows(), "an eighth of the rows by default")
	var profiled []string
	for _, c := range o.profile.Columns() {
		profiled = append(profiled, c.Name)
	}
	require.Equal(t, []string{"spend", "visits", "plan"}, profiled)
	for _, name := range []string{"accuracy", "log_loss", "auc"} {
		_, ok := o.evaluation.Get(name)
		require.True(t, ok, "the evaluation has %s", name)
	}

	dir := t.TempDir() + "/model"
	require.NoError(t, b.WriteDir(t.Context(), dir))
	again, err := bundle.OpenDir(dir)
	require.NoError(t, err)
	require.Equal(t, b.Digest(), again.Digest(), "the bundle survives the disk")
}

func labels(t *testing.T, trainer train.Trainer) {
	job := NewJob(t, 400, 1)
	spend, err := job.Data.Floats("spend")
	require.NoError(t, err)
	for _, c := range []struct {
		explanation, datatype string
		kind                  frame.Kind
		label                 func(row int) frame.Value
		classes               int
	}{
		{"text, three classes", "BYTES", frame.String, func(i int) frame.Value {
			return frame.StringValue([]string{"low", "mid", "high"}[third(spend[i])])
		}, 3},
		{"whole numbers", "INT64", frame.Int64, func(i int) frame.Value { return frame.IntValue(10 * int64(third(spend[i])/2)) }, 2},
	} {
		values := make([]frame.Value, job.Data.NumRows())
		for i := range values {
			values[i] = c.label(i)
		}
		job := job
		job.Data, err = job.Data.WithColumn(frame.Field{Name: "leaves", Kind: c.kind}, values)
		require.NoError(t, err)
		b := fit(t, trainer, job)
		require.Equal(t, c.datatype, b.Signature().Outputs[0].Datatype, c.explanation)
		require.Equal(t, int64(c.classes), b.Signature().Outputs[1].Shape[1], c.explanation)
		o := open(t, b)
		require.Len(t, o.classifier.Classes, c.classes, c.explanation)
		require.GreaterOrEqual(t, o.accuracy(t, job.Data, "leaves"), 0.7, c.explanation)
	}
}

// third cuts a standard normal variable into three parts, 0, 1 and 2.
func third(x float64) int {
	switch {
	case x < -0.43:
		return 0
	case x < 0.43:
		return 1
	}
	return 2
}

func inputs(t *testing.T, trainer train.Trainer) {
	job := NewJob(t, 300, 1)
	job.Inputs = []string{"visits", "spend"}
	job.Features = feature.Pipeline{feature.Standardize()}
	b := fit(t, trainer, job)
	var names []string
	for _, in := range b.Signature().Inputs {
		names = append(names, in.Name)
	}
	require.Equal(t, job.Inputs, names, "in the order in which they are named")
	require.Equal(t, 2, open(t, b).features.Width())
}

func equalJobs(t *testing.T, trainer train.Trainer) {
	job := NewJob(t, 200, 1)
	want := fit(t, trainer, job).Digest()
	var wg sync.WaitGroup
	digests, errs := make([]string, 3), make([]error, 3)
	for i := range digests {
		job := NewJob(t, 200, 1)
		wg.Go(func() {
			b, err := trainer.Fit(t.Context(), job)
			if errs[i] = err; err == nil {
				digests[i] = b.Digest()
			}
		})
	}
	wg.Wait()
	for i, d := range digests {
		require.NoError(t, errs[i])
		require.Equal(t, want, d)
	}
}

func seed(t *testing.T, trainer train.Trainer) {
	job := NewJob(t, 200, 1)
	first := fit(t, trainer, job).Digest()
	job.Seed++
	require.NotEqual(t, first, fit(t, trainer, job).Digest())
}

func evaluation(t *testing.T, trainer train.Trainer) {
	job := NewJob(t, 400, 1)
	e := open(t, fit(t, trainer, job)).evaluation
	require.Greater(t, e.Rows, 0)
	require.Less(t, e.Rows, 400, "some rows were left to fit on")
	require.Equal(t, 2, e.Classes)
	for _, r := range e.Results {
		require.LessOrEqual(t, r.Low, r.Value, r.Name)
		require.GreaterOrEqual(t, r.High, r.Value, r.Name)
	}
}

func tracked(t *testing.T, trainer train.Trainer) {
	runs := trackingtest.New(t)
	run, err := runs.Start(t.Context(), "fits", nil)
	require.NoError(t, err)
	job := NewJob(t, 200, 1)
	job.Run = run
	logged := fit(t, trainer, job).Digest()
	require.NoError(t, run.Flush(t.Context()), "every key and value was well-formed")
	record, err := runs.Run(t.Context(), run.ID())
	require.NoError(t, err)
	require.Equal(t, tracking.Running, record.Status, "the caller ends the run")
	require.NotEmpty(t, record.Params)
	require.NoError(t, run.Finish(t.Context()))

	job.Run = nil
	require.Equal(t, logged, fit(t, trainer, job).Digest(), "logging does not change the bundle")
}

func cancelled(t *testing.T, trainer train.Trainer) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b, err := trainer.Fit(ctx, NewJob(t, 200, 1))
	require.ErrorIs(t, err, context.Canceled)
	require.Nil(t, b)

	ctx, cancel = context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	_, err = trainer.Fit(ctx, NewJob(t, 200, 1))
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func badJobs(t *testing.T, trainer train.Trainer) {
	for explanation, spoil := range map[string]func(j *train.Job){
		"no data":              func(j *train.Job) { j.Data = nil },
		"no rows":              func(j *train.Job) { j.Data = j.Data.Slice(0, 0) },
		"no time":              func(j *train.Job) { j.Now = time.Time{} },
		"no label":             func(j *train.Job) { j.Label = "" },
		"unknown label":        func(j *train.Job) { j.Label = "stays" },
		"label is a measure":   func(j *train.Job) { j.Label = "spend" },
		"label is an input":    func(j *train.Job) { j.Inputs = []string{"spend", "leaves"} },
		"unknown input":        func(j *train.Job) { j.Inputs = []string{"spend", "age"} },
		"an input twice":       func(j *train.Job) { j.Inputs = []string{"spend", "spend"} },
		"no inputs":            func(j *train.Job) { j.Inputs = []string{} },
		"a negative window":    func(j *train.Job) { j.ProfileWindow = -1 },
		"label alone in table": func(j *train.Job) { j.Data, _ = j.Data.Select("leaves") },
	} {
		job := NewJob(t, 100, 1)
		spoil(&job)
		b, err := trainer.Fit(t.Context(), job)
		require.ErrorIs(t, err, train.ErrInvalid, explanation)
		require.Nil(t, b, explanation)
	}
}

func badRows(t *testing.T, trainer train.Trainer) {
	replace := func(j *train.Job, name string, kind frame.Kind, row int, v frame.Value) {
		values, err := j.Data.Values(name)
		require.NoError(t, err)
		values = append([]frame.Value(nil), values...)
		values[row] = v
		j.Data, err = j.Data.WithColumn(frame.Field{Name: name, Kind: kind}, values)
		require.NoError(t, err)
	}
	for explanation, spoil := range map[string]func(j *train.Job){
		"a label missing":       func(j *train.Job) { replace(j, "leaves", frame.Bool, 7, frame.Value{}) },
		"NaN":                   func(j *train.Job) { replace(j, "spend", frame.Float64, 7, frame.FloatValue(math.NaN())) },
		"infinite":              func(j *train.Job) { replace(j, "spend", frame.Float64, 7, frame.FloatValue(math.Inf(-1))) },
		"a null":                func(j *train.Job) { replace(j, "spend", frame.Float64, 7, frame.Value{}) },
		"NaN in the latest row": func(j *train.Job) { replace(j, "spend", frame.Float64, 99, frame.FloatValue(math.NaN())) },
		"text without a step":   func(j *train.Job) { j.Features = nil },
		"one class": func(j *train.Job) {
			for i := range 100 {
				replace(j, "leaves", frame.Bool, i, frame.BoolValue(true))
			}
		},
		"fewer rows than two windows": func(j *train.Job) { j.ProfileWindow = 51 },
	} {
		job := NewJob(t, 100, 1)
		spoil(&job)
		b, err := trainer.Fit(t.Context(), job)
		require.Error(t, err, explanation)
		require.Nil(t, b, explanation)
	}
}

func smallJobs(t *testing.T, trainer train.Trainer) {
	for _, rows := range []int{1, 2, 3, 4, 9, 10, 11, 19, 20, 21} {
		b, err := trainer.Fit(t.Context(), NewJob(t, rows, 3))
		require.Equal(t, err != nil, b == nil, "%d rows", rows)
		if b != nil {
			open(t, b)
		}
	}
}

func noLookAhead(t *testing.T, trainer train.Trainer) {
	const rows, last = 400, 380
	job := NewJob(t, rows, 1)
	before, err := fit(t, trainer, job).ReadFile(bundle.FeaturesPart)
	require.NoError(t, err)

	values, err := job.Data.Values("spend")
	require.NoError(t, err)
	values = append([]frame.Value(nil), values...)
	for i := last; i < rows; i++ {
		values[i] = frame.FloatValue(1000 + float64(i))
	}
	job.Data, err = job.Data.WithColumn(frame.Field{Name: "spend", Kind: frame.Float64}, values)
	require.NoError(t, err)
	after, err := fit(t, trainer, job).ReadFile(bundle.FeaturesPart)
	require.NoError(t, err)
	require.Equal(t, string(before), string(after))
}
