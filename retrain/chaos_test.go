package retrain_test

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/serve"
)

var (
	chaosHistories = flag.Int("chaos.histories", 6, "how many histories TestChaos runs")
	chaosSeed      = flag.Uint64("chaos.seed", 0, "the one history that TestChaos runs, with its log; 0: -chaos.histories of them")
)

// chaosAlpha is the level at which the loop's verdicts let a worse model through.
const chaosAlpha = 0.05

// chaosTally counts what happened in histories.
type chaosTally struct {
	Histories, Lives, Hours, Jumps, Asked, Fallbacks int
	Labels, Corrected, Refused                       int
	Events, Retrainings, Unjudged                    int
	Worst                                            time.Duration
	Stages                                           map[retrain.Stage]int
	Offered, RolledOut, Bad                          map[string]int // by kind of challenger
}

func (c *chaosTally) count(r serve.LabelReport) {
	c.Labels, c.Corrected, c.Refused = c.Labels+r.Stored, c.Corrected+r.Corrected, c.Refused+len(r.Refused)
}

func (c *chaosTally) badPromotion(kind string) {
	if c.Bad == nil {
		c.Bad = make(map[string]int)
	}
	c.Bad[kind]++
}

// add adds another tally.
func (c *chaosTally) add(o chaosTally) {
	c.Histories++
	for _, p := range [][2]*int{
		{&c.Lives, &o.Lives}, {&c.Hours, &o.Hours}, {&c.Jumps, &o.Jumps}, {&c.Asked, &o.Asked}, {&c.Fallbacks, &o.Fallbacks}, {&c.Labels, &o.Labels},
		{&c.Corrected, &o.Corrected}, {&c.Refused, &o.Refused}, {&c.Events, &o.Events}, {&c.Retrainings, &o.Retrainings}, {&c.Unjudged, &o.Unjudged},
	} {
		*p[0] += *p[1]
	}
	c.Worst = max(c.Worst, o.Worst)
	if c.Stages == nil {
		c.Stages, c.Offered, c.RolledOut, c.Bad = map[retrain.Stage]int{}, map[string]int{}, map[string]int{}, map[string]int{}
	}
	for s, n := range o.Stages {
		c.Stages[s] += n
	}
	for _, m := range [][2]map[string]int{{c.Offered, o.Offered}, {c.RolledOut, o.RolledOut}, {c.Bad, o.Bad}} {
		for k, n := range m[1] {
			m[0][k] += n
		}
	}
}

// readTally counts what the history's retrainings came to.
func (h *history) readTally(t *testing.T) {
	all, err := h.stores.Retrain.Retrainings(t.Context(), retrain.RetrainingQuery{Model: chaosName})
	require.NoError(t, err)
	c := &h.tally
	c.Jumps, c.Events = len(h.jumps), int(h.lastEvent)
	c.Stages, c.Offered, c.RolledOut = map[retrain.Stage]int{}, map[string]int{}, map[string]int{}
	for _, r := range all {
		if r.Champion == 0 {
			continue
		}
		c.Retrainings++
		c.Stages[r.Stage]++
		kind := h.drawModel(uint64(r.Number), 0).Kind
		c.Offered[kind]++
		if r.Version != 0 && (r.Stage == retrain.Promoted || slices.ContainsFunc(r.Verdicts, func(v retrain.Verdict) bool {
			return strings.HasPrefix(v.Gate, "shadow") || strings.HasPrefix(v.Gate, "canary")
		})) {
			c.RolledOut[kind]++
		}
	}
}

// table is the tally for a reader.
func (c *chaosTally) table() string {
	var b strings.Builder
	line := func(what string, value any) { fmt.Fprintf(&b, "| %s | %v |\n", what, value) }
	b.WriteString("| what | count |\n|---|---|\n")
	line("histories", c.Histories)
	line("virtual days", c.Hours/24)
	line("lives of the process", c.Lives)
	line("jumps of its clock", c.Jumps)
	line("requests", c.Asked)
	line("longest answer", c.Worst)
	line("answers by the primary in a canary's place", c.Fallbacks)
	line("events", c.Events)
	line("retrainings", c.Retrainings)
	for _, s := range slices.Sorted(maps.Keys(c.Stages)) {
		line("… "+string(s), c.Stages[s])
	}
	line("promoted unjudged, as configured", c.Unjudged)
	b.WriteString("\n| challengers | offered | in shadow or canary | promoted though judged |\n|---|---|---|---|\n")
	for _, k := range slices.Sorted(maps.Keys(c.Offered)) {
		fmt.Fprintf(&b, "| %s | %d | %d | %d |\n", k, c.Offered[k], c.RolledOut[k], c.Bad[k])
	}
	return b.String()
}

// TestChaos runs the loop through seeded histories of faults, in virtual time,
// and demands its invariants after each hour of them.
func TestChaos(t *testing.T) {
	notShort(t)
	if *chaosSeed != 0 {
		synctest.Test(t, func(t *testing.T) {
			h := runHistory(t, *chaosSeed, nil)
			t.Log(strings.Join(h.notes, "\n"))
			require.Empty(t, h.violations, "%s", h.report())
		})
		return
	}
	var mu sync.Mutex
	var tally chaosTally
	var bad []string
	t.Run("histories", func(t *testing.T) {
		for seed := range uint64(*chaosHistories) {
			t.Run(fmt.Sprint(seed+1), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					h := runHistory(t, seed+1, nil)
					mu.Lock()
					tally.add(h.tally)
					bad = append(bad, h.bad...)
					mu.Unlock()
					if len(h.violations) > 0 {
						t.Error(h.report())
					}
				})
			})
		}
	})
	t.Log("\n" + tally.table())
	for _, kind := range []string{kindWorse, kindLeaky, kindFailing, kindSlow, kindHanging} {
		if most := chaosAlpha * float64(tally.RolledOut[kind]); float64(tally.Bad[kind]) > most {
			t.Errorf("%d of %d challengers that were %s were promoted: %v", tally.Bad[kind], tally.RolledOut[kind], kind, bad)
		}
	}
}

// notShort leaves histories out of -short runs, such as those under the race
// detector, which makes minutes of them.
func notShort(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("histories take too long for a short run")
	}
}
