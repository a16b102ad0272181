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

var sims = flag.Int("judge.sims", 200, "number of simulations in each cell of the tables")

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

func percent(n int) string { return fmt.Sprintf("%5.1f", 100*float64(n)/float64(*sims)) }

// challengers are what is drawn for each cell: the questions that a strength
// tells of.
type tally struct{ niFalse, niEqual, niOpen, harmFalse, harmFound, harmEqual, betterFalse, betterFound cell }

func TestTablesPaired(t *testing.T) {
	for _, w := range worlds() {
		t.Run(strings.ReplaceAll(w.name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			var text strings.Builder
			fmt.Fprintf(&text, "| rows | metric | margin | non-inferior: passes at margin | passes equal | no harm: fails at margin | fails at twice | passes equal | superior: passes equal | passes better |\n")
			for _, n := range []int{100, 300, 1000, 3000} {
				pairedCells(t, &text, w, n)
			}
			t.Logf("%s, %d simulations\n%s", w.name, *sims, text.String())
		})
	}
}

func pairedCells(t *testing.T, text *strings.Builder, w world, n int) {
	tallies := map[string]*tally{}
	margins := map[string]float64{}
	for _, m := range metric.All() {
		tallies[m.Name] = &tally{}
		margins[m.Name] = math.Abs(w.truth(m.Name, strengthMargin) - w.truth(m.Name, strengthChampion))
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
	for range *sims {
		each(strengthMargin, func(name string, judge func(question, float64) Outcome) {
			tallies[name].niFalse.count(judge(nonInferior{}, margins[name]))
			tallies[name].harmFalse.count(judge(noHarm{}, margins[name]))
		})
		each(strengthChampion, func(name string, judge func(question, float64) Outcome) {
			tallies[name].niEqual.count(judge(nonInferior{}, margins[name]))
			tallies[name].harmEqual.count(judge(noHarm{}, margins[name]))
			tallies[name].betterFalse.count(judge(superior{}, 0))
		})
		each(strengthTwice, func(name string, judge func(question, float64) Outcome) {
			tallies[name].harmFound.count(judge(noHarm{}, margins[name]))
		})
		each(strengthBetter, func(name string, judge func(question, float64) Outcome) {
			tallies[name].betterFound.count(judge(superior{}, 0))
		})
	}
	for _, m := range metric.All() {
		c := tallies[m.Name]
		fmt.Fprintf(text, "| %d | %s | %.4f | %s | %s | %s | %s | %s | %s | %s |\n", n, m.Name, margins[m.Name],
			percent(c.niFalse.pass), percent(c.niEqual.pass), percent(c.harmFalse.fail), percent(c.harmFound.fail),
			percent(c.harmEqual.pass), percent(c.betterFalse.pass), percent(c.betterFound.pass))
		what := fmt.Sprintf("%s, %d rows, %s: ", w.name, n, m.Name)
		requireLevel(t, what+"non-inferior at the margin", c.niFalse.pass, *sims)
		requireLevel(t, what+"harm at the margin", c.harmFalse.fail, *sims)
		requireLevel(t, what+"superior though equal", c.betterFalse.pass, *sims)
	}
}
