package retraintest

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/train/frame"
	"github.com/mlloop/mlloop/train/metric"
)

// RunTrigger checks that a Trigger keeps the interface's promises in the given
// situations and in an empty one: asked twice, and by many at once, it says the
// same, and a cause names its trigger.
func RunTrigger(t *testing.T, trigger retrain.Trigger, situations ...retrain.Situation) {
	t.Helper()
	for _, s := range append(situations, retrain.Situation{}) {
		ask := func() any {
			cause, err := trigger.Wanted(s)
			return []any{cause, err}
		}
		requireSteady(t, ask)
		cause, err := trigger.Wanted(s)
		require.False(t, cause != nil && err != nil, "a cause or an error, not both")
		if cause != nil {
			require.NotEmpty(t, cause.Trigger, "a cause names its trigger")
		}
	}
}

// RunGate checks that a Gate keeps the interface's promises on the candidates:
// it has a name, which its verdicts bear, a verdict gives its reason, and asked
// twice, and by many at once, it says the same.
func RunGate(t *testing.T, gate retrain.Gate, candidates ...retrain.Candidate) {
	t.Helper()
	require.NotEmpty(t, gate.Name())
	for _, c := range candidates {
		ask := func() any {
			verdict, err := gate.Judge(t.Context(), c)
			return []any{verdict, err}
		}
		requireSteady(t, ask)
		verdict, err := gate.Judge(t.Context(), c)
		if err == nil {
			require.Equal(t, gate.Name(), verdict.Gate, "a verdict names its gate")
			require.Contains(t, []retrain.Outcome{retrain.Pass, retrain.Fail, retrain.Undetermined}, verdict.Outcome, "a verdict has an outcome")
			require.NotEmpty(t, verdict.Reason, "a verdict gives its reason")
		}
	}
}

// requireSteady asks several times at once, then again.
func requireSteady(t *testing.T, ask func() any) {
	t.Helper()
	answers := make([]any, 4)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() { answers[i] = ask() })
	}
	wg.Wait()
	for _, a := range append(answers[1:], ask()) {
		require.Equal(t, answers[0], a, "equal questions have equal answers")
	}
}

// Candidate returns what gates judge, made up: n rows of two classes, of which
// the champion and the challenger have the given shares right. It has neither
// bundle nor predictor.
func Candidate(n int, champion, challenger float64) retrain.Candidate {
	return retrain.Candidate{
		Model: "made-up", Classes: []frame.Value{frame.IntValue(0), frame.IntValue(1)},
		Champion: scores(n, champion), Challenger: scores(n, challenger),
	}
}

// scores spreads the right answers evenly over the rows.
func scores(n int, right float64) metric.Scores {
	s := metric.Scores{Classes: 2}
	for i := range n {
		label := i % 2
		p := []float64{0.1, 0.1}
		if int(float64(i+1)*right) > int(float64(i)*right) {
			p[label] = 0.9
		} else {
			p[1-label] = 0.9
		}
		s.Labels, s.Probabilities = append(s.Labels, label), append(s.Probabilities, p...)
	}
	return s
}
