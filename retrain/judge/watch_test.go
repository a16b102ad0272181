package judge

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/train/metric"
)

// calls draws how likely each call fails on the primary, and on the canary.
type calls struct {
	name    string
	primary func(*rand.Rand) func(i int) float64
	canary  func(primary float64) float64
	share   float64
	quiet   bool // harm would be false
}

func constant(p float64) func(*rand.Rand) func(int) float64 {
	return func(*rand.Rand) func(int) float64 { return func(int) float64 { return p } }
}

// correlated is the probability of a failure by an AR(1) that both arms share: 20 % on average.
func correlated(rho float64) func(*rand.Rand) func(int) float64 {
	return func(rng *rand.Rand) func(int) float64 {
		z := rng.NormFloat64()
		return func(int) float64 {
			z = rho*z + math.Sqrt(1-rho*rho)*rng.NormFloat64()
			return phi(-1.5 + 1.5*z)
		}
	}
}

func drifting(rng *rand.Rand) func(int) float64 {
	phase := 2 * math.Pi * rng.Float64()
	return func(i int) float64 { return 0.1 + 0.09*math.Sin(phase+float64(i)/500) }
}

// outages of 20 calls befall both arms.
func outages(rng *rand.Rand) func(int) float64 {
	left := 0
	return func(int) float64 {
		if left--; left > 0 {
			return 0.95
		}
		if rng.Float64() < 0.005 {
			left = 20
		}
		return 0.005
	}
}

func same(p float64) float64 { return p }

// besides also fails so often.
func besides(d float64) func(float64) float64 {
	return func(p float64) float64 { return p + d - p*d }
}

func allCalls() []calls {
	var out []calls
	for _, share := range []float64{0.05, 0.5} {
		for _, c := range []calls{
			{"never fails", constant(0), same, 0, true},
			{"5 % fail", constant(0.05), same, 0, true},
			{"30 % fail", constant(0.3), same, 0, true},
			{"5 % and the margin", constant(0.05), func(p float64) float64 { return p + 0.01 }, 0, true},
			{"drifting 1 to 19 %", drifting, same, 0, true},
			{"outages of both", outages, same, 0, true},
			{"AR(1) 0.8", correlated(0.8), same, 0, true},
			{"AR(1) 0.95", correlated(0.95), same, 0, true},
			{"AR(1) 0.999", correlated(0.999), same, 0, true},
			{"90 % more, of 0.1 %", constant(0.001), besides(0.9), 0, false},
			{"10 % more, of 0.1 %", constant(0.001), besides(0.1), 0, false},
			{"10 % more, of 5 %", constant(0.05), besides(0.1), 0, false},
			{"5 % more, of 0.1 %", constant(0.001), besides(0.05), 0, false},
			{"10 % more, AR(1) 0.95", correlated(0.95), besides(0.1), 0, false},
		} {
			c.share = share
			out = append(out, c)
		}
	}
	return out
}

// of returns the quantile of what came, - where nothing did.
func of(x []int, p float64) string {
	if len(x) == 0 {
		return "-"
	}
	slices.Sort(x)
	return fmt.Sprint(x[int(math.Ceil(p*float64(len(x))))-1])
}

// run is one watched canary: how many of its calls had come at the first verdict
// of either kind, 0: none.
func (c calls) run(t *testing.T, rng *rand.Rand, length int) (failed, passed int) {
	r, err := NewRates(nil)
	require.NoError(t, err)
	rate := c.primary(rng)
	for i := range length {
		p, arm := rate(i), Primary
		if rng.Float64() < c.share {
			p, arm = c.canary(p), Canary
		}
		r.Add(arm, rng.Float64() < p)
		switch r.arms.Shown {
		case Fail:
			return r.arms.Calls[Canary], passed
		case Pass:
			if passed == 0 {
				passed = r.arms.Calls[Canary]
			}
		}
	}
	return 0, passed
}

// Judged after every call of runs of 10,000.
func TestTablesRates(t *testing.T) {
	var text strings.Builder
	fmt.Fprintf(&text, "| calls | canary's share | harm %% | at canary call: half, 95 %% | no harm %% | at canary call: half |\n")
	for k, c := range allCalls() {
		rng := rand.New(rand.NewPCG(6, uint64(k)))
		var harm, none []int
		for range *sims {
			failed, passed := c.run(t, rng, 10_000)
			if failed > 0 {
				harm = append(harm, failed)
			}
			if passed > 0 {
				none = append(none, passed)
			}
		}
		if c.quiet {
			requireLevel(t, c.name, len(harm), *sims)
		} else {
			requireLevel(t, c.name+": no harm is shown", len(none), *sims)
			require.GreaterOrEqual(t, len(harm), *sims*3/4, c.name)
		}
		fmt.Fprintf(&text, "| %s | %.2f | %s | %s, %s | %s | %s |\n", c.name, c.share, percent(len(harm), *sims), of(harm, 0.5), of(harm, 0.95), percent(len(none), *sims), of(none, 0.5))
		switch {
		case strings.HasPrefix(c.name, "90 %"):
			require.LessOrEqual(t, harm[len(harm)*95/100], 25)
		case strings.HasPrefix(c.name, "10 % more, of 0.1 %"):
			require.LessOrEqual(t, harm[len(harm)*95/100], 300)
		}
	}
	t.Logf("%d simulations\n%s", *sims, text.String())
}

// Labelled rows of a canary at a quarter of 8,000: log-loss to a bound of 4,
// errors and squared errors.
func TestTablesLosses(t *testing.T) {
	for _, w := range worlds() {
		t.Run(strings.ReplaceAll(w.name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			var text strings.Builder
			fmt.Fprintf(&text, "| rows | loss | margin | equal: harm %% | at the margin: harm %% | thrice: harm %% | at canary row: half |\n")
			lossesRows(t, &text, w)
			t.Logf("%d simulations\n%s", lossesSims(), text.String())
		})
	}
}

// lossesSims is fewer in the short form: these runs are long.
func lossesSims() int {
	if *sims < 1000 {
		return max(*sims/4, 1)
	}
	return *sims
}

func lossesRows(t *testing.T, text *strings.Builder, w world) {
	names := []string{metric.NameAccuracy, metric.NameLogLoss, metric.NameBrier}
	harms := map[string]*[3][]int{}
	for _, name := range names {
		harms[name] = &[3][]int{}
	}
	rng := rand.New(rand.NewPCG(7, 7))
	for range lossesSims() {
		for k, strength := range []float64{strengthChampion, strengthMargin, 0.6} {
			challenger, champion := w.draw(rng, 8000, strength, strengthChampion)
			arms := make([]Arm, 8000)
			for i := range arms {
				if rng.Float64() < 0.25 {
					arms[i] = Canary
				}
			}
			for _, name := range names {
				if at := watchLosses(t, arms, name, challenger, champion, marginOf(w, name)); at > 0 {
					harms[name][k] = append(harms[name][k], at)
				}
			}
		}
	}
	part := func(x []int) float64 { return 100 * float64(len(x)) / float64(lossesSims()) }
	for _, name := range names {
		h := harms[name]
		requireLevel(t, w.name+" "+name+", equal", len(h[0]), lossesSims())
		if name != metric.NameLogLoss { // cutting the losses moves the margin
			requireLevel(t, w.name+" "+name+", at the margin", len(h[1]), lossesSims())
		}
		fmt.Fprintf(text, "| %s | %s | %.4f | %.1f | %.1f | %.1f | %s |\n", w.name, name, marginOf(w, name), part(h[0]), part(h[1]), part(h[2]), of(h[2], 0.5))
	}
}

func watchLosses(t *testing.T, arms []Arm, name string, challenger, champion metric.Scores, margin float64) int {
	bound := map[string]float64{metric.NameAccuracy: 1, metric.NameLogLoss: 4, metric.NameBrier: 1}[name]
	l, err := NewLosses(bound, &WatchOptions{Margin: margin})
	require.NoError(t, err)
	m, err := metric.ByName(name)
	require.NoError(t, err)
	a, err := m.PerRow(challenger)
	require.NoError(t, err)
	b, err := m.PerRow(champion)
	require.NoError(t, err)
	for i, arm := range arms {
		loss := b[i]
		if arm == Canary {
			loss = a[i]
		}
		if m.HigherBetter {
			loss = 1 - loss
		}
		if l.Add(arm, loss); l.arms.Shown == Fail {
			return l.arms.Calls[Canary]
		}
	}
	return 0
}
