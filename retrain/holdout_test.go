package retrain_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/retrain"
)

// heldOut is a gate that notes the first and the last row that it was asked about.
type heldOut struct {
	rows        map[float64]int // of the stream, by x
	first, last int
	n           int
}

func (*heldOut) Name() string { return "held out" }

func (g *heldOut) Judge(_ context.Context, c retrain.Candidate) (retrain.Verdict, error) {
	xs, err := c.Rows.Values("x")
	if err != nil {
		return retrain.Verdict{}, err
	}
	g.first, g.last, g.n = g.rows[xs[0].Float()], g.rows[xs[len(xs)-1].Float()], len(xs)
	return retrain.Verdict{Gate: "held out", Outcome: retrain.Pass, Reason: "it only looks"}, nil
}

func watchHoldout(s *stream) *heldOut {
	g := &heldOut{rows: make(map[float64]int)}
	for i := range s.table.NumRows() {
		g.rows[s.table.Row(i).Get("x").Float()] = i
	}
	return g
}

// TestNoModelIsJudgedOnItsOwnRows compares only on rows that are later, by the
// label delay, than the last row that the champion or the challenger was fitted
// on, for the first champion and for those after it.
func TestNoModelIsJudgedOnItsOwnRows(t *testing.T) {
	s := newStream(t, 60*rowsADay, never)
	gate := watchHoldout(s)
	w := newWorld(t, s, func(c *retrain.Config) {
		c.Gates = []retrain.Gate{gate}
		c.Rollout = retrain.Rollout{}
		c.Policy.Cooldown = -1
	})
	w.start(20 * rowsADay)
	championTo := at(20*rowsADay - 1)
	for d := 21; d < 40; d++ {
		require.NoError(t, w.loop.Retrain(t.Context(), "again"))
		gate.n = 0
		w.run(d * rowsADay)
		w.step(at(d * rowsADay).Add(10 * time.Minute))
		last := w.last()
		if d < 25 {
			require.Zero(t, gate.n, "day %d: there is no whole holdout yet", d)
			require.Len(t, w.retrainings(), 1)
			continue
		}
		if gate.n == 0 {
			continue
		}
		require.True(t, at(gate.first).After(championTo.Add(labelDelay)), "day %d: row of %s, champion fitted up to %s", d, at(gate.first), championTo)
		require.True(t, !at(gate.first).Before(last.FittedTo.Add(labelDelay)), "day %d: row of %s, challenger fitted up to %s", d, at(gate.first), last.FittedTo)
		require.True(t, at(gate.last).Add(labelDelay).Before(last.StartedAt), "its label was known")
		championTo = last.FittedTo
	}
	require.Greater(t, len(w.retrainings()), 5)
}
