package nn_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/train/model"
	"github.com/mlloop/mlloop/train/nn"
)

func input(t *testing.T, g *gorgonia.ExprGraph, name string, values []float32, shape ...int) *gorgonia.Node {
	t.Helper()
	v, err := nn.Wrap(values, shape...)
	require.NoError(t, err)
	return gorgonia.NewTensor(g, tensor.Float32, len(shape),
		gorgonia.WithShape(shape...), gorgonia.WithName(name), gorgonia.WithValue(v))
}

func TestLossAtTheExtremes(t *testing.T) {
	const big = math.MaxFloat32
	for _, c := range []struct {
		explanation string
		scores      []float32
		class       float32
		loss        float64
		gradient    []float32
	}{
		{"equal scores", []float32{3, 3}, 0, math.Ln2, []float32{-.5, .5}},
		{"sure and right", []float32{1000, -1000}, 0, 0, []float32{0, 0}},
		{"sure and wrong", []float32{1000, -1000}, 1, 2000, []float32{1, -1}},
		{"the greatest float", []float32{big, big}, 1, math.Ln2, []float32{.5, -.5}},
	} {
		g := gorgonia.NewGraph()
		z := input(t, g, "z", c.scores, 1, 2)
		loss, err := nn.SoftmaxCrossEntropy(z, input(t, g, "class", []float32{c.class}, 1))
		require.NoError(t, err)
		grads, err := gorgonia.Grad(loss, z)
		require.NoError(t, err)
		m := gorgonia.NewTapeMachine(g)
		require.NoError(t, m.RunAll(), c.explanation)
		require.InDelta(t, c.loss, loss.Value().(*nn.Tensor).Floats()[0], 1e-6, c.explanation)
		require.InDeltaSlice(t, c.gradient, grads[0].Value().(*nn.Tensor).Floats(), 1e-6, c.explanation)
	}
}

func TestOpsRefuseWhatDoesNotFit(t *testing.T) {
	g := gorgonia.NewGraph()
	x := input(t, g, "x", make([]float32, 6), 2, 3)
	w := input(t, g, "w", make([]float32, 12), 3, 4)
	b := input(t, g, "b", make([]float32, 4), 4)
	other := input(t, gorgonia.NewGraph(), "b", make([]float32, 4), 4)

	for explanation, in := range map[string][3]*gorgonia.Node{
		"weights of another height": {x, input(t, g, "w2", make([]float32, 8), 2, 4), b},
		"biases of another length":  {x, w, input(t, g, "b3", make([]float32, 3), 3)},
		"biases of another rank":    {x, w, x},
		"another graph":             {x, w, other},
		"no node":                   {nil, w, b},
	} {
		_, err := nn.Dense(in[0], in[1], in[2], model.ReLU)
		require.ErrorContains(t, err, "nn: dense relu: ", explanation)
	}
	_, err := nn.SoftmaxCrossEntropy(x, b)
	require.ErrorIs(t, err, fault.Invalid, "four classes for two rows")
	_, err = nn.SoftmaxCrossEntropy(x, x)
	require.Error(t, err, "classes of another rank")
}

// TestRunErrorsComeBack makes an op fail on the tape machine's goroutine.
func TestRunErrorsComeBack(t *testing.T) {
	for explanation, class := range map[string]float32{
		"too great": 2, "negative": -1, "a fraction": .5, "not a number": float32(math.NaN()),
	} {
		g := gorgonia.NewGraph()
		z := input(t, g, "z", make([]float32, 2), 1, 2)
		_, err := nn.SoftmaxCrossEntropy(z, input(t, g, "class", []float32{class}, 1))
		require.NoError(t, err)
		require.ErrorContains(t, gorgonia.NewTapeMachine(g).RunAll(), "row 0 is of class", explanation)
	}

	g := gorgonia.NewGraph()
	z := gorgonia.NewMatrix(g, tensor.Float32, gorgonia.WithShape(1, 2), gorgonia.WithName("z"),
		gorgonia.WithValue(tensor.New(tensor.WithShape(1, 2), tensor.Of(tensor.Float32))))
	_, err := nn.SoftmaxCrossEntropy(z, input(t, g, "class", []float32{1}, 1))
	require.NoError(t, err)
	require.ErrorContains(t, gorgonia.NewTapeMachine(g).RunAll(), "input 0 is *tensor.Dense, want *nn.Tensor")
}

func TestTensor(t *testing.T) {
	_, err := nn.NewTensor(2, -1)
	require.ErrorIs(t, err, fault.Invalid)
	_, err = nn.Wrap(make([]float32, 5), 2, 3)
	require.ErrorIs(t, err, fault.Invalid)
	_, err = nn.Wrap(make([]float32, 6), -2, -3)
	require.ErrorIs(t, err, fault.Invalid)

	v, err := nn.Wrap([]float32{1, 2, 3, 4}, 2, 2)
	require.NoError(t, err)
	v.SetRows(1)
	require.Equal(t, []float32{1, 2}, v.Floats())
	v.SetRows(3)
	require.Equal(t, 6, v.Size())
	require.Equal(t, []float32{1, 2}, v.Floats()[:2])
	require.Equal(t, tensor.Shape{3, 2}, v.Shape())
	v.SetRows(-1)
	require.Equal(t, 6, v.Size(), "a negative number changes nothing")

	scalar, err := nn.NewTensor()
	require.NoError(t, err)
	scalar.SetRows(4)
	require.Equal(t, 1, scalar.Size(), "a scalar has no rows")
}

func TestAdamErrors(t *testing.T) {
	two, err := nn.NewTensor(2)
	require.NoError(t, err)
	three, err := nn.NewTensor(3)
	require.NoError(t, err)
	var adam nn.Adam
	require.ErrorIs(t, adam.Step([]*nn.Tensor{two}, nil), fault.Invalid, "gradients missing")
	require.ErrorIs(t, adam.Step([]*nn.Tensor{two}, []*nn.Tensor{three}), fault.Invalid, "another size")
	adam = nn.Adam{}
	require.NoError(t, adam.Step([]*nn.Tensor{two}, []*nn.Tensor{two}))
	require.ErrorIs(t, adam.Step([]*nn.Tensor{three}, []*nn.Tensor{three}), fault.Invalid, "other parameters")
	require.Zero(t, testing.AllocsPerRun(10, func() {
		require.NoError(t, adam.Step([]*nn.Tensor{two}, []*nn.Tensor{two}))
	}))
}
