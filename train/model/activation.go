package model

import "math"

// Activation is the function that a layer applies to each of its outputs.
type Activation string

// The activations.
const (
	Identity Activation = "identity" // x
	ReLU     Activation = "relu"     // max(x, 0); NaN stays NaN
	Tanh     Activation = "tanh"     // the hyperbolic tangent
)

func (a Activation) known() bool { return a == Identity || a == ReLU || a == Tanh }

// apply replaces each element of v by its activation.
func (a Activation) apply(v []float32) {
	switch a {
	case ReLU:
		for i, x := range v {
			v[i] = max(x, 0)
		}
	case Tanh:
		for i, x := range v {
			v[i] = float32(math.Tanh(float64(x)))
		}
	}
}
