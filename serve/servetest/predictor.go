package servetest

import (
	"context"
	"math"
	"reflect"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train/frame"
)

// Func is a Predictor made of a function. It is as safe for concurrent use as
// the function is.
type Func struct {
	Sig bundle.Signature
	F   func(ctx context.Context, inputs []frame.Tensor) ([]frame.Tensor, error)
}

// Signature implements serve.Predictor.
func (f Func) Signature() bundle.Signature { return f.Sig }

// Predict implements serve.Predictor.
func (f Func) Predict(ctx context.Context, inputs []frame.Tensor) ([]frame.Tensor, error) {
	return f.F(ctx, inputs)
}

// Constant returns a classifier that gives every row the same label, with
// probability 1. It takes one input, "x" (FP64, [-1]).
func Constant(label string) serve.Predictor {
	return Func{
		Sig: bundle.Signature{
			Inputs: []bundle.TensorSpec{{Name: "x", Datatype: string(frame.FP64), Shape: []int64{-1}}},
			Outputs: []bundle.TensorSpec{
				{Name: serve.LabelOutput, Datatype: string(frame.BYTES), Shape: []int64{-1}},
				{Name: serve.ProbabilityOutput, Datatype: string(frame.FP64), Shape: []int64{-1, 1}},
			},
		},
		F: func(_ context.Context, inputs []frame.Tensor) ([]frame.Tensor, error) {
			n := inputs[0].Len()
			labels, p := make([]string, n), make([]float64, n)
			for i := range n {
				labels[i], p[i] = label, 1
			}
			return []frame.Tensor{
				{Name: serve.LabelOutput, Datatype: frame.BYTES, Shape: []int64{int64(n)}, Data: labels},
				{Name: serve.ProbabilityOutput, Datatype: frame.FP64, Shape: []int64{int64(n), 1}, Data: p},
			}, nil
		},
	}
}

// X returns the input of Constant's predictors with one row a value.
func X(values ...float64) []frame.Tensor {
	return []frame.Tensor{{Name: "x", Datatype: frame.FP64, Shape: []int64{int64(len(values))}, Data: values}}
}

// RunPredictor is the conformance suite of serve.Predictor. inputs is a batch
// of at least two rows that p answers without error.
func RunPredictor(t *testing.T, p serve.Predictor, inputs []frame.Tensor) {
	t.Helper()
	require.NotEmpty(t, inputs)
	n := int(inputs[0].Shape[0])
	require.GreaterOrEqual(t, n, 2, "the suite compares a batch with its rows")

	t.Run("outputs are as the signature says", func(t *testing.T) {
		requireSignature(t, p.Signature().Outputs, predict(t, p, inputs), n)
	})
	t.Run("a row is answered alike alone and in a batch", func(t *testing.T) {
		whole := predict(t, p, inputs)
		for row := range n {
			for i, out := range predict(t, p, rowOf(inputs, row)) {
				requireClose(t, rowOf(whole, row)[i].Data, out.Data)
			}
		}
	})
	t.Run("nothing is kept of the inputs", func(t *testing.T) {
		before := predict(t, p, inputs)
		scratch := rowOf(inputs, 0)
		_ = predict(t, p, scratch)
		for i := range scratch {
			reflect.ValueOf(scratch[i].Data).Index(0).SetZero()
		}
		for i, out := range predict(t, p, inputs) {
			requireClose(t, before[i].Data, out.Data)
		}
	})
	t.Run("concurrent use", func(t *testing.T) { requireConcurrentUse(t, p, inputs) })
}

func requireConcurrentUse(t *testing.T, p serve.Predictor, inputs []frame.Tensor) {
	t.Helper()
	want := predict(t, p, inputs)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				out, err := p.Predict(t.Context(), inputs)
				if err != nil || !reflect.DeepEqual(out[0].Data, want[0].Data) {
					t.Errorf("got %v, error %v", out, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func predict(t *testing.T, p serve.Predictor, inputs []frame.Tensor) []frame.Tensor {
	t.Helper()
	out, err := p.Predict(t.Context(), inputs)
	require.NoError(t, err)
	return out
}

func requireSignature(t *testing.T, specs []bundle.TensorSpec, out []frame.Tensor, n int) {
	t.Helper()
	require.Len(t, out, len(specs))
	for i, spec := range specs {
		require.NoError(t, out[i].Check())
		require.Equal(t, spec.Name, out[i].Name)
		require.Equal(t, spec.Datatype, string(out[i].Datatype))
		require.Len(t, out[i].Shape, len(spec.Shape))
		require.EqualValues(t, n, out[i].Shape[0])
		for d, want := range spec.Shape {
			require.True(t, want < 0 || want == out[i].Shape[d], "output %s: shape %v, signature %v", spec.Name, out[i].Shape, spec.Shape)
		}
	}
}

// rowOf returns one row of a batch, in memory of its own.
func rowOf(ts []frame.Tensor, row int) []frame.Tensor {
	out := make([]frame.Tensor, len(ts))
	for i, t := range ts {
		all := reflect.ValueOf(t.Data)
		per := all.Len() / int(t.Shape[0])
		part := reflect.MakeSlice(all.Type(), per, per)
		reflect.Copy(part, all.Slice(row*per, (row+1)*per))
		out[i] = frame.Tensor{Name: t.Name, Datatype: t.Datatype, Shape: append([]int64{1}, t.Shape[1:]...), Data: part.Interface()}
	}
	return out
}

// requireClose compares floats to a relative 1e-6, as batched sums may be
// taken in another order, and everything else exactly.
func requireClose(t *testing.T, want, got any) {
	t.Helper()
	w, g := reflect.ValueOf(want), reflect.ValueOf(got)
	require.Equal(t, w.Type(), g.Type())
	require.Equal(t, w.Len(), g.Len())
	for i := range w.Len() {
		if !w.Index(i).CanFloat() {
			require.Equal(t, w.Index(i).Interface(), g.Index(i).Interface())
			continue
		}
		a, b := w.Index(i).Float(), g.Index(i).Float()
		require.InDelta(t, a, b, 1e-6*math.Max(1, math.Abs(a)))
	}
}
