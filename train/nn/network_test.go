package nn_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/train/frame"
	"github.com/mlloop/mlloop/train/model"
	"github.com/mlloop/mlloop/train/nn"
)

// randomClassifier returns a classifier with normal weights and biases.
func randomClassifier(rng *rand.Rand, activation model.Activation, sizes ...int) *model.Classifier {
	c := &model.Classifier{}
	for i := 1; i < len(sizes); i++ {
		d := model.Dense{In: sizes[i-1], Out: sizes[i], Activation: activation}
		if i == len(sizes)-1 {
			d.Activation = model.Identity
		}
		for range d.In * d.Out {
			d.W = append(d.W, float32(rng.NormFloat64()*math.Sqrt(2/float64(d.In))))
		}
		for range d.Out {
			d.B = append(d.B, float32(rng.NormFloat64()/10))
		}
		c.Layers = append(c.Layers, d)
	}
	for k := range sizes[len(sizes)-1] {
		c.Classes = append(c.Classes, frame.IntValue(int64(k)))
	}
	return c
}

func randomBatch(rng *rand.Rand, rows, cols, classes int) (frame.Matrix, []int32, []int) {
	x := frame.NewMatrix(rows, cols)
	for i := range x.Data {
		x.Data[i] = float32(rng.NormFloat64())
	}
	y, all := make([]int32, rows), make([]int, rows)
	for i := range y {
		y[i], all[i] = rng.Int32N(int32(classes)), i
	}
	return x, y, all
}

func seeded(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }

// TestGradientsAgainstFiniteDifferences checks every weight's gradient by
// central differences of the loss, which the test computes in float64 by itself.
func TestGradientsAgainstFiniteDifferences(t *testing.T) {
	for _, activation := range []model.Activation{model.Identity, model.ReLU, model.Tanh} {
		for _, sizes := range [][]int{{4, 3}, {3, 7, 2}, {5, 4, 9, 3}, {2, 30, 2, 12, 4}} {
			rng := seeded(uint64(len(sizes)))
			c := randomClassifier(rng, activation, sizes...)
			x, y, rows := randomBatch(rng, 11, sizes[0], sizes[len(sizes)-1])
			n, err := nn.NewNetwork(c, 16)
			require.NoError(t, err)
			loss, err := n.Backward(x, y, rows)
			require.NoError(t, err)
			require.InDelta(t, lossOf(c, x, y), loss, 1e-6)
			for i, p := range n.Params() {
				checkGradient(t, c, x, y, p.Floats(), n.Grads()[i].Floats())
			}
			require.NoError(t, n.Close())
		}
	}
}

func checkGradient(t *testing.T, c *model.Classifier, x frame.Matrix, y []int32, w, gradient []float32) {
	t.Helper()
	require.Len(t, gradient, len(w))
	for j, before := range w {
		// The difference is taken over the step that float32 made of 2⁻¹⁰.
		w[j] = before + 1.0/1024
		up, high := lossOf(c, x, y), float64(w[j])
		w[j] = before - 1.0/1024
		down, low := lossOf(c, x, y), float64(w[j])
		w[j] = before
		// A ReLU's kink inside the step leaves an error of the step's size.
		require.InDelta(t, (up-down)/(high-low), gradient[j], 2e-3)
	}
}

// lossOf is the mean cross-entropy in float64, written apart from the packages
// under test.
func lossOf(c *model.Classifier, x frame.Matrix, y []int32) float64 {
	var loss float64
	for i := range x.Rows {
		v := make([]float64, x.Cols)
		for j, e := range x.Row(i) {
			v[j] = float64(e)
		}
		for _, d := range c.Layers {
			out := make([]float64, d.Out)
			for o := range out {
				out[o] = float64(d.B[o])
				for in, e := range v {
					out[o] += e * float64(d.W[in*d.Out+o])
				}
				switch d.Activation {
				case model.ReLU:
					out[o] = math.Max(out[o], 0)
				case model.Tanh:
					out[o] = math.Tanh(out[o])
				}
			}
			v = out
		}
		var sum float64
		for _, e := range v {
			sum += math.Exp(e)
		}
		loss += math.Log(sum) - v[y[i]]
	}
	return loss / float64(x.Rows)
}

// TestForwardEqualsModel compares the graph's loss with the one of the model's
// probabilities on random nets and batches.
func TestForwardEqualsModel(t *testing.T) {
	rng := seeded(5)
	for range 40 {
		sizes := []int{1 + rng.IntN(9), 1 + rng.IntN(70), 1 + rng.IntN(40), 2 + rng.IntN(5)}
		c := randomClassifier(rng, []model.Activation{model.ReLU, model.Tanh}[rng.IntN(2)], sizes...)
		x, y, rows := randomBatch(rng, 1+rng.IntN(200), sizes[0], sizes[3])
		n, err := nn.NewNetwork(c, 1+rng.IntN(200))
		require.NoError(t, err)
		loss, err := n.Backward(x, y, rows)
		require.NoError(t, err)
		p, err := c.Probabilities(nil, x)
		require.NoError(t, err)
		var want float64
		for i, class := range y {
			want -= math.Log(p[i*sizes[3]+int(class)]) / float64(len(y))
		}
		require.InDelta(t, want, loss, 1e-6*max(1, want))
		require.NoError(t, n.Close())
	}
}

func TestSameSeedSameWeights(t *testing.T) {
	fit := func() *model.Classifier {
		rng := seeded(9)
		c := randomClassifier(rng, model.ReLU, 6, 32, 16, 2)
		x, y, rows := randomBatch(rng, 100, 6, 2)
		n, err := nn.NewNetwork(c, 32)
		require.NoError(t, err)
		defer n.Close()
		var adam nn.Adam
		for step := range 50 {
			_, err := n.Backward(x, y, rows[step:step+32])
			require.NoError(t, err)
			require.NoError(t, adam.Step(n.Params(), n.Grads()))
		}
		return c
	}
	require.Equal(t, fit().Layers, fit().Layers)
}

// TestConcurrentNetworks is for the race detector: gorgonia keeps pools behind
// its graphs.
func TestConcurrentNetworks(t *testing.T) {
	var wg sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		wg.Go(func() {
			rng := seeded(uint64(i))
			c := randomClassifier(rng, model.ReLU, 4, 8, 2)
			x, y, rows := randomBatch(rng, 20, 4, 2)
			n, err := nn.NewNetwork(c, 20)
			for range 5 {
				if err == nil {
					_, err = n.Backward(x, y, rows)
				}
			}
			errs[i] = err
		})
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
}

func TestNetworksAreFreed(t *testing.T) {
	rng := seeded(3)
	x, y, rows := randomBatch(rng, 64, 50, 2)
	heap := func(fits int) uint64 {
		for range fits {
			n, err := nn.NewNetwork(randomClassifier(rng, model.ReLU, 50, 100, 2), 64)
			require.NoError(t, err)
			_, err = n.Backward(x, y, rows)
			require.NoError(t, err)
			require.NoError(t, n.Close())
		}
		// The machine has a finalizer: its memory goes with the second collection.
		for range 3 {
			runtime.GC()
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap(5)
	// One network holds about 130 KB.
	require.Less(t, heap(100), before+1<<20)
}

func TestNetworkErrors(t *testing.T) {
	rng := seeded(1)
	c := randomClassifier(rng, model.ReLU, 4, 8, 2)
	x, y, rows := randomBatch(rng, 20, 4, 2)
	n, err := nn.NewNetwork(c, 20)
	require.NoError(t, err)
	require.Nil(t, n.Grads())

	_, err = nn.NewNetwork(c, 0)
	require.ErrorIs(t, err, fault.Invalid)
	_, err = nn.NewNetwork(&model.Classifier{}, 10)
	require.EqualError(t, err, "nn: new network: 0 layers, want 1 to 256")

	wide, _, _ := randomBatch(rng, 20, 5, 2)
	for explanation, call := range map[string]func() (float64, error){
		"wrong width":   func() (float64, error) { return n.Backward(wide, y, rows) },
		"few classes":   func() (float64, error) { return n.Backward(x, y[:3], rows) },
		"empty batch":   func() (float64, error) { return n.Backward(x, y, nil) },
		"unknown row":   func() (float64, error) { return n.Backward(x, y, []int{20}) },
		"negative row":  func() (float64, error) { return n.Backward(x, y, []int{-1}) },
		"unknown class": func() (float64, error) { return n.Backward(x, slices.Repeat([]int32{2}, 20), rows) },
	} {
		_, err := call()
		require.ErrorIs(t, err, fault.Invalid, explanation)
	}

	_, err = n.Backward(x, y, rows)
	require.NoError(t, err, "usable after errors")
	require.NoError(t, n.Close())
	require.NoError(t, n.Close(), "a second Close is a no-op")
	_, err = n.Backward(x, y, rows)
	require.ErrorIs(t, err, fault.Closed)
}
