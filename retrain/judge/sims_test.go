package judge

import (
	"math"
	"math/rand/v2"
	"slices"
	"sort"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/mlloop/mlloop/train/metric"
)

// world draws two models' answers to rows in the order of time. A row of label
// y scores (2y-1)(δ/2+z) with a model, where z, of variance 1, says how hard the
// row is for it: half of z is common to both models, half each one's own.
type world struct {
	name string
	// noise fills the common and the two own parts of z, and the labels' latent part.
	noise func(rng *rand.Rand, n int) latent
	// marginal are equally probable values of z, ascending.
	marginal []float64
	truths   map[string]float64 // of the margin, by metric
}

// latent are the parts of z, and what scales them all.
type latent struct{ common, a, b, label, scale []float64 }

// The strengths δ of the champion and of challengers; the champion is calibrated.
const (
	strengthChampion = 1.5
	strengthMargin   = 1.2
	strengthTwice    = 0.9
	strengthBetter   = 1.8
)

func phi(x float64) float64 { return 0.5 * math.Erfc(-x/math.Sqrt2) }

func normals(points int) []float64 {
	z := make([]float64, points)
	for i := range z {
		z[i] = math.Sqrt2 * math.Erfinv(2*(float64(i)+0.5)/float64(points)-1)
	}
	return z
}

// walk is a stationary AR(1) of variance 1.
func walk(rng *rand.Rand, n int, rho float64) []float64 {
	x, z := make([]float64, n), rng.NormFloat64()
	for i := range x {
		x[i] = z
		z = rho*z + math.Sqrt(1-rho*rho)*rng.NormFloat64()
	}
	return x
}

// mixed is share of a walk, by variance, and the rest white.
func mixed(rng *rand.Rand, n int, rho, share float64) []float64 {
	x := walk(rng, n, rho)
	for i := range x {
		x[i] = math.Sqrt(share)*x[i] + math.Sqrt(1-share)*rng.NormFloat64()
	}
	return x
}

func autoregressive(name string, rho, share float64) world {
	return world{name, func(rng *rand.Rand, n int) latent {
		return latent{mixed(rng, n, rho, share), mixed(rng, n, rho, share), mixed(rng, n, rho, share), mixed(rng, n, rho, share), nil}
	}, normals(20_000), map[string]float64{}}
}

const (
	seasonShare  = 0.3
	seasonPeriod = 24
)

func seasonal() world {
	season := func(rng *rand.Rand, n int) []float64 {
		x, phase := make([]float64, n), 2*math.Pi*rng.Float64()
		for i := range x {
			x[i] = math.Sqrt(2*seasonShare)*math.Sin(phase+2*math.Pi*float64(i)/seasonPeriod) +
				math.Sqrt(1-seasonShare)*rng.NormFloat64()
		}
		return x
	}
	return world{"seasonal 24", func(rng *rand.Rand, n int) latent {
		// Nothing in common, so that the marginal of the sum is that of one part.
		return latent{nil, season(rng, n), season(rng, n), walk(rng, n, 0), nil}
	}, seasonMarginal(), map[string]float64{}}
}

func seasonMarginal() []float64 {
	var z []float64
	for k := range 200 {
		at := math.Sqrt(2*seasonShare) * math.Sin(2*math.Pi*(float64(k)+0.5)/200)
		for _, g := range normals(200) {
			z = append(z, at+math.Sqrt(1-seasonShare)*g)
		}
	}
	slices.Sort(z)
	return z
}

// heavy is Student's t with three degrees of freedom, of variance 1.
func heavy() world {
	marginal := make([]float64, 4000)
	t := distuv.StudentsT{Mu: 0, Sigma: 1 / math.Sqrt(3), Nu: 3}
	for i := range marginal {
		marginal[i] = t.Quantile((float64(i) + 0.5) / float64(len(marginal)))
	}
	return world{"heavy tails", func(rng *rand.Rand, n int) latent {
		l := latent{walk(rng, n, 0), walk(rng, n, 0), walk(rng, n, 0), walk(rng, n, 0), make([]float64, n)}
		for i := range l.scale {
			var chi float64
			for range 3 {
				g := rng.NormFloat64()
				chi += g * g
			}
			l.scale[i] = 1 / math.Sqrt(chi)
		}
		return l
	}, marginal, map[string]float64{}}
}

func worlds() []world {
	return []world{
		autoregressive("independent", 0, 0),
		autoregressive("AR(1) 0.8", 0.8, 1),
		autoregressive("AR(1) 0.95", 0.95, 1),
		autoregressive("AR(1) 0.95, half noise", 0.95, 0.5),
		seasonal(),
		heavy(),
	}
}

// draw returns n rows that a model of either strength answered.
func (w world) draw(rng *rand.Rand, n int, strengthA, strengthB float64) (a, b metric.Scores) {
	l := w.noise(rng, n)
	a = metric.Scores{Classes: 2, Labels: make([]int, n), Probabilities: make([]float64, 2*n)}
	b = metric.Scores{Classes: 2, Labels: a.Labels, Probabilities: make([]float64, 2*n)}
	for i := range n {
		if l.label[i] > 0 {
			a.Labels[i] = 1
		}
		sign := float64(2*a.Labels[i] - 1)
		fill := func(s metric.Scores, own, strength float64) {
			z := own
			if l.common != nil {
				z = (own + l.common[i]) * math.Sqrt(0.5)
			}
			if l.scale != nil {
				z *= l.scale[i]
			}
			p := 1 / (1 + math.Exp(-strengthChampion*sign*(strength/2+z)))
			s.Probabilities[2*i], s.Probabilities[2*i+1] = 1-p, p
		}
		fill(a, l.a[i], strengthA)
		fill(b, l.b[i], strengthB)
	}
	return a, b
}

// truth is the metric of a model of the strength on endlessly many rows.
func (w world) truth(name string, strength float64) float64 {
	var sum float64
	for _, z := range w.marginal {
		s := strength/2 + z
		p := 1 / (1 + math.Exp(-strengthChampion*s)) // of the label
		switch name {
		case metric.NameAccuracy:
			if s > 0 {
				sum++
			}
		case metric.NameLogLoss:
			sum -= math.Log(min(max(p, 0x1p-52), 1-0x1p-52))
		case metric.NameBrier:
			sum += (1 - p) * (1 - p)
		case metric.NameAUC: // P(δ/2+z > -(δ/2+z'))
			sum += 1 - float64(sort.SearchFloat64s(w.marginal, -strength-z))/float64(len(w.marginal))
		}
	}
	return sum / float64(len(w.marginal))
}

// marginOf is by how much a challenger of strengthMargin is worse.
func marginOf(w world, name string) float64 {
	if v, ok := w.truths[name]; ok {
		return v
	}
	w.truths[name] = math.Abs(w.truth(name, strengthMargin) - w.truth(name, strengthChampion))
	return w.truths[name]
}
