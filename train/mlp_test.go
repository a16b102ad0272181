package train_test

import (
	"context"
	"math"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/tracking/trackingtest"
	"github.com/mlloop/mlloop/train"
	"github.com/mlloop/mlloop/train/feature"
	"github.com/mlloop/mlloop/train/frame"
	"github.com/mlloop/mlloop/train/metric"
	"github.com/mlloop/mlloop/train/model"
	"github.com/mlloop/mlloop/train/traintest"
)

func TestMLP(t *testing.T) {
	for name, m := range map[string]train.MLP{
		"defaults": {},
		"tanh":     {Hidden: []int{8}, Activation: model.Tanh, Batch: 32, Epochs: 20, LearningRate: 0.02},
		"logistic": {Hidden: []int{}, Batch: 16, Epochs: 20, LearningRate: 0.05, Decay: 0.9, WeightDecay: 0.01},
	} {
		t.Run(name, func(t *testing.T) {
			traintest.Run(t, func(*testing.T) train.Trainer { return m }, nil)
		})
	}
	t.Run("refit", func(t *testing.T) {
		m := train.MLP{Hidden: []int{8}, Batch: 32, Epochs: 20, LearningRate: 0.02, Refit: true}
		traintest.Run(t, func(*testing.T) train.Trainer { return m }, &traintest.Options{AllRows: true})
	})
}

func classifierOf(t *testing.T, b *bundle.Bundle) (*model.Classifier, *feature.Fitted) {
	t.Helper()
	part := func(name string) []byte {
		data, err := b.ReadFile(name)
		require.NoError(t, err)
		return data
	}
	c, err := model.Decode(part(bundle.ModelPart), part(bundle.WeightsPart))
	require.NoError(t, err)
	f, err := feature.Decode(part(bundle.FeaturesPart))
	require.NoError(t, err)
	return c, f
}

// TestMLPLearnsWhatIsNotLinear gives it exclusive or, drawn as four clouds.
func TestMLPLearnsWhatIsNotLinear(t *testing.T) {
	job := traintest.NewJob(t, 1000, 1)
	spend, err := job.Data.Floats("spend")
	require.NoError(t, err)
	visits, err := job.Data.Floats("visits")
	require.NoError(t, err)
	label := make([]frame.Value, len(spend))
	for i := range label {
		label[i] = frame.BoolValue((spend[i] > 0) != (visits[i] > 0))
	}
	job.Data, err = job.Data.WithColumn(frame.Field{Name: "leaves", Kind: frame.Bool}, label)
	require.NoError(t, err)
	accuracy := func(m train.MLP) float64 {
		b, err := m.Fit(t.Context(), job)
		require.NoError(t, err)
		data, err := b.ReadFile(bundle.EvaluationPart)
		require.NoError(t, err)
		e, err := metric.DecodeEvaluation(data)
		require.NoError(t, err)
		require.Equal(t, 100, e.Rows, "the latest tenth")
		r, ok := e.Get(metric.NameAccuracy)
		require.True(t, ok)
		return r.Value
	}
	require.Greater(t, accuracy(train.MLP{Epochs: 40, LearningRate: 0.01}), 0.9)
	require.Less(t, accuracy(train.MLP{Hidden: []int{}, Epochs: 10}), 0.7, "one layer cannot")
}

// TestEarlyStopping: the weights that are kept are those of the epoch whose
// validation loss was lowest, and the fit ends Patience epochs later.
func TestEarlyStopping(t *testing.T) {
	runs := trackingtest.New(t)
	run, err := runs.Start(t.Context(), "fits", nil)
	require.NoError(t, err)
	job := traintest.NewJob(t, 300, 4)
	job.Run = run
	// Labels at random: the longer the fit, the worse it is on other rows.
	label := make([]frame.Value, 300)
	for i := range label {
		label[i] = frame.BoolValue(i*i%7 < 3)
	}
	job.Data, err = job.Data.WithColumn(frame.Field{Name: "leaves", Kind: frame.Bool}, label)
	require.NoError(t, err)
	b, err := train.MLP{Batch: 16, LearningRate: 0.01, Patience: 3, Validation: 0.2}.Fit(t.Context(), job)
	require.NoError(t, err)
	require.NoError(t, run.Finish(t.Context()))

	points, err := runs.Metrics(t.Context(), run.ID(), "validation_loss")
	require.NoError(t, err)
	best := points[0]
	for _, p := range points {
		if p.Value < best.Value {
			best = p
		}
	}
	require.Less(t, len(points), 60, "stopped early")
	require.Equal(t, int(best.Step)+3, len(points))
	require.Equal(t, trackingValue(t, "epochs", b), points[best.Step-1].Step)

	record, err := runs.Run(t.Context(), run.ID())
	require.NoError(t, err)
	require.InDelta(t, best.Value, record.Metrics["log_loss"].Value, 1e-9, "the best weights were kept and evaluated")
	require.Equal(t, "32 16", record.Params["hidden"])
	require.Equal(t, "4", record.Params["seed"])
	require.Equal(t, "240", record.Params["training_rows"])
	require.Equal(t, "60", record.Params["validation_rows"])
	require.Equal(t, job.Data.Digest(), record.Inputs[0].Digest)
	require.Equal(t, int64(300), record.Inputs[0].Rows)
	for _, name := range []string{"train_loss", "validation_accuracy", "accuracy", "accuracy_low", "accuracy_high", "auc", "log_loss_low"} {
		require.Contains(t, record.Metrics, name)
	}
}

func trackingValue(t *testing.T, key string, b *bundle.Bundle) int64 {
	t.Helper()
	v, err := frame.ParseValue(frame.Int64, b.Manifest().Metadata[key])
	require.NoError(t, err)
	return v.Int()
}

// TestRefit: the features and the weights know all rows, the evaluation stays
// that of the rows held out.
func TestRefit(t *testing.T) {
	job := traintest.NewJob(t, 300, 1)
	m := train.MLP{Batch: 32, Epochs: 10}
	plain, err := m.Fit(t.Context(), job)
	require.NoError(t, err)
	m.Refit = true
	refit, err := m.Fit(t.Context(), job)
	require.NoError(t, err)
	evaluation := func(b *bundle.Bundle) string {
		data, err := b.ReadFile(bundle.EvaluationPart)
		require.NoError(t, err)
		return string(data)
	}
	require.Equal(t, evaluation(plain), evaluation(refit))
	require.Equal(t, plain.Manifest().Metadata["epochs"], refit.Manifest().Metadata["epochs"])
	require.Equal(t, "true", refit.Manifest().Metadata["refit"])

	_, got := classifierOf(t, refit)
	want, err := job.Features.Fit(job.Data, []string{"spend", "visits", "plan"})
	require.NoError(t, err)
	a, err := got.Marshal()
	require.NoError(t, err)
	b, err := want.Marshal()
	require.NoError(t, err)
	require.Equal(t, string(b), string(a))
}

// TestSeedOnlyMovesTheFit: the same rows are held out whatever the seed.
func TestSeedOnlyMovesTheFit(t *testing.T) {
	job := traintest.NewJob(t, 300, 1)
	m := train.MLP{Epochs: 3}
	first, err := m.Fit(t.Context(), job)
	require.NoError(t, err)
	job.Seed = 99
	second, err := m.Fit(t.Context(), job)
	require.NoError(t, err)
	a, fa := classifierOf(t, first)
	b, fb := classifierOf(t, second)
	require.NotEqual(t, a.Layers, b.Layers)
	require.Equal(t, fa.Names(), fb.Names())
}

func TestMLPSettings(t *testing.T) {
	job := traintest.NewJob(t, 100, 1)
	nan := math.NaN()
	for explanation, m := range map[string]train.MLP{
		"no outputs":      {Hidden: []int{4, 0}},
		"sigmoid":         {Activation: "sigmoid"},
		"negative epochs": {Epochs: -1},
		"negative batch":  {Batch: -1},
		"rate":            {LearningRate: -0.1},
		"NaN rate":        {LearningRate: nan},
		"decay above 1":   {Decay: 1.1},
		"NaN decay":       {Decay: nan},
		"weight decay":    {WeightDecay: -1},
		"too much decay":  {WeightDecay: 10, LearningRate: 0.1},
		"NaN weights":     {WeightDecay: nan},
		"all held out":    {Validation: 1},
		"NaN held out":    {Validation: nan},
		"none held out":   {Validation: 0.001},
		"no patience":     {Patience: -2},
	} {
		_, err := m.Fit(t.Context(), job)
		require.ErrorIs(t, err, train.ErrInvalid, explanation)
		if explanation != "none held out" { // which depends on the rows
			require.ErrorIs(t, m.Check(), train.ErrInvalid, explanation)
		}
	}
	require.NoError(t, train.MLP{}.Check(), "the zero value is ready to use")
	require.EqualError(t, train.MLP{Batch: -1, Decay: 2}.Check(),
		"train: mlp: Epochs, Batch and Patience are 60, -1 and 8, want at least 1 each; Decay is 2, want more than 0 and at most 1")
	_, err := train.MLP{Epochs: -1, LearningRate: -1, Validation: 2}.Fit(t.Context(), job)
	require.EqualError(t, err, "train: fit mlp: Epochs, Batch and Patience are -1, 128 and 8, want at least 1 each; "+
		"LearningRate is -1, want more than 0 and at most 100; Validation is 2, want more than 0 and less than 1")
}

func TestMLPDiverges(t *testing.T) {
	job := traintest.NewJob(t, 200, 1)
	values, err := job.Data.Values("spend")
	require.NoError(t, err)
	huge := make([]frame.Value, len(values))
	for i, v := range values {
		huge[i] = frame.FloatValue(v.Float() * 8e37)
	}
	job.Data, err = job.Data.WithColumn(frame.Field{Name: "spend", Kind: frame.Float64}, huge)
	require.NoError(t, err)
	job.Features = feature.Pipeline{feature.OneHot("plan")}
	_, err = train.MLP{LearningRate: 50}.Fit(t.Context(), job)
	require.ErrorIs(t, err, train.ErrInvalid)
	require.ErrorContains(t, err, "train: fit mlp: the fit diverged in epoch 1: ")
}

// countdown is a context that ends after its Err was asked so many times.
type countdown struct {
	context.Context
	left atomic.Int64
}

func (c *countdown) Err() error {
	if c.left.Add(-1) < 0 {
		return context.Canceled
	}
	return nil
}

func TestMLPStopsBetweenMiniBatches(t *testing.T) {
	for _, m := range []train.MLP{{Batch: 8}, {Batch: 8, Epochs: 2, Refit: true}} {
		ctx := &countdown{Context: t.Context()}
		ctx.left.Store(60) // an epoch has 34 batches; the second fit begins after 68
		if m.Refit {
			ctx.left.Store(80)
		}
		_, err := m.Fit(ctx, traintest.NewJob(t, 300, 1))
		require.ErrorIs(t, err, context.Canceled)
		require.LessOrEqual(t, ctx.left.Load(), int64(-1))
	}
}

func TestHundredFitsLeakNothing(t *testing.T) {
	job := traintest.NewJob(t, 100, 1)
	heap := func(fits int) uint64 {
		for range fits {
			_, err := train.MLP{Hidden: []int{200}, Epochs: 1}.Fit(t.Context(), job)
			require.NoError(t, err)
		}
		// gorgonia's machines have finalizers: their memory goes with the second collection.
		for range 3 {
			runtime.GC()
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap(5)
	// A fit holds some 200 KB; a hundred of them 20 MB.
	require.Less(t, heap(100), before+1<<20)
	require.Less(t, runtime.NumGoroutine(), 50)
}
