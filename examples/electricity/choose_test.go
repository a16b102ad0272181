package main

import (
	"flag"
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/train"
)

var choose = flag.Bool("choose", false, "print the tables from which the settings were chosen, on rows 0..8,711 alone")

// TestChoose prints how the settings were chosen. It looks at rows 0..8,711
// only: models are fitted on windows that end in rows 4,356..8,711 and judged
// on the rows that follow, up to 8,711.
func TestChoose(t *testing.T) {
	if !*choose {
		t.Skip("prints tables: run it with -choose -v")
	}
	m, err := loadMarket()
	require.NoError(t, err)
	past := &market{table: m.table.Slice(0, historyRows), labels: m.labels[:historyRows], history: historyRows}
	t.Run("network", func(t *testing.T) { chooseNetwork(t, past) })
	t.Run("age", func(t *testing.T) { chooseHoldout(t, past) })
	t.Run("verdicts", func(t *testing.T) {
		duels := fight(t, past)
		chooseGate(t, duels)
		chooseShadow(t, duels)
	})
	t.Run("rollout", func(t *testing.T) { chooseRollout(t, past) })
}

const (
	chooseSeeds   = 12
	chooseEvery   = 336  // a fit at the end of each week
	chooseHorizon = 1344 // judged on four weeks
)

// fitWith fits a trainer on the window of rows that ends before the given row.
func fitWith(t *testing.T, m *market, trainer train.Trainer, window, end, seed int) *bundle.Bundle {
	t.Helper()
	rows, err := m.table.Slice(max(0, end-window), end).Select(append(inputs[:len(inputs):len(inputs)], labelColumn)...)
	require.NoError(t, err)
	b, err := trainer.Fit(t.Context(), train.Job{
		Data: rows, Label: labelColumn, Inputs: inputs, Features: features(), Seed: uint64(seed*1_000_000 + end), Now: rowTime(end), ProfileWindow: monitorRows,
	})
	require.NoError(t, err)
	return b
}

// rolling returns the mean accuracy, and its standard deviation over seeds, of
// models fitted weekly and used from delay rows after their window on.
func rolling(t *testing.T, m *market, trainer train.Trainer, window, delay int) (mean, sd float64) {
	t.Helper()
	var sum, squares float64
	for seed := range chooseSeeds {
		var hits []bool
		for from := windowRows; from < historyRows; from += chooseEvery {
			b := fitWith(t, m, trainer, window, from-delay, seed)
			right, err := answers(t.Context(), b, m, from, min(from+chooseHorizon, historyRows))
			require.NoError(t, err)
			hits = append(hits, right...)
		}
		sum, squares = sum+share(hits), squares+share(hits)*share(hits)
	}
	mean = sum / chooseSeeds
	return mean, math.Sqrt(max(0, squares/chooseSeeds-mean*mean))
}

func chooseNetwork(t *testing.T, m *market) {
	base := trainer().(train.MLP)
	for _, c := range []struct {
		name   string
		window int
		change func(*train.MLP)
	}{
		{"as chosen: 32, 16", windowRows, func(*train.MLP) {}},
		{"16, 8", windowRows, func(m *train.MLP) { m.Hidden = []int{16, 8} }},
		{"64, 32", windowRows, func(m *train.MLP) { m.Hidden = []int{64, 32} }},
		{"128, 64", windowRows, func(m *train.MLP) { m.Hidden = []int{128, 64} }},
		{"32, 16, 8", windowRows, func(m *train.MLP) { m.Hidden = []int{32, 16, 8} }},
		{"one layer of 32", windowRows, func(m *train.MLP) { m.Hidden = []int{32} }},
		{"none: logistic regression", windowRows, func(m *train.MLP) { m.Hidden = []int{} }},
		{"a window of 3,024 rows", 3024, func(*train.MLP) {}},
		{"a window of 2,016 rows", 2016, func(*train.MLP) {}},
		{"a constant learning rate", windowRows, func(m *train.MLP) { m.Decay = 1 }},
		{"12 epochs, decay 0.85", windowRows, func(m *train.MLP) { m.Epochs, m.Decay = 12, 0.85 }},
		{"refitted on all rows afterwards", windowRows, func(m *train.MLP) { m.Refit = true }},
		{"weight decay 0.3", windowRows, func(m *train.MLP) { m.WeightDecay = 0.3 }},
	} {
		mlp := base
		c.change(&mlp)
		mean, sd := rolling(t, m, mlp, c.window, labelDelay)
		fmt.Printf("%-38s accuracy %.4f, sd of a seed %.4f\n", c.name, mean, sd)
	}
}

func chooseHoldout(t *testing.T, m *market) {
	for _, days := range []int{0, 1, 3, 7, 14} {
		mean, sd := rolling(t, m, trainer(), windowRows, labelDelay+days*rowsPerDay)
		fmt.Printf("%2d days held out: accuracy %.4f, sd of a seed %.4f\n", days, mean, sd)
	}
}
