package retrain_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/retrain"
)

var processSeeds = flag.Uint64("processes.seeds", 2, "how many seeds TestProcessesAtRandom runs")

// TestProcessesAtRandom kills, stops, stalls and starts processes at random for
// sixteen virtual hours, in which people ask any of them for retrainings: whatever
// happens, each retraining has one number, one beginning and one end, each alias
// move a token of its own, and each event happens once.
func TestProcessesAtRandom(t *testing.T) {
	for seed := range *processSeeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rng := rand.New(rand.NewPCG(seed, 6))
				f := newFleet(t, 3, func(c *retrain.Config) {
					c.Holdout, c.Rollout = time.Hour, retrain.Rollout{}
				})
				defer f.close()
				f.untilChampion(1)
				worst := time.Duration(0)
				for begin := time.Now(); time.Since(begin) < 16*time.Hour; {
					time.Sleep(time.Duration(1+rng.IntN(12*60)) * time.Second)
					f.disturb(rng)
					_, took := f.untilLed(nil)
					worst = max(worst, took)
				}
				require.LessOrEqual(t, worst, 15*time.Second)
				time.Sleep(5 * time.Minute)
				f.requireOneLife()
				t.Logf("%d processes, %d retrainings, takeover within %s", len(f.processes), f.count(retrain.EventStarted), worst)
			})
		})
	}
}

// disturb does one thing to one process.
func (f *fleet) disturb(rng *rand.Rand) {
	var live []*process
	for _, p := range f.processes {
		if !p.over {
			live = append(live, p)
		}
	}
	p := live[rng.IntN(len(live))]
	if all := f.leaders(); len(all) == 1 && rng.IntN(2) == 0 {
		p = all[0]
	}
	switch rng.IntN(6) {
	case 0:
		f.start()
		f.kill(p)
	case 1:
		f.start()
		f.end(p)
	case 2:
		p.fuse.freeze()
		time.Sleep(time.Duration(rng.IntN(60)) * time.Second)
		p.fuse.thaw()
	default:
		ctx, cancel := context.WithTimeout(f.t.Context(), time.Minute)
		defer cancel()
		_ = p.Retrain(ctx, "a person asked") // a Conflict with the leader is the person's to try again
	}
}

// requireOneLife checks what is left as if one process had lived all along.
func (f *fleet) requireOneLife() {
	f.t.Helper()
	all, err := f.stores.Retrain.Retrainings(f.t.Context(), retrain.RetrainingQuery{Model: "churn"})
	require.NoError(f.t, err)
	require.Greater(f.t, len(all), 5)
	for i, r := range all {
		require.EqualValues(f.t, i, r.Number, "numbers follow one another")
		require.True(f.t, r.Stage.Final() || i == len(all)-1, "%s is %s", r.ID, r.Stage)
	}
	keys, ends := make(map[string]bool), make(map[string]int)
	for _, e := range f.events() {
		require.False(f.t, keys[e.Key], e.Key)
		keys[e.Key] = true
		if id, _, found := strings.Cut(e.Key, "/"+e.Kind+"/"); found {
			ends[id]++ // the event of a stage
		}
	}
	require.Equal(f.t, len(all), f.count(retrain.EventStarted), "%v", f.texts())
	for _, r := range all {
		if r.Stage.Final() {
			require.Equal(f.t, 1, ends[r.ID], "%s ends once: there is neither shadow nor canary", r.ID)
		}
	}
	moves := make(map[int64]bool)
	promoted := make(map[int64]int)
	for _, e := range f.audit() {
		if e.Kind == registry.AliasSet {
			require.False(f.t, moves[e.Seq])
			moves[e.Seq] = true
			promoted[e.Version]++
		}
	}
	for version, times := range promoted {
		require.Equal(f.t, 1, times, "version %d was promoted more than once", version)
	}
	require.Equal(f.t, f.count(string(retrain.Promoted)), len(promoted))
}
