package main

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train/frame"
)

// never is a gate that rejects everything.
type never struct{}

func (never) Name() string { return "never" }

func (never) Judge(context.Context, retrain.Candidate) (retrain.Verdict, error) {
	return retrain.Verdict{Gate: "never", Outcome: retrain.Fail, Reason: "it never passes anything"}, nil
}

// TestARejectingGateDoesNotSpin: with an alert that never resolves, a schedule
// that is always due, a gate that rejects everything and a step a minute, there
// is a retraining a cooldown, which is the label delay.
func TestARejectingGateDoesNotSpin(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, perDay, func(c *retrain.Config) {
		c.Gates = []retrain.Gate{never{}}
		c.Triggers = append(c.Triggers, retrain.Every(time.Minute))
	})
	w.shift = func(c *customer) { c.plan, c.visits = "basic", c.visits/4 }
	const days, first, cooldown = 110, 37, 30 // before the first there is nothing to compare on
	minutes := 0
	for now := w.start; w.day(now) < days; minutes++ {
		every := 6 * time.Hour
		if done := w.retrainings(); len(done) > 0 && now.Sub(done[len(done)-1].StartedAt) < 12*time.Hour {
			every = time.Minute // what spins does so now
		}
		now = now.Add(every)
		w.step(now)
	}
	require.NotEmpty(t, w.events(retrain.EventAlertFired))
	require.Greater(t, minutes, 2000, "steps of a minute")
	require.LessOrEqual(t, len(w.retrainings()), 1+(days-first)/cooldown)
	require.NotEmpty(t, w.retrainings())
	require.LessOrEqual(t, len(w.events(retrain.EventSuppressed)), len(w.retrainings()), "what holds it back is told once")
	t.Logf("%d steps, %d retrainings", minutes, len(w.retrainings()))
}

// TestOneRowADay: with a visit a day for two years nothing spins, and what cannot
// be reached is said with numbers, and with the settings that stand in the way.
func TestOneRowADay(t *testing.T) {
	for _, holdout := range []time.Duration{0, 14 * day} {
		t.Run(fmt.Sprint("holdout ", holdout), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 1, 1, func(c *retrain.Config) { c.Holdout = holdout })
			for now := w.start; w.day(now) < 730; {
				now = now.Add(day)
				w.step(now)
			}
			done, said := w.retrainings(), w.events(retrain.EventUnreachable)
			require.NotEmpty(t, done)
			require.LessOrEqual(t, len(done), 730/30)
			require.NotEmpty(t, said)
			require.Contains(t, said[0].Text, "the gates need 446 held-out rows")
			require.Contains(t, said[0].Text, "the shadow needs 100 labelled rows")
			require.Regexp(t, "at 1(.0[0-9])? predictions a day", said[0].Text)
			fruitless, ends := 0, map[retrain.Stage]int{}
			for _, r := range done {
				require.NotEqual(t, retrain.Promoted, r.Stage, "on so few rows nothing is shown")
				if r.Stage == retrain.Rejected {
					require.Greater(t, r.Verdicts[0].Low, 0.05, "want of rows is no rejection: %+v", r.Verdicts)
				}
				ends[r.Stage]++
				if !r.EndedAt.IsZero() {
					fruitless++
				}
			}
			require.Greater(t, fruitless, 3)
			require.Len(t, said, 2, "each obstacle is told of once")
			require.Contains(t, said[1].Text, "3 retrainings in a row came to nothing")
			require.Contains(t, said[1].Text, "Config.Holdout says how many rows")
			t.Logf("%d retrainings: %v", len(done), ends)
			for _, e := range said {
				t.Logf("day %d: %s", w.day(e.Time), e.Text)
			}
		})
	}
}

// TestFiveThousandRowsASecond: while a shadow runs, 5,000 rows a second come for
// half a minute. The shadow is asked about 20 a second, the queue of the log does
// not overflow, and once the log is trimmed nothing of them stays in memory.
func TestFiveThousandRowsASecond(t *testing.T) {
	const seconds, requests, batch = 30, 500, 10
	w := newWorld(t, 1, perDay, nil)
	for now := w.start; w.retrainingStage() != retrain.Shadowing; {
		require.Less(t, w.day(now), 120, "no shadow")
		now = now.Add(stepEvery)
		w.step(now)
	}
	inputs := batchInputs(t, w.trainer.fresh[:batch])
	before, shadowed := heap(), w.count(serve.Shadow)
	queued, began := 0, time.Now()
	var longest time.Duration
	for second := range seconds {
		w.clock.Store(w.now.Add(time.Duration(second) * time.Second).UnixMilli())
		for i := range requests {
			id := fmt.Sprint("burst-", second, "-", i)
			_, err := w.loop.Server().Predict(t.Context(), "churn", serve.Request{ID: id, Key: id, Inputs: inputs})
			require.NoError(t, err)
			queued = max(queued, w.loop.Server().Stats().Queued)
		}
		require.NoError(t, w.loop.Server().Drain(t.Context())) // a second is over, and the log's writer has had it
		if (second+1)%30 == 0 {
			start := time.Now()
			require.NoError(t, w.loop.Step(t.Context(), w.now.Add(time.Duration(second+1)*time.Second)))
			longest = max(longest, time.Since(start))
		}
	}
	took := time.Since(began)
	full := heap()
	st := w.loop.Server().Stats()
	require.Zero(t, st.Dropped)
	require.Zero(t, st.ShadowDropped)
	asked := w.count(serve.Shadow) - shadowed
	require.LessOrEqual(t, asked, 20*seconds+20)
	require.Greater(t, asked, 20*seconds/4)
	require.Empty(t, w.status().Failing)
	_, err := w.stores.Serve.Trim(t.Context(), serve.Trim{Model: "churn", Before: w.now.Add(time.Hour), Limit: 1 << 30})
	require.NoError(t, err)
	left := heap()
	require.Less(t, left-before, 16.0, "MB that stay of %d rows", seconds*requests*batch)
	t.Logf("%d rows in %s, the longest step %s; at most %d queued; the shadow was asked %d; heap %.0f MB before, %.0f MB with the log, %.0f MB without",
		seconds*requests*batch, took.Round(time.Millisecond), longest.Round(time.Millisecond), queued, asked, before, full, left)
}

func batchInputs(t *testing.T, customers []customer) []frame.Tensor {
	t.Helper()
	rows := make([]frame.Row, len(customers))
	for i, c := range customers {
		rows[i] = c.inputs()
	}
	inputs, err := frame.TensorsFromRows(inputSchema, rows)
	require.NoError(t, err)
	return inputs
}

// heap is the live heap in MB.
func heap() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc) / 1e6
}

func (w *world) retrainingStage() retrain.Stage {
	if r := w.status().Retraining; r != nil {
		return r.Stage
	}
	return ""
}

func (w *world) status() retrain.Status {
	w.t.Helper()
	st, err := w.loop.Status(w.t.Context())
	require.NoError(w.t, err)
	return st
}

// count is how many rows the log has of a variant.
func (w *world) count(v serve.Variant) int {
	w.t.Helper()
	n, after := 0, int64(0)
	for {
		page, err := w.stores.Serve.Predictions(w.t.Context(), serve.PredictionQuery{Model: "churn", After: after, Variants: []serve.Variant{v}})
		require.NoError(w.t, err)
		if len(page) == 0 {
			return n
		}
		n, after = n+len(page), page[len(page)-1].Seq
	}
}
