package nn_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/train/frame"
	"github.com/mlloop/mlloop/train/model"
	"github.com/mlloop/mlloop/train/nn"
)

type goldenLayer struct{ W, B []float32 }

// goldenCase is one fit that PyTorch made; testdata/golden.py wrote it.
type goldenCase struct {
	Activation    model.Activation
	WeightDecay   float64 `json:"weight_decay"`
	LearningRate  float64 `json:"learning_rate"`
	X             []float32
	Y             []int32
	Before        []goldenLayer
	Gradients     []goldenLayer
	Losses        []float64
	After         []goldenLayer
	Probabilities []float64
}

func (g goldenCase) classifier() *model.Classifier {
	c := &model.Classifier{Classes: []frame.Value{frame.IntValue(0), frame.IntValue(1), frame.IntValue(2)}}
	for i, l := range g.Before {
		d := model.Dense{In: len(l.W) / len(l.B), Out: len(l.B), W: l.W, B: l.B, Activation: g.Activation}
		if i == len(g.Before)-1 {
			d.Activation = model.Identity
		}
		c.Layers = append(c.Layers, d)
	}
	return c
}

// TestPyTorch repeats fits of 60 steps, the last batch of each pass shorter
// than the others, and compares every loss, the first gradients, the last
// weights and the probabilities. Both sides round in float32 but sum in another
// order, hence the tolerances.
func TestPyTorch(t *testing.T) {
	data, err := os.ReadFile("testdata/golden.json")
	require.NoError(t, err)
	var cases []goldenCase
	require.NoError(t, json.Unmarshal(data, &cases))
	require.Len(t, cases, 3)
	for _, g := range cases {
		c := g.classifier()
		x := frame.Matrix{Rows: len(g.Y), Cols: 5, Data: g.X}
		n, err := nn.NewNetwork(c, 16)
		require.NoError(t, err)
		adam := nn.Adam{LearningRate: g.LearningRate, WeightDecay: g.WeightDecay}
		for step, want := range g.Losses {
			var rows []int
			for r := step % 3 * 16; r < min(step%3*16+16, x.Rows); r++ {
				rows = append(rows, r)
			}
			loss, err := n.Backward(x, g.Y, rows)
			require.NoError(t, err)
			require.InDelta(t, want, loss, 1e-4*want+1e-6, "%s, step %d", g.Activation, step)
			if step == 0 {
				for i, l := range g.Gradients {
					require.InDeltaSlice(t, l.W, n.Grads()[2*i].Floats(), 1e-6)
					require.InDeltaSlice(t, l.B, n.Grads()[2*i+1].Floats(), 1e-6)
				}
			}
			require.NoError(t, adam.Step(n.Params(), n.Grads()))
		}
		for i, l := range g.After {
			require.InDeltaSlice(t, l.W, c.Layers[i].W, 2e-4)
			require.InDeltaSlice(t, l.B, c.Layers[i].B, 2e-4)
		}
		p, err := c.Probabilities(nil, x)
		require.NoError(t, err)
		require.InDeltaSlice(t, g.Probabilities, p, 2e-4)
	}
}
