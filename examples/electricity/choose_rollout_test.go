package main

import (
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/judge"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train/frame"
	"github.com/mlloop/mlloop/train/metric"
)

const (
	verdictSeeds = 4
	periodRows   = 28 * rowsPerDay // between a champion and its challenger
	swappedRows  = rowsPerDay / 2
)

// duel is a champion and two challengers four weeks younger, asked about the
// rows that no one of them was fitted on: a sound challenger, and one that was
// fitted on labels that a faulty join had moved by half a day.
type duel struct {
	champion, sound, broken metric.Scores
}

// fight has a duel at the end of each week of the past.
func fight(t *testing.T, m *market) (all []duel) {
	t.Helper()
	faulty := moveLabels(t, m, swappedRows)
	for seed := range verdictSeeds {
		for older := windowRows; older+periodRows+8*rowsPerDay <= historyRows; older += chooseEvery {
			newer := older + periodRows
			first := newer + labelDelay
			all = append(all, duel{
				champion: scores(t, fitWith(t, m, trainer(), windowRows, older, seed), m, first),
				sound:    scores(t, fitWith(t, m, trainer(), windowRows, newer, seed+100), m, first),
				broken:   scores(t, fitWith(t, faulty, trainer(), windowRows, newer, seed+100), m, first),
			})
		}
	}
	return all
}

// moveLabels returns the market with each row's label that of so many rows before.
func moveLabels(t *testing.T, m *market, by int) *market {
	t.Helper()
	moved := append(append([]frame.Value(nil), m.labels[:by]...), m.labels[:len(m.labels)-by]...)
	table, err := m.table.Drop(labelColumn)
	require.NoError(t, err)
	table, err = table.WithColumn(frame.Field{Name: labelColumn, Kind: frame.Int64}, moved)
	require.NoError(t, err)
	return &market{table: table, labels: m.labels, history: m.history}
}

// scores asks a model about the rows from first to the end of the past.
func scores(t *testing.T, b *bundle.Bundle, m *market, first int) metric.Scores {
	t.Helper()
	p, err := serve.NewClassifier(b)
	require.NoError(t, err)
	columns, err := m.table.Slice(first, historyRows).Select(inputs...)
	require.NoError(t, err)
	var rows []frame.Row
	for _, row := range columns.Rows(0, columns.NumRows()) {
		rows = append(rows, row)
	}
	tensors, err := frame.TensorsFromRows(columns.Schema(), rows)
	require.NoError(t, err)
	outputs, err := p.Predict(t.Context(), tensors)
	require.NoError(t, err)
	s := metric.Scores{Classes: 2, Probabilities: outputs[1].Data.([]float64)}
	for _, label := range m.labels[first:historyRows] {
		s.Labels = append(s.Labels, int(label.Int()))
	}
	return s
}

func part(s metric.Scores, from, to int) metric.Scores {
	return metric.Scores{Labels: s.Labels[from:to], Probabilities: s.Probabilities[2*from : 2*to], Classes: 2}
}

// tally counts outcomes.
type tally struct{ pass, fail, open int }

func (c *tally) add(o judge.Outcome) {
	switch o {
	case judge.Pass:
		c.pass++
	case judge.Fail:
		c.fail++
	default:
		c.open++
	}
}

func (c *tally) String() string {
	n := float64(c.pass + c.fail + c.open)
	return fmt.Sprintf("passes %.2f, fails %.2f, inconclusive %.2f", float64(c.pass)/n, float64(c.fail)/n, float64(c.open)/n)
}

// verdicts judges every duel on every stretch of so many days, a new one each day.
func verdicts(t *testing.T, duels []duel, days int, judged func(challenger, champion metric.Scores) (judge.Judgement, error)) (sound, broken tally) {
	t.Helper()
	for _, d := range duels {
		for from := 0; from+days*rowsPerDay <= len(d.champion.Labels); from += rowsPerDay {
			to := from + days*rowsPerDay
			champion := part(d.champion, from, to)
			for challenger, c := range map[*metric.Scores]*tally{&d.sound: &sound, &d.broken: &broken} {
				j, err := judged(part(*challenger, from, to), champion)
				require.NoError(t, err)
				c.add(j.Outcome)
			}
		}
	}
	return sound, broken
}

// chooseGate tells what gates make of a sound and of a broken challenger on so
// many held-out days.
func chooseGate(t *testing.T, duels []duel) {
	for _, g := range []struct {
		name  string
		judge func(string, metric.Scores, metric.Scores, float64, *judge.Options) (judge.Judgement, error)
	}{{"no harm", judge.NoHarm}, {"non-inferior", judge.NonInferior}} {
		for _, days := range []int{1, 3, 7} {
			for _, margin := range []float64{0.05, 0.10, 0.15} {
				sound, broken := verdicts(t, duels, days, func(a, b metric.Scores) (judge.Judgement, error) {
					return g.judge(metric.NameAccuracy, a, b, margin, nil)
				})
				fmt.Printf("%-12s %d days, accuracy by %.2f: sound %s; broken %s\n", g.name, days, margin, &sound, &broken)
			}
		}
	}
}

// chooseShadow tells what the shadow's first look makes of them: at half of the
// level of 0.05.
func chooseShadow(t *testing.T, duels []duel) {
	for _, name := range []string{metric.NameLogLoss, metric.NameAccuracy} {
		for _, days := range []int{1, 2, 3, 5} {
			for _, margin := range []float64{0.05, 0.15, 0.25, 0.5, 1} {
				sound, broken := verdicts(t, duels, days, func(a, b metric.Scores) (judge.Judgement, error) {
					absolute, err := judge.Relative(name, b, margin)
					if err != nil {
						return judge.Judgement{}, err
					}
					return judge.NonInferior(name, a, b, absolute, &judge.Options{Alpha: 0.025})
				})
				fmt.Printf("%d days, %s by %.2f of the champion's: sound %s; broken %s\n", days, name, margin, &sound, &broken)
			}
		}
	}
}

// chooseRollout replays the second half of the past through the whole loop, as
// the example does with what follows it, with a retraining a week, so that there
// are enough of them.
func chooseRollout(t *testing.T, m *market) {
	half := &market{table: m.table, labels: m.labels, history: windowRows}
	for _, c := range []struct {
		name   string
		change func(*retrain.Config)
	}{
		{"as chosen", func(*retrain.Config) {}},
		{"no shadow", func(c *retrain.Config) { c.Rollout.Shadow = 0 }},
		{"no canary", func(c *retrain.Config) { c.Rollout.Weights = nil }},
		{"neither", func(c *retrain.Config) { c.Rollout.Shadow, c.Rollout.Weights = 0, nil }},
		{"a canary of 25 %", func(c *retrain.Config) { c.Rollout.Weights = []float64{0.25} }},
		{"a canary of 50 %", func(c *retrain.Config) { c.Rollout.Weights = []float64{0.5} }},
		{"a shadow of 3 days", func(c *retrain.Config) { c.Rollout.Shadow = 3 * day }},
		{"a patience of 1", func(c *retrain.Config) { c.Rollout.Patience = 1 }},
		{"a patience of 2", func(c *retrain.Config) { c.Rollout.Patience = 2 }},
		{"what is inconclusive keeps the champion", func(c *retrain.Config) {
			c.Inconclusive, c.Rollout.Inconclusive = retrain.KeepChampion, retrain.KeepChampion
		}},
	} {
		var accuracy, fits, promoted, judged, unjudged float64
		const seeds = 5
		for seed := range uint64(seeds) {
			o := options{dir: t.TempDir(), seed: seed + 1, rows: historyRows - windowRows, change: func(config *retrain.Config) {
				config.Triggers = []retrain.Trigger{retrain.Every(7 * day)}
				config.Policy = retrain.Policy{Cooldown: time.Hour}
				c.change(config)
			}}
			f, err := replayAll(t.Context(), o, half, io.Discard)
			require.NoError(t, err)
			accuracy, fits, promoted = accuracy+f.LoopAccuracy, fits+float64(f.Retrains), promoted+float64(f.Promotions)
			judged, unjudged = judged+float64(f.CanariesJudged), unjudged+float64(f.CanariesUnjudged)
		}
		fmt.Printf("%-40s accuracy %.4f, %.1f retrainings, %.1f promoted, canaries: %.1f judged, %.1f unjudged\n",
			c.name, accuracy/seeds, fits/seeds, promoted/seeds, judged/seeds, unjudged/seeds)
	}
}
