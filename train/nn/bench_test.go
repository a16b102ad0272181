package nn_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/mlloop/mlloop/train/frame"
	"github.com/mlloop/mlloop/train/model"
	"github.com/mlloop/mlloop/train/nn"
)

// BenchmarkStep runs one step of Adam on 128 rows of a 6-32-16-2 network, and
// the same network and step built from gorgonia's own operations and solver,
// turn and turn about. stock/own is how many times longer the latter takes.
func BenchmarkStep(b *testing.B) {
	rng := seeded(1)
	c := randomClassifier(rng, model.ReLU, 6, 32, 16, 2)
	x, y, rows := randomBatch(rng, 128, 6, 2)
	n, err := nn.NewNetwork(c, 128)
	require.NoError(b, err)
	defer n.Close()
	var adam nn.Adam
	own := func() error {
		if _, err := n.Backward(x, y, rows); err != nil {
			return err
		}
		return adam.Step(n.Params(), n.Grads())
	}
	stock := stockStep(b, c, x, y)

	var ownTime, stockTime time.Duration
	for b.Loop() {
		start := time.Now()
		err := own()
		middle := time.Now()
		require.NoError(b, err)
		require.NoError(b, stock())
		ownTime, stockTime = ownTime+middle.Sub(start), stockTime+time.Since(middle)
	}
	b.ReportMetric(float64(b.N)/ownTime.Seconds(), "own-steps/s")
	b.ReportMetric(stockTime.Seconds()/ownTime.Seconds(), "stock/own")
	b.ReportMetric(testing.AllocsPerRun(20, func() { require.NoError(b, own()) }), "own-allocs/step")
	b.ReportMetric(testing.AllocsPerRun(20, func() { require.NoError(b, stock()) }), "stock-allocs/step")
}

// stockStep builds the classifier from gorgonia's own operations.
func stockStep(b *testing.B, c *model.Classifier, x frame.Matrix, y []int32) func() error {
	b.Helper()
	k := len(c.Classes)
	onehot := make([]float32, x.Rows*k)
	for i, class := range y {
		onehot[i*k+int(class)] = 1
	}
	g := gorgonia.NewGraph()
	matrix := func(name string, data []float32, rows, cols int) *gorgonia.Node {
		return gorgonia.NewMatrix(g, tensor.Float32, gorgonia.WithShape(rows, cols), gorgonia.WithName(name),
			gorgonia.WithValue(tensor.New(tensor.WithShape(rows, cols), tensor.WithBacking(data))))
	}
	node, target := matrix("x", x.Data, x.Rows, x.Cols), matrix("y", onehot, x.Rows, k)
	var weights gorgonia.Nodes
	for i, d := range c.Clone().Layers {
		w, bias := matrix("w"+string(rune('0'+i)), d.W, d.In, d.Out), matrix("b"+string(rune('0'+i)), d.B, 1, d.Out)
		weights = append(weights, w, bias)
		node = gorgonia.Must(gorgonia.BroadcastAdd(gorgonia.Must(gorgonia.Mul(node, w)), bias, nil, []byte{0}))
		if d.Activation == model.ReLU {
			node = gorgonia.Must(gorgonia.Rectify(node))
		}
	}
	logp := gorgonia.Must(gorgonia.Log(gorgonia.Must(gorgonia.SoftMax(node))))
	total := gorgonia.Must(gorgonia.Sum(gorgonia.Must(gorgonia.HadamardProd(logp, target))))
	loss := gorgonia.Must(gorgonia.Div(gorgonia.Must(gorgonia.Neg(total)), gorgonia.NewConstant(float32(x.Rows))))
	_, err := gorgonia.Grad(loss, weights...)
	require.NoError(b, err)
	machine := gorgonia.NewTapeMachine(g, gorgonia.BindDualValues(weights...))
	solver := gorgonia.NewAdamSolver(gorgonia.WithLearnRate(0.001))
	return func() error {
		if err := machine.RunAll(); err != nil {
			return err
		}
		defer machine.Reset()
		return solver.Step(gorgonia.NodesToValueGrads(weights))
	}
}

// BenchmarkAdam updates the 786 parameters of a 6-32-16-2 network.
func BenchmarkAdam(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 0))
	p, err := nn.NewTensor(786)
	require.NoError(b, err)
	g, err := nn.NewTensor(786)
	require.NoError(b, err)
	for i := range g.Floats() {
		g.Floats()[i] = float32(rng.NormFloat64())
	}
	var adam nn.Adam
	b.ReportAllocs()
	for b.Loop() {
		require.NoError(b, adam.Step([]*nn.Tensor{p}, []*nn.Tensor{g}))
	}
}
