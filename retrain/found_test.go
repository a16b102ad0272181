package retrain

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/retrain/judge"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train/frame"
)

// This file holds regression tests of faults that TestChaos has found.

var shadowBegan = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// inShadow returns a loop without stores whose shadow could be judged now.
func inShadow(t *testing.T) *Loop {
	calls, err := newCallWatch(0.01)
	require.NoError(t, err)
	s := &shadowWatch{
		callWatch: calls, retraining: "m/1", since: shadowBegan, champion: 1, challenger: 2,
		classes: []frame.Value{no, yes}, own: []frame.Value{no, yes}, theirs: []frame.Value{no, yes}, rows: make(map[rowKey]*pair),
	}
	for i := range 400 {
		s.callWatch.see(judge.Primary, serve.Prediction{Status: frame.Answered})
		s.callWatch.see(judge.Canary, serve.Prediction{Status: frame.Answered})
		p := 0.6 + 0.3*float64(i%7)/7
		s.rows[rowKey{index: i}] = &pair{at: shadowBegan.Add(time.Duration(i) * time.Minute), label: yes, champion: []float64{1 - p, p}, challenger: []float64{1 - p, p}}
		s.paired++
	}
	c := Config{Model: "m", Rollout: Rollout{Shadow: time.Hour, MinLabels: 100}.withDefaults()}
	return &Loop{
		server:  serve.New(nil, nil),
		config:  c,
		terms:   termsOf(c),
		watcher: &watcher{shadow: s},
		memory:  memory{Followed: 1, Attempt: &attempt{Retraining: Retraining{ID: "m/1", Stage: Shadowing, Champion: 1, Version: 2, StageSince: shadowBegan}}},
	}
}

// TestPauseTakesNoLook: a look at a shadow takes half of the level that is left;
// the steps of a pause, which can make nothing of it, take none.
func TestPauseTakesNoLook(t *testing.T) {
	l := inShadow(t)
	l.memory.Paused = &pause{Reason: "a holiday"}
	for hour := range 200 {
		f, err := l.gather(t.Context(), shadowBegan.Add(time.Duration(hour+8)*time.Hour), 1)
		require.NoError(t, err)
		require.Nil(t, f.Verdict)
	}
	require.Zero(t, l.memory.Attempt.Looks)
	l.memory.Paused = nil
	f, err := l.gather(t.Context(), shadowBegan.Add(10*time.Hour), 1)
	require.NoError(t, err)
	require.Equal(t, Pass, f.Verdict.Outcome, f.Verdict.Reason)
	require.Equal(t, 1, l.memory.Attempt.Looks)
}

// TestClockSetBackInRollout: what comes after a clock that was set back is later
// than the beginning of the stage.
func TestClockSetBackInRollout(t *testing.T) {
	back := shadowBegan.Add(-72 * time.Hour)
	l := inShadow(t)
	l.rewind(back)
	require.NoError(t, l.prepareRollout(t.Context()))
	before := l.watcher.shadow.Answered
	l.watcher.shadow.see(serve.Prediction{Variant: serve.Primary, Version: 1, Status: frame.Answered, Time: back.Add(time.Minute)})
	l.watcher.shadow.see(serve.Prediction{Variant: serve.Shadow, Version: 2, Status: frame.Answered, Time: back.Add(time.Minute)})
	require.Equal(t, before+1, l.watcher.shadow.Answered)

	calls, err := newCallWatch(0.01)
	require.NoError(t, err)
	l.memory.Attempt.Retraining.Stage, l.memory.Attempt.RolloutSince = Canarying, back
	l.watcher.canary = &canaryWatch{callWatch: calls, Retraining: "m/1", Since: shadowBegan, Champion: 1, Challenger: 2, own: []frame.Value{no, yes}}
	require.NoError(t, l.prepareRollout(t.Context()))
	l.watcher.canary.see(serve.Prediction{Variant: serve.Canary, Version: 2, Status: frame.Answered, Time: back.Add(time.Minute)})
	require.Equal(t, 1, l.watcher.canary.Answered)
}

// fullStore takes no events while it is full.
type fullStore struct {
	Store
	full   bool
	events []Event
}

func (s *fullStore) AppendEvent(_ context.Context, e Event) error {
	if s.full {
		return fault.Errorf(fault.Unavailable, "the disk is full")
	}
	s.events = append(s.events, e)
	return nil
}

// TestEventThatWasNotStoredIsToldAgain: what is told once is told once it could
// be stored.
func TestEventThatWasNotStoredIsToldAgain(t *testing.T) {
	store := &fullStore{full: true}
	l := &Loop{config: Config{Model: "m", Logger: slog.New(slog.DiscardHandler), Stores: &Stores{Retrain: store}}}
	broken := fault.Errorf(fault.Unavailable, "the source is down")
	require.ErrorIs(t, l.noteFailure(t.Context(), shadowBegan, "labels", broken), ErrUnavailable)
	store.full = false
	require.NoError(t, l.noteFailure(t.Context(), shadowBegan, "labels", broken))
	require.NoError(t, l.noteFailure(t.Context(), shadowBegan, "labels", broken))
	require.Len(t, store.events, 1)
	require.Equal(t, EventStepFailing, store.events[0].Kind)

	store.full = true
	require.ErrorIs(t, l.noteFailure(t.Context(), shadowBegan, "labels", nil), ErrUnavailable)
	store.full = false
	require.NoError(t, l.noteFailure(t.Context(), shadowBegan, "labels", nil))
	require.Len(t, store.events, 2)
	require.Equal(t, EventStepRecovered, store.events[1].Kind)
}
