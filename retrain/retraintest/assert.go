package retraintest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/retrain"
)

// StepAndSettle waits for the answers of a shadow and for a fit that is under way,
// steps the loop at now, waits for the fit that it may have begun, and steps it
// again a millisecond later, so that it sees how the fit ended.
func StepAndSettle(t testing.TB, l *retrain.Loop, now time.Time) {
	t.Helper()
	require.NoError(t, l.Settle(t.Context()))
	require.NoError(t, l.Step(t.Context(), now))
	require.NoError(t, l.Settle(t.Context()))
	require.NoError(t, l.Step(t.Context(), now.Add(time.Millisecond)))
}

// RequireEvent fails the test unless an event of the kind has happened, and
// returns the latest one.
func RequireEvent(t testing.TB, l *retrain.Loop, kind string) retrain.Event {
	t.Helper()
	var found retrain.Event
	var kinds []string
	for _, e := range events(t, l) {
		kinds = append(kinds, e.Kind)
		if e.Kind == kind {
			found = e
		}
	}
	require.NotZero(t, found.Seq, "no event %q has happened, only %q", kind, kinds)
	return found
}

// RequireNoEvent fails the test when an event of the kind has happened.
func RequireNoEvent(t testing.TB, l *retrain.Loop, kind string) {
	t.Helper()
	for _, e := range events(t, l) {
		require.NotEqual(t, kind, e.Kind, "%s: %s", e.Time, e.Text)
	}
}

func events(t testing.TB, l *retrain.Loop) []retrain.Event {
	t.Helper()
	all, err := l.Events(t.Context(), 0)
	require.NoError(t, err)
	return all
}

// RequireStage fails the test unless the latest retraining, the first fit
// counted, is in the stage, and returns it. The failure tells what its gates
// found.
func RequireStage(t testing.TB, l *retrain.Loop, want retrain.Stage) retrain.Retraining {
	t.Helper()
	all, err := l.Retrainings(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, all, "nothing has been fitted")
	last := all[len(all)-1]
	require.Equal(t, want, last.Stage, "retraining %s: %s, verdicts %+v", last.ID, last.Reason, last.Verdicts)
	return last
}

// RequirePromoted fails the test unless the latest retraining made the version
// champion, and returns it.
func RequirePromoted(t testing.TB, l *retrain.Loop, version int64) retrain.Retraining {
	t.Helper()
	last := RequireStage(t, l, retrain.Promoted)
	require.Equal(t, version, last.Version)
	return last
}
