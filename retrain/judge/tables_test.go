package judge

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/train/metric"
)

var sims = flag.Int("judge.sims", 100, "number of simulations in each cell of the tables")

// requireLevel demands that no more than alpha of the simulations judged
// wrongly, give or take three standard errors.
func requireLevel(t *testing.T, what string, wrong, sims int) {
	t.Helper()
	const alpha = 0.05
	most := alpha + 3*math.Sqrt(alpha*(1-alpha)/float64(sims))
	if share := float64(wrong) / float64(sims); share > most {
		t.Errorf("%s: %.4f wrong of %d, want at most %.4f", what, share, sims, most)
	}
}

// cell counts outcomes.
type cell struct{ pass, fail, open int }

func (c *cell) count(o Outcome) {
	switch o {
	case Pass:
		c.pass++
	case Fail:
		c.fail++
	default:
		c.open++
	}
}

func percent(n, of int) string { return fmt.Sprintf("%.1f", 100*float64(n)/float64(of)) }

func (c cell) passes() string { return percent(c.pass, c.pass+c.fail+c.open) }

func (c cell) fails() string { return percent(c.fail, c.pass+c.fail+c.open) }

// tally is a row of the table: what came out for challengers at the margin, equal
// ones, those at twice the margin or so, and better ones.
type tally struct {
	niFalse, niEqual, harmFalse, harmFound, harmEqual, betterFalse, betterFound cell
}

func TestTablesPaired(t *testing.T) {
	for _, w := range worlds() {
		t.Run(strings.ReplaceAll(w.name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			var text strings.Builder
			fmt.Fprintf(&text, "| rows | metric | margin | non-inferior: passes at margin | passes equal | no harm: fails at margin | fails at twice | passes equal | superior: passes equal | passes better |\n")
			for _, n := range sizes() {
				pairedCells(t, &text, w, n)
			}
			t.Logf("%s, %d simulations\n%s", w.name, *sims, text.String())
		})
	}
}

// sizes are the rows of the tables; the short form leaves out the most.
func sizes() []int {
	if *sims < 1000 {
		return []int{100, 300, 1000}
	}
	return []int{100, 300, 1000, 3000}
}

// pairedSims is fewer for the most rows, and for power, of which a rough figure does.
func pairedSims(n int) (levels, powers int) {
	if n > 1000 {
		return *sims / 5, *sims / 10
	}
	return *sims, max(*sims/5, 1)
}

func pairedCells(t *testing.T, text *strings.Builder, w world, n int) {
	tallies := map[string]*tally{}
	margins := map[string]float64{}
	for _, m := range metric.All() {
		tallies[m.Name] = &tally{}
		margins[m.Name] = marginOf(w, m.Name)
	}
	rng := rand.New(rand.NewPCG(5, uint64(n)))
	o, err := (*Options)(nil).withDefaults()
	require.NoError(t, err)
	each := func(strength float64, f func(name string, judge func(q question, margin float64) Outcome)) {
		challenger, champion := w.draw(rng, n, strength, strengthChampion)
		for _, m := range metric.All() {
			e, err := pairedEstimate(m, challenger, champion)
			require.NoError(t, err)
			f(m.Name, func(q question, margin float64) Outcome { return e.judge(q, m, margin, o).Outcome })
		}
	}
	levels, powers := pairedSims(n)
	for k := range levels {
		each(strengthMargin, func(name string, judge func(question, float64) Outcome) {
			tallies[name].niFalse.count(judge(nonInferior{}, margins[name]))
			tallies[name].harmFalse.count(judge(noHarm{}, margins[name]))
		})
		each(strengthChampion, func(name string, judge func(question, float64) Outcome) {
			tallies[name].niEqual.count(judge(nonInferior{}, margins[name]))
			tallies[name].harmEqual.count(judge(noHarm{}, margins[name]))
			tallies[name].betterFalse.count(judge(superior{}, 0))
		})
		if k >= powers {
			continue
		}
		each(strengthTwice, func(name string, judge func(question, float64) Outcome) {
			tallies[name].harmFound.count(judge(noHarm{}, margins[name]))
		})
		each(strengthBetter, func(name string, judge func(question, float64) Outcome) {
			tallies[name].betterFound.count(judge(superior{}, 0))
		})
	}
	for _, m := range metric.All() {
		tallies[m.Name].write(t, text, w, n, m.Name)
	}
}

// write adds the row to the table and demands its levels.
func (c *tally) write(t *testing.T, text *strings.Builder, w world, n int, name string) {
	fmt.Fprintf(text, "| %d | %s | %.4f | %s | %s | %s | %s | %s | %s | %s |\n", n, name, marginOf(w, name),
		c.niFalse.passes(), c.niEqual.passes(), c.harmFalse.fails(), c.harmFound.fails(),
		c.harmEqual.passes(), c.betterFalse.passes(), c.betterFound.passes())
	levels, _ := pairedSims(n)
	what := fmt.Sprintf("%s, %d rows, %s: ", w.name, n, name)
	requireLevel(t, what+"non-inferior at the margin", c.niFalse.pass, levels)
	requireLevel(t, what+"harm at the margin", c.harmFalse.fail, levels)
	requireLevel(t, what+"superior though equal", c.betterFalse.pass, levels)
}

// Two arms of different rows, read once at the end: the canary's share of the
// rows is a quarter.
func TestTablesFinal(t *testing.T) {
	for _, w := range worlds() {
		t.Run(strings.ReplaceAll(w.name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			var text strings.Builder
			fmt.Fprintf(&text, "| rows | of both arms | metric | margin | passes at margin | passes equal | fails at thrice |\n")
			for _, n := range []int{400, 2000} {
				finalCells(t, &text, w, n)
			}
			t.Logf("%d simulations\n%s", *sims, text.String())
		})
	}
}

func finalCells(t *testing.T, text *strings.Builder, w world, n int) {
	rng := rand.New(rand.NewPCG(8, uint64(n)))
	margins, counts := map[string]float64{}, map[string]*[3]cell{}
	for _, m := range metric.All() {
		margins[m.Name] = marginOf(w, m.Name)
		counts[m.Name] = &[3]cell{}
	}
	for range *sims {
		for k, strength := range []float64{strengthMargin, strengthChampion, 0.6} {
			challenger, champion := split(rng, n, w, strength)
			for _, m := range metric.All() {
				j, err := Final(m.Name, challenger, champion, margins[m.Name], nil)
				require.NoError(t, err)
				counts[m.Name][k].count(j.Outcome)
			}
		}
	}
	for _, m := range metric.All() {
		c := counts[m.Name]
		fmt.Fprintf(text, "| %s | %d | %s | %.4f | %s | %s | %s |\n", w.name, n, m.Name, margins[m.Name], c[0].passes(), c[1].passes(), c[2].fails())
		requireLevel(t, fmt.Sprintf("%s, %d rows, %s, final", w.name, n, m.Name), c[0].pass, *sims)
	}
}

// split gives each row to one of the two models.
func split(rng *rand.Rand, n int, w world, strength float64) (challenger, champion metric.Scores) {
	a, b := w.draw(rng, n, strength, strengthChampion)
	challenger.Classes, champion.Classes = 2, 2
	for i, y := range a.Labels {
		to, from := &champion, b
		if rng.Float64() < 0.25 {
			to, from = &challenger, a
		}
		to.Labels = append(to.Labels, y)
		to.Probabilities = append(to.Probabilities, from.Probabilities[2*i], from.Probabilities[2*i+1])
	}
	return challenger, champion
}
