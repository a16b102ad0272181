package main

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
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

func TestEvenly(t *testing.T) {
	m := &market{history: 100}
	require.Equal(t, []int{125, 150, 175}, m.evenly(3, 200))
	require.Empty(t, m.evenly(0, 200))
}
