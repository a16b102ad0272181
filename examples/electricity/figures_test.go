package main

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/retrain"
)

func TestShare(t *testing.T) {
	require.InDelta(t, 0.75, share([]bool{true, true, false, true}), 1e-12)
	require.True(t, math.IsNaN(share(nil)))
}

func TestWeeklyIntervalOfEqualModels(t *testing.T) {
	hits := make([]bool, 10*rowsPerWeek)
	low, high := weeklyInterval(hits, hits, 1)
	require.Zero(t, low)
	require.Zero(t, high)
}

func TestWeeklyIntervalNeedsTwoWeeks(t *testing.T) {
	low, high := weeklyInterval(make([]bool, rowsPerWeek), make([]bool, rowsPerWeek), 1)
	require.True(t, math.IsNaN(low) && math.IsNaN(high))
}

// TestWeeklyIntervalCovers draws weeks that differ from each other and counts
// how often the 95 % interval holds the true difference, 0.02. A bootstrap of
// the rows alone would hold it in about half of the draws.
func TestWeeklyIntervalCovers(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	const draws, weeks = 60, 60
	held := 0
	for range draws {
		var a, b []bool
		for range weeks {
			shift := 0.05 * rng.NormFloat64() // the week's own
			for range rowsPerWeek {
				a, b = append(a, rng.Float64() < 0.72+shift), append(b, rng.Float64() < 0.70)
			}
		}
		if low, high := weeklyInterval(a, b, 1); low <= 0.02 && 0.02 <= high {
			held++
		}
	}
	// 0.95 of 60 draws is 57, with a standard deviation of 1.7.
	require.GreaterOrEqual(t, held, 52)
}

func TestCanariesAreCountedByTheirLastVerdict(t *testing.T) {
	verdict := func(gate string, o retrain.Outcome) retrain.Verdict { return retrain.Verdict{Gate: gate, Outcome: o} }
	shadow, canary := "shadow: non-inferior: accuracy by 25 %", "canary 50 %: no harm"
	for _, c := range []struct {
		stage    retrain.Stage
		verdicts []retrain.Verdict
		want     figures
	}{
		{retrain.Rejected, nil, figures{Rejections: 1}},
		{retrain.Rejected, []retrain.Verdict{verdict(shadow, retrain.Fail)}, figures{Rejections: 1}},
		{retrain.Canarying, []retrain.Verdict{verdict(canary, retrain.Undetermined)}, figures{}},
		{retrain.Promoted, []retrain.Verdict{verdict(shadow, retrain.Pass), verdict(canary, retrain.Pass)}, figures{Promotions: 1, CanariesJudged: 1}},
		{retrain.Promoted, []retrain.Verdict{verdict(canary, retrain.Undetermined)}, figures{Promotions: 1, CanariesUnjudged: 1}},
		{retrain.Inconclusive, []retrain.Verdict{verdict(canary, retrain.Undetermined)}, figures{Inconclusive: 1, CanariesUnjudged: 1}},
		{retrain.RolledBack, []retrain.Verdict{verdict(canary, retrain.Fail)}, figures{Rollbacks: 1, CanariesJudged: 1}},
		{retrain.RolledBack, []retrain.Verdict{verdict(shadow, retrain.Pass)}, figures{Rollbacks: 1}}, // taken off the route for failed calls
	} {
		var got figures
		got.countStage(retrain.Retraining{Stage: c.stage, Verdicts: c.verdicts})
		require.Equal(t, c.want, got)
	}
}

func TestEvenly(t *testing.T) {
	m := &market{history: 100}
	require.Equal(t, []int{125, 150, 175}, m.evenly(3, 200))
	require.Empty(t, m.evenly(0, 200))
}
