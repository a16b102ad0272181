package model_test

import (
	"fmt"

	"github.com/mlloop/mlloop/train/frame"
	"github.com/mlloop/mlloop/train/model"
)

func Example() {
	c := &model.Classifier{
		Layers: []model.Dense{{
			In: 2, Out: 2, W: []float32{-1, 1, -2, 2}, B: []float32{0, 0}, Activation: model.Identity,
		}},
		Classes: []frame.Value{frame.StringValue("stays"), frame.StringValue("leaves")},
	}
	architecture, weights, err := c.Encode()
	if err != nil {
		panic(err)
	}
	c, err = model.Decode(architecture, weights)
	if err != nil {
		panic(err)
	}
	p, err := c.Probabilities(nil, frame.Matrix{Rows: 1, Cols: 2, Data: []float32{0.5, 0.25}})
	if err != nil {
		panic(err)
	}
	for j, class := range c.Classes {
		fmt.Printf("%s %.3f\n", class.Text(), p[j])
	}
	// Output:
	// stays 0.119
	// leaves 0.881
}
