package main

import (
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/retrain"
)

var seeds = flag.Int("quickstart.seeds", 2, "how many seeds the simulation of 180 days runs for each kind of challenger")

const (
	simulated = 180 * day
	stepEvery = 6 * time.Hour
	perDay    = 100.0 / 3 // visits, as in seed
)

// TestHalfAYear runs the quick start's own configuration for 180 virtual days on
// its own kind of traffic. A challenger as good as the champion is to be promoted
// within them, one that is ten points worse is not.
//
//	go test ./examples/quickstart -run TestHalfAYear -v -quickstart.seeds 20
func TestHalfAYear(t *testing.T) {
	for _, kind := range []string{"equal", "worse"} {
		t.Run(kind, func(t *testing.T) {
			runs := make([]*half, *seeds)
			t.Run("seeds", func(t *testing.T) {
				for i := range runs {
					t.Run(fmt.Sprint(i+1), func(t *testing.T) {
						t.Parallel()
						runs[i] = halfAYear(t, uint64(i+1), kind == "worse")
					})
				}
			})
			runs = slices.DeleteFunc(runs, func(r *half) bool { return r == nil }) // those that -run left out
			t.Log("| seed | challenger | accuracy: first model | challengers | promoted | retrainings: days, end (verdicts: pass, fail, inconclusive) |")
			promoted := 0
			for _, r := range runs {
				t.Log(r.line(kind))
				if r.promoted >= 0 {
					promoted++
				}
			}
			if kind == "worse" {
				require.Zero(t, promoted, "challengers ten points worse were promoted")
			} else {
				require.GreaterOrEqual(t, float64(promoted), 0.8*float64(len(runs)), "of equal challengers too few were promoted")
			}
		})
	}
}

// half is what came of half a year.
type half struct {
	seed             uint64
	first, challenge float64 // true accuracy, of the challengers the mean
	promoted         int     // the day of the first promotion; -1: never
	told             string
}

func (r half) line(kind string) string {
	when := "never"
	if r.promoted >= 0 {
		when = fmt.Sprintf("day %d", r.promoted)
	}
	return fmt.Sprintf("| %d | %s | %.3f | %.3f | %s | %s |", r.seed, kind, r.first, r.challenge, when, r.told)
}

func halfAYear(t *testing.T, seed uint64, worse bool) *half {
	w := newWorld(t, seed, perDay, nil)
	w.trainer.worse = worse
	for now := w.start; now.Before(w.start.Add(simulated)); {
		now = now.Add(stepEvery)
		w.step(now)
	}
	for _, accuracy := range w.trainer.accuracy {
		require.True(t, !worse || accuracy <= w.trainer.first-0.10, "a challenger of %.3f is not ten points worse", accuracy)
	}
	r := half{seed: seed, first: w.trainer.first, challenge: mean(w.trainer.accuracy), promoted: -1}
	for i, a := range w.retrainings() {
		if i > 0 {
			r.told += "; "
		}
		r.told += fmt.Sprintf("%d to ", w.day(a.StartedAt))
		if !a.EndedAt.IsZero() {
			r.told += fmt.Sprint(w.day(a.EndedAt))
		}
		r.told += " " + string(a.Stage) + " ("
		for _, v := range a.Verdicts {
			r.told += string(v.Outcome[0])
		}
		r.told += ")"
		if a.Stage == retrain.Promoted && r.promoted < 0 {
			r.promoted = w.day(a.EndedAt)
		}
	}
	return &r
}

func mean(xs []float64) float64 {
	sum := 0.0
	for _, x := range xs {
		sum += x
	}
	return sum / float64(max(len(xs), 1))
}
