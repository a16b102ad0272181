package train_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/train"
	"github.com/mlloop/mlloop/train/frame"
	"github.com/mlloop/mlloop/train/metric"
	"github.com/mlloop/mlloop/train/model"
	"github.com/mlloop/mlloop/train/traintest"
)

func TestPrepare(t *testing.T) {
	job := traintest.NewJob(t, 100, 1)
	d, err := train.Prepare(job, 0.25)
	require.NoError(t, err)
	require.Equal(t, 75, d.Train.X.Rows)
	require.Equal(t, 25, d.Validation.X.Rows)
	require.Len(t, d.Validation.Y, 25)
	require.Equal(t, 4, d.Train.X.Cols, "two numbers and two plans")
	require.Equal(t, []frame.Value{frame.BoolValue(false), frame.BoolValue(true)}, d.Classes)
	for i, v := range []int{0, 74, 75, 99} {
		y := append(append([]int32{}, d.Train.Y...), d.Validation.Y...)[v]
		require.Equal(t, job.Data.Row(v).Get("leaves"), d.Classes[y], "label %d", i)
	}
	late, err := d.Features.Transform(job.Data.Slice(75, 100))
	require.NoError(t, err)
	require.Equal(t, late, d.Validation.X)

	all, err := train.Prepare(job, 0)
	require.NoError(t, err)
	require.Equal(t, 100, all.Train.X.Rows)
	require.Equal(t, frame.Matrix{Cols: 4, Data: []float32{}}, all.Validation.X)

	for explanation, share := range map[string]float64{"all": 1, "negative": -0.1, "less than a row": 0.001, "all but one": 0.99} {
		_, err := train.Prepare(job, share)
		require.ErrorIs(t, err, train.ErrInvalid, explanation)
	}
}

// TestLateClass: a class that only the held-out rows have is still a class.
func TestLateClass(t *testing.T) {
	job := traintest.NewJob(t, 200, 1)
	values := make([]frame.Value, 200)
	for i := range values {
		values[i] = frame.IntValue(int64(i % 2))
	}
	values[199] = frame.IntValue(7)
	var err error
	job.Data, err = job.Data.WithColumn(frame.Field{Name: "leaves", Kind: frame.Int64}, values)
	require.NoError(t, err)
	d, err := train.Prepare(job, 0.1)
	require.NoError(t, err)
	require.Equal(t, []frame.Value{frame.IntValue(0), frame.IntValue(1), frame.IntValue(7)}, d.Classes)
	_, err = train.MLP{Epochs: 2}.Fit(t.Context(), job)
	require.NoError(t, err)
}

func TestPrepareErrors(t *testing.T) {
	job := traintest.NewJob(t, 1500, 1)
	spoilt := job
	spoilt.Label, spoilt.Inputs = "churned", []string{"spend", "age", "spend"}
	spoilt.Now = spoilt.Now.AddDate(-3000, 0, 0)
	_, err := train.Prepare(spoilt, 0.1)
	require.EqualError(t, err, `train: prepare: the data has no label column "churned"; `+
		`the data has no input column "age"; input column "spend" is named twice`)

	ids := make([]frame.Value, 1500)
	for i := range ids {
		ids[i] = frame.IntValue(int64(i))
	}
	spoilt = job
	spoilt.Data, err = job.Data.WithColumn(frame.Field{Name: "leaves", Kind: frame.Int64}, ids)
	require.NoError(t, err)
	_, err = train.Prepare(spoilt, 0.1)
	require.ErrorContains(t, err, "1500 distinct values, at most 1000 are taken as classes: is it an identifier?")

	ids[3] = frame.Value{}
	spoilt.Data, err = job.Data.WithColumn(frame.Field{Name: "leaves", Kind: frame.Int64}, ids)
	require.NoError(t, err)
	_, err = train.Prepare(spoilt, 0.1)
	require.ErrorContains(t, err, `row 3 has no label: drop the rows whose "leaves" is missing`)
}

func TestPackErrors(t *testing.T) {
	job := traintest.NewJob(t, 100, 1)
	d, err := train.Prepare(job, 0.1)
	require.NoError(t, err)
	narrow := &model.Classifier{
		Layers:  []model.Dense{{In: 3, Out: 2, W: make([]float32, 6), B: make([]float32, 2), Activation: model.Identity}},
		Classes: d.Classes,
	}
	_, err = train.Pack(job, train.Result{})
	require.ErrorIs(t, err, train.ErrInvalid)
	_, err = train.Pack(job, train.Result{Classifier: narrow, Features: d.Features})
	require.EqualError(t, err, "train: pack: the features give 4 numbers a row, the classifier reads 3")
	other := job
	other.Inputs = []string{"spend"}
	_, err = train.Pack(other, train.Result{Classifier: narrow, Features: d.Features})
	require.ErrorContains(t, err, `fitted on the columns ["spend" "visits" "plan"], the job's inputs are ["spend"]`)
	broken := narrow.Clone()
	broken.Layers[0].B = nil
	_, err = train.Pack(job, train.Result{Classifier: broken, Features: d.Features, Evaluation: metric.Evaluation{}})
	require.ErrorIs(t, err, train.ErrInvalid)
	_, err = train.Pack(train.Job{}, train.Result{})
	require.ErrorIs(t, err, train.ErrInvalid)
}
