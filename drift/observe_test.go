package drift_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/train/frame"
)

// stream is a mixture of rows and labels, drifts in both and back again.
func stream(seed uint64, n int) []frame.Observation {
	s, errs := newSource(seed), rand.New(rand.NewPCG(seed, 7))
	var out []frame.Observation
	for i := range n {
		s.shiftA, s.constant = 0, 7
		rate := 0.1
		if i > n/3 && i < n/2 {
			s.shiftA, rate = 2+float64(i)/1000, 0.4
		}
		if i > 2*n/5 && i < 3*n/5 {
			s.constant = 9
		}
		at := time.UnixMilli(int64(1_000_000 + i*10 + s.rng.IntN(50))) // not quite in order
		row := answered(at, s.row())
		row.ID = fmt.Sprint(i - s.rng.IntN(2)) // now and then an ID again
		out = append(out, row)
		if s.rng.IntN(3) > 0 {
			output := frame.IntValue(1)
			if errs.Float64() < rate {
				output = frame.IntValue(0)
			}
			label := labelled(at.Add(time.Millisecond), output, frame.IntValue(1))
			label.ID = row.ID
			out = append(out, label)
			if s.rng.IntN(20) == 0 {
				label.Replaces, label.Label = label.Label, frame.IntValue(0)
				out = append(out, label)
			}
		}
	}
	return out
}

// Any split of a stream over calls of Check gives the same alerts with the same
// times, and ends in the same state.
func TestAlertsDoNotDependOnWhenCheckIsCalled(t *testing.T) {
	for seed := range uint64(4) {
		events := stream(seed, 6000)
		run := func(next func() int) (map[string]drift.Alert, string) {
			m := newMonitor(t, drift.Config{}, &drift.Options{WarmUp: 300})
			alerts := map[string]drift.Alert{}
			for left := events; len(left) > 0; {
				n := min(next(), len(left))
				for _, o := range left[:n] {
					m.Observe(o)
				}
				left = left[n:]
				for _, a := range m.Check(time.UnixMilli(9_999_999)) {
					alerts[a.ID] = a
				}
			}
			state, err := m.MarshalBinary()
			require.NoError(t, err)
			return alerts, string(state)
		}
		want, wantState := run(func() int { return 1 })
		require.GreaterOrEqual(t, len(want), 3, "or the run shows nothing")
		rng := rand.New(rand.NewPCG(seed, 9))
		for name, next := range map[string]func() int{
			"all at once": func() int { return len(events) },
			"7 at a time": func() int { return 7 },
			"in bursts":   func() int { return 1 + rng.IntN(3000) },
		} {
			got, gotState := run(next)
			require.Equal(t, want, got, "seed %d, %s", seed, name)
			require.Equal(t, wantState, gotState, "seed %d, %s", seed, name)
		}
	}
}

// 1,500 shifted rows of 2,200 a minute, looked at once a minute, when the
// window holds none of them any more.
func TestABurstOfShiftedRowsFires(t *testing.T) {
	m, s, alerts := newMonitor(t, drift.Config{}, nil), newSource(2), news{}
	var changed []drift.Alert
	for minute := range 20 {
		start := time.Unix(int64(60*minute), 0)
		for i := range 2200 {
			s.shiftA = 0
			if i < 1500 {
				s.shiftA = 3
			}
			m.Observe(answered(start.Add(time.Duration(i)*10*time.Millisecond), s.row()))
		}
		step := alerts.of(m.Check(start.Add(time.Minute)))
		for _, a := range step {
			require.False(t, a.Firing(), "it fired and resolved among the rows of one step")
			require.True(t, a.FiredAt.After(start) && a.FiredAt.Before(start.Add(15*time.Second)), a.FiredAt)
			require.True(t, a.ResolvedAt.After(a.FiredAt) && a.ResolvedAt.Before(start.Add(22*time.Second)), a.ResolvedAt)
		}
		changed = append(changed, step...)
	}
	require.Len(t, changed, 20)
}

// stuck is a log that does not come back from the first record until it is let go.
type stuck struct {
	slog.Handler
	in, out chan struct{}
}

func (s stuck) Enabled(context.Context, slog.Level) bool { return true }

func (s stuck) Handle(context.Context, slog.Record) error {
	s.in <- struct{}{}
	<-s.out
	return nil
}

func TestARequestDoesNotWaitForCheck(t *testing.T) {
	log := stuck{in: make(chan struct{}), out: make(chan struct{})}
	m := newMonitor(t, drift.Config{}, &drift.Options{Logger: slog.New(log)})
	s := newSource(2)
	s.shiftA = 5
	for range 200 {
		m.Observe(answered(time.Unix(1, 0), s.row()))
	}
	checked := make(chan []drift.Alert)
	go func() { checked <- m.Check(time.Unix(1, 0)) }()
	<-log.in // Check is in the middle of its work, and stays there
	for range 200 {
		m.Observe(answered(time.Unix(2, 0), s.row()))
	}
	require.Equal(t, 200, m.Counts().Waiting)
	close(log.out)
	require.Len(t, <-checked, 1)
}

func TestEventsOfOthersArePassedOver(t *testing.T) {
	m := newMonitor(t, drift.Config{}, &drift.Options{Output: "price"})
	row := answered(time.Unix(1, 0), newSource(2).row())
	label := labelled(time.Unix(1, 0), frame.FloatValue(1), frame.FloatValue(2))
	label.Outputs.Schema, label.Output = frame.Schema{{Name: "price"}}, "price"
	for _, change := range []func(o *frame.Observation){
		func(o *frame.Observation) { o.Model = "n" },
		func(o *frame.Observation) { o.Version = 4 },
		func(o *frame.Observation) { o.Variant = "canary" },
		func(o *frame.Observation) { o.Variant = "shadow" },
	} {
		for _, o := range []frame.Observation{row, label} {
			change(&o)
			m.Observe(o)
		}
	}
	other := label
	other.Output = ""
	m.Observe(other)
	require.Equal(t, drift.Counts{Others: 9}, m.Counts())

	for _, status := range []frame.Status{frame.Failed, frame.TimedOut, frame.Refused} {
		row.Status = status
		m.Observe(row)
	}
	row.Status, row.Variant = frame.Fallback, "primary"
	m.Observe(row)
	m.Observe(label)
	label.Outputs = frame.Row{}
	m.Observe(label)
	require.Equal(t, drift.Counts{Others: 9, Unanswered: 3, Unusable: 1, Waiting: 2}, m.Counts())
	m.Check(time.Unix(1, 0))
	require.Equal(t, drift.Counts{Others: 9, Unanswered: 3, Unusable: 1, Rows: 1, Labels: 1}, m.Counts())
}

func TestAFullQueueDropsAndCounts(t *testing.T) {
	m, s := newMonitor(t, drift.Config{}, &drift.Options{Queue: 100}), newSource(2)
	for range 130 {
		m.Observe(answered(time.Unix(1, 0), s.row()))
	}
	require.Equal(t, drift.Counts{Waiting: 100, Dropped: 30}, m.Counts())
	m.Check(time.Unix(1, 0))
	m.Observe(answered(time.Unix(1, 0), s.row()))
	require.Equal(t, drift.Counts{Rows: 100, Waiting: 1, Dropped: 30}, m.Counts())
}

func TestARetriedRequestIsCountedOnce(t *testing.T) {
	m, s := newMonitor(t, drift.Config{}, nil), newSource(2)
	first := answered(time.Unix(1, 0), s.row())
	first.ID = "order"
	second := first
	second.Index = 1
	other := first
	other.Row = newSource(2).row()
	other.Row.Values[0] = frame.FloatValue(99) // other inputs: another attempt
	for _, o := range []frame.Observation{first, second, first, other, second} {
		m.Observe(o)
	}
	first.ID = ""
	m.Observe(first)
	m.Observe(first) // without an ID nobody knows
	m.Check(time.Unix(1, 0))
	require.Equal(t, drift.Counts{Rows: 5, Repeated: 2}, m.Counts())
}

func TestTimesThatNobodyCanStore(t *testing.T) {
	for name, at := range map[string]time.Time{
		"none": {}, "far": time.UnixMilli(1 << 60), "long ago": time.UnixMilli(-1 << 60),
	} {
		m, s := newMonitor(t, drift.Config{}, nil), newSource(2)
		s.shiftA = 5
		for range 400 {
			m.Observe(answered(at, s.row()))
		}
		changed := m.Check(time.Unix(5, 0))
		require.Len(t, changed, 1, name)
		require.Equal(t, time.Unix(5, 0).UTC(), changed[0].FiredAt, name)
		_, err := m.MarshalBinary()
		require.NoError(t, err, name)
	}
}

// A clock that went back must not make an alert that no store takes.
func TestNothingResolvesBeforeItFired(t *testing.T) {
	m, s := newMonitor(t, drift.Config{}, nil), newSource(2)
	var changed []drift.Alert
	for i := range 2000 {
		at := time.Unix(1000, 0)
		s.shiftA = 5
		if i > 500 {
			at, s.shiftA = time.Unix(10, 0), 0
		}
		m.Observe(answered(at, s.row()))
	}
	changed = m.Check(time.Unix(10, 0))
	require.Len(t, changed, 1)
	require.False(t, changed[0].Firing())
	require.NoError(t, drift.CheckSave(drift.Checkpoint{Model: "m", Rev: 1}, changed))
}
