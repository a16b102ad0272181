package nn_test

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/mlloop/mlloop/train/frame"
	"github.com/mlloop/mlloop/train/model"
	"github.com/mlloop/mlloop/train/nn"
)

// Exclusive or, which no single layer can learn.
func Example() {
	c := &model.Classifier{
		Layers: []model.Dense{
			{In: 2, Out: 4, W: []float32{.9, -.7, .5, -.4, .8, -.6, -.5, .4}, B: make([]float32, 4), Activation: model.Tanh},
			{In: 4, Out: 2, W: []float32{.5, -.5, -.3, .3, .6, -.6, -.2, .2}, B: make([]float32, 2), Activation: model.Identity},
		},
		Classes: []frame.Value{frame.BoolValue(false), frame.BoolValue(true)},
	}
	x := frame.Matrix{Rows: 4, Cols: 2, Data: []float32{0, 0, 0, 1, 1, 0, 1, 1}}
	classes := []int32{0, 1, 1, 0}

	net, err := nn.NewNetwork(c, 4)
	if err != nil {
		panic(err)
	}
	defer net.Close()
	adam := nn.Adam{LearningRate: 0.05}
	for range 300 {
		if _, err := net.Backward(x, classes, []int{0, 1, 2, 3}); err != nil {
			panic(err)
		}
		if err := adam.Step(net.Params(), net.Grads()); err != nil {
			panic(err)
		}
	}
	p, err := c.Probabilities(nil, x)
	if err != nil {
		panic(err)
	}
	for i := range x.Rows {
		fmt.Println(x.Row(i), p[2*i+1] > 0.5)
	}
	// Output:
	// [0 0] false
	// [0 1] true
	// [1 0] true
	// [1 1] false
}

// The operations work in any gorgonia graph.
func ExampleDense() {
	g := gorgonia.NewGraph()
	input := func(name string, values []float32, shape ...int) *gorgonia.Node {
		v, err := nn.Wrap(values, shape...)
		if err != nil {
			panic(err)
		}
		return gorgonia.NewTensor(g, tensor.Float32, len(shape),
			gorgonia.WithShape(shape...), gorgonia.WithName(name), gorgonia.WithValue(v))
	}
	x := input("x", []float32{1, 2}, 1, 2)
	w := input("w", []float32{1, -1, 1, -1}, 2, 2)
	b := input("b", []float32{0.5, 0.5}, 2)
	y, err := nn.Dense(x, w, b, model.ReLU)
	if err != nil {
		panic(err)
	}
	if err := gorgonia.NewTapeMachine(g).RunAll(); err != nil {
		panic(err)
	}
	fmt.Println(y.Value())
	// Output: (1, 2)[3.5 0]
}
