package model_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/train/frame"
	"github.com/mlloop/mlloop/train/model"
)

func classes(n int) []frame.Value {
	v := make([]frame.Value, n)
	for i := range v {
		v[i] = frame.IntValue(int64(i))
	}
	return v
}

func random(rng *rand.Rand, sizes ...int) *model.Classifier {
	c := &model.Classifier{Classes: classes(sizes[len(sizes)-1])}
	for i := 1; i < len(sizes); i++ {
		d := model.Dense{In: sizes[i-1], Out: sizes[i], Activation: model.ReLU}
		if i == len(sizes)-1 {
			d.Activation = model.Identity
		}
		for range d.In * d.Out {
			d.W = append(d.W, float32(rng.NormFloat64()/math.Sqrt(float64(d.In))))
		}
		for range d.Out {
			d.B = append(d.B, float32(rng.NormFloat64()))
		}
		c.Layers = append(c.Layers, d)
	}
	return c
}

func randomMatrix(rng *rand.Rand, rows, cols int) frame.Matrix {
	x := frame.NewMatrix(rows, cols)
	for i := range x.Data {
		x.Data[i] = float32(rng.NormFloat64())
	}
	return x
}

// TestPyTorch compares the probabilities with those that PyTorch computes in
// float64; testdata/golden.py wrote them.
func TestPyTorch(t *testing.T) {
	data, err := os.ReadFile("testdata/golden.json")
	require.NoError(t, err)
	var cases []struct {
		Layers        []model.Dense
		X             []float32
		Probabilities []float64
	}
	require.NoError(t, json.Unmarshal(data, &cases))
	require.Len(t, cases, 4)
	for _, g := range cases {
		last := g.Layers[len(g.Layers)-1]
		c := &model.Classifier{Layers: g.Layers, Classes: classes(last.Out)}
		require.NoError(t, c.Check())
		x := frame.Matrix{Rows: 9, Cols: g.Layers[0].In, Data: g.X}
		p, err := c.Probabilities(nil, x)
		require.NoError(t, err)
		require.InDeltaSlice(t, g.Probabilities, p, 2e-6)
	}
}

// TestRowsDoNotTouchOneAnother: a row has the same probabilities, to the bit,
// alone and in batches that end inside and beyond a block.
func TestRowsDoNotTouchOneAnother(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, sizes := range [][]int{{6, 32, 16, 2}, {3, 300, 5}, {70, 7, 9, 3}, {5, 2}} {
		c := random(rng, sizes...)
		x := randomMatrix(rng, 200, sizes[0])
		all, err := c.Probabilities(nil, x)
		require.NoError(t, err)
		k := sizes[len(sizes)-1]
		for _, rows := range []int{1, 2, 63, 64, 65, 129} {
			from := rng.IntN(200 - rows + 1)
			part, err := c.Probabilities(nil, frame.Matrix{Rows: rows, Cols: x.Cols, Data: x.Data[from*x.Cols : (from+rows)*x.Cols]})
			require.NoError(t, err)
			require.Equal(t, all[from*k:(from+rows)*k], part)
		}
	}
}

func TestProbabilitiesSumToOne(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	c := random(rng, 4, 8, 5)
	x := randomMatrix(rng, 50, 4)
	for i := range x.Data {
		x.Data[i] *= 1e6
	}
	p, err := c.Probabilities(nil, x)
	require.NoError(t, err)
	for i := range x.Rows {
		var sum float64
		for _, v := range p[5*i : 5*i+5] {
			require.GreaterOrEqual(t, v, 0.0)
			sum += v
		}
		require.InDelta(t, 1, sum, 1e-12)
	}
}

func TestProbabilitiesReusesDst(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	c := random(rng, 6, 32, 16, 2)
	x := randomMatrix(rng, 1, 6)
	dst := make([]float64, 0, 2)
	p, err := c.Probabilities(dst, x)
	require.NoError(t, err)
	require.Same(t, &dst[:1][0], &p[0])
	require.Zero(t, testing.AllocsPerRun(100, func() {
		_, err = c.Probabilities(dst, x)
	}))
	require.NoError(t, err)

	empty, err := c.Probabilities(dst, frame.Matrix{Cols: 6})
	require.NoError(t, err)
	require.Empty(t, empty, "no rows")
}

func TestProbabilitiesConcurrently(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	c := random(rng, 6, 32, 2)
	x := randomMatrix(rng, 70, 6)
	want, err := c.Probabilities(nil, x)
	require.NoError(t, err)
	var wg sync.WaitGroup
	got := make([][]float64, 4)
	for i := range got {
		wg.Go(func() {
			for range 20 {
				got[i], _ = c.Probabilities(got[i], x)
			}
		})
	}
	wg.Wait()
	for _, p := range got {
		require.Equal(t, want, p)
	}
}

func TestProbabilitiesErrors(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	c := random(rng, 2, 3, 2)
	nan := float32(math.NaN())
	for explanation, x := range map[string]frame.Matrix{
		"too wide":      frame.NewMatrix(1, 3),
		"data missing":  {Rows: 2, Cols: 2, Data: make([]float32, 3)},
		"negative rows": {Rows: -1, Cols: 2},
		"NaN":           {Rows: 2, Cols: 2, Data: []float32{1, 2, 3, nan}},
		"infinite":      {Rows: 1, Cols: 2, Data: []float32{float32(math.Inf(1)), 1}},
	} {
		_, err := c.Probabilities(nil, x)
		require.ErrorIs(t, err, fault.Invalid, explanation)
	}
	_, err := c.Probabilities(nil, frame.Matrix{Rows: 2, Cols: 2, Data: []float32{1, 2, 3, nan}})
	require.ErrorContains(t, err, "model: probabilities: row 1: ", "the row is named")

	broken := c.Clone()
	broken.Layers[1].W = broken.Layers[1].W[:1]
	_, err = broken.Probabilities(nil, frame.NewMatrix(1, 2))
	require.ErrorIs(t, err, fault.Invalid, "weights missing")
	_, err = (&model.Classifier{}).Probabilities(nil, frame.NewMatrix(1, 2))
	require.ErrorIs(t, err, fault.Invalid, "no layers")
	require.NotEqual(t, len(c.Layers[1].W), 1, "a clone is a copy")
	require.Zero(t, (&model.Classifier{}).Inputs())
	require.ErrorIs(t, c.Layers[0].Forward(nil, make([]float32, 2), 1), fault.Invalid, "no room for the outputs")
}

func TestCheckReportsAllAtOnce(t *testing.T) {
	c := random(rand.New(rand.NewPCG(11, 12)), 2, 3, 2)
	require.NoError(t, c.Check())
	c.Layers[0].Activation = "sigmoid"
	c.Layers[0].B = nil
	c.Layers[1].In = 4
	c.Layers[1].W[0] = float32(math.Inf(1))
	c.Classes = []frame.Value{frame.IntValue(1), frame.IntValue(1), frame.StringValue("a")}
	require.EqualError(t, c.Check(), `layer 0 has the unknown activation "sigmoid"; `+
		`layer 1 takes 4 values, the one before gives 3; the last layer gives 2 scores for 3 classes; `+
		`class "1" is listed twice; class "a" is of kind "string", the first one of kind "int64"; `+
		`layer 0 has 0 biases, want 3; layer 1 has 6 weights, want 4×2; layer 1 has weights that are not finite`)

	for explanation, v := range map[string][]frame.Value{
		"one class": classes(1), "floats": {frame.FloatValue(1), frame.FloatValue(2)}, "nulls": {{}, {}},
	} {
		c := random(rand.New(rand.NewPCG(13, 14)), 2, len(v))
		c.Classes = slices.Clone(v)
		require.ErrorIs(t, c.Check(), fault.Invalid, explanation)
	}
}

// BenchmarkProbabilities answers one row and a batch of 128 with a 6-32-16-2 network.
func BenchmarkProbabilities(b *testing.B) {
	rng := rand.New(rand.NewPCG(15, 16))
	c := random(rng, 6, 32, 16, 2)
	for name, rows := range map[string]int{"row": 1, "batch": 128} {
		x := randomMatrix(rng, rows, 6)
		b.Run(name, func(b *testing.B) {
			var p []float64
			b.ReportAllocs()
			for b.Loop() {
				p, _ = c.Probabilities(p, x)
			}
		})
	}
}
