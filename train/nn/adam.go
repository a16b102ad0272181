package nn

import (
	"cmp"
	"math"

	"github.com/mlloop/mlloop/internal/fault"
)

// Adam updates parameters by the method of Kingma and Ba, "Adam: A Method for
// Stochastic Optimization" (2015), with the decoupled weight decay of Loshchilov
// and Hutter, "Decoupled Weight Decay Regularization" (2019), that is, as
// PyTorch's AdamW computes it. The zero value is ready to use; it is not safe
// for concurrent use.
type Adam struct {
	LearningRate float64 // 0: 0.001; may change between steps
	Beta1        float64 // 0: 0.9
	Beta2        float64 // 0: 0.999
	Epsilon      float64 // 0: 1e-8
	WeightDecay  float64 // per step, times the learning rate; 0: none

	step    int
	moments []moments // one a parameter tensor
}

// moments are the running means of the gradient and of its square.
type moments struct{ first, second []float32 }

// Step subtracts one update from each parameter, by the gradient at the same
// place. The tensors must be the same from call to call. After the first call
// it allocates nothing. Errors: Invalid when the two lists, or the sizes since
// the first call, do not fit.
func (a *Adam) Step(params, grads []*Tensor) error {
	if err := a.check(params, grads); err != nil {
		return err
	}
	a.step++
	lr := cmp.Or(a.LearningRate, 0.001)
	beta1, beta2 := cmp.Or(a.Beta1, 0.9), cmp.Or(a.Beta2, 0.999)
	u := update{
		keep:  float32(1 - lr*a.WeightDecay),
		beta1: float32(beta1), rest1: float32(1 - beta1),
		beta2: float32(beta2), rest2: float32(1 - beta2),
		rate:    float32(lr / (1 - math.Pow(beta1, float64(a.step)))),
		correct: float32(1 / math.Sqrt(1-math.Pow(beta2, float64(a.step)))),
		epsilon: float32(cmp.Or(a.Epsilon, 1e-8)),
	}
	for i := range params {
		u.apply(params[i].data, grads[i].data, a.moments[i].first, a.moments[i].second)
	}
	return nil
}

func (a *Adam) check(params, grads []*Tensor) error {
	if len(params) != len(grads) || (a.moments != nil && len(a.moments) != len(params)) {
		return fault.Errorf(fault.Invalid, "nn: adam: %d parameters, %d gradients, %d in the step before",
			len(params), len(grads), len(a.moments))
	}
	if a.moments == nil {
		a.moments = make([]moments, len(params))
		for i, p := range params {
			a.moments[i] = moments{make([]float32, len(p.data)), make([]float32, len(p.data))}
		}
	}
	for i, p := range params {
		if len(grads[i].data) != len(p.data) || len(a.moments[i].first) != len(p.data) {
			return fault.Errorf(fault.Invalid, "nn: adam: parameter %d has %d values, its gradient %d, in the step before %d",
				i, len(p.data), len(grads[i].data), len(a.moments[i].first))
		}
	}
	return nil
}

// update is one step's constants.
type update struct {
	keep                       float32 // what weight decay leaves
	beta1, rest1, beta2, rest2 float32
	rate, correct, epsilon     float32 // the bias corrections are in rate and correct
}

func (u update) apply(w, g, m, v []float32) {
	for i := 0; i < len(w) && i < len(g) && i < len(m) && i < len(v); i++ {
		m[i] = u.beta1*m[i] + u.rest1*g[i]
		v[i] = u.beta2*v[i] + u.rest2*g[i]*g[i]
		root := float32(math.Sqrt(float64(v[i])))
		w[i] = u.keep*w[i] - u.rate*m[i]/(root*u.correct+u.epsilon)
	}
}
