package retrain

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train/frame"
	"github.com/mlloop/mlloop/train/metric"
)

var (
	no, yes, perhaps = frame.StringValue("no"), frame.StringValue("yes"), frame.StringValue("perhaps")
)

func TestScoresOver(t *testing.T) {
	rows := []scored{{yes, []float64{0.2, 0.8}}, {perhaps, []float64{0.6, 0.4}}}
	classes := allClasses([]frame.Value{no, yes}, []frame.Value{perhaps, yes})
	require.Equal(t, []frame.Value{no, yes, perhaps}, classes)
	require.Equal(t, metric.Scores{Classes: 3, Labels: []int{1, 2}, Probabilities: []float64{0.2, 0.8, 0, 0.6, 0.4, 0}},
		scoresOver(classes, []frame.Value{no, yes}, rows))
	require.Equal(t, []float64{0.8, 0.2, 0, 0.4, 0.6, 0},
		scoresOver(classes, []frame.Value{yes, no}, rows).Probabilities, "columns are matched by class")
	require.Equal(t, []float64{0, 1}, wrong(scoresOver(classes, []frame.Value{no, yes}, rows)))
}

// TestLabelsOutsideTheClasses compares two models on rows of which one has a
// label that neither can predict: it is left out, and makes no class.
func TestLabelsOutsideTheClasses(t *testing.T) {
	rows := []scored{{yes, []float64{0.2, 0.8}}, {frame.StringValue("?"), []float64{0.6, 0.4}}, {no, []float64{0.9, 0.1}}}
	both := asked{classes: []frame.Value{no, yes}, rows: rows}
	champion, challenger := scoresOfBoth(allClasses(both.classes, both.classes), both, both)
	require.Equal(t, 2, champion.Classes)
	require.Equal(t, []int{1, 0}, champion.Labels)
	require.Equal(t, champion, challenger)
}

func TestSameClass(t *testing.T) {
	one := frame.IntValue(1)
	require.True(t, sameClass(one, frame.BoolValue(true)))
	require.True(t, sameClass(one, frame.FloatValue(1)))
	require.False(t, sameClass(one, frame.IntValue(2)))
	require.False(t, sameClass(one, frame.StringValue("1")))
	require.False(t, sameClass(one, frame.TimeValue(1)))
	require.False(t, sameClass(one, frame.Value{}))
}

func newTestWatch(t *testing.T) *shadowWatch {
	t.Helper()
	calls, err := newCallWatch(0.01)
	require.NoError(t, err)
	return &shadowWatch{
		callWatch: calls,
		champion:  1, challenger: 2, theirs: []frame.Value{no, yes}, own: []frame.Value{no, yes, perhaps},
		classes: []frame.Value{no, yes, perhaps}, rows: make(map[rowKey]*pair),
	}
}

// TestSampledShadowKeepsItsPairs labels a hundred thousand rows, of which the
// shadow was asked about one in a hundred: none of those is forgotten for the
// sake of the others.
func TestSampledShadowKeepsItsPairs(t *testing.T) {
	w := newTestWatch(t)
	for i := range 2 * maxPairs {
		id := fmt.Sprint(i)
		give := func(p serve.Prediction) {
			p.Time = time.UnixMilli(int64(i))
			w.label(serve.LabelledPrediction{Prediction: p, Truth: serve.Label{Value: yes}})
		}
		give(logged(id, serve.Primary, 1, 0.5, 0.5))
		if i%100 == 0 {
			give(logged(id, serve.Shadow, 2, 0, 1, 0))
		}
	}
	require.Equal(t, 2*maxPairs/100, w.paired)
	require.LessOrEqual(t, len(w.rows), maxPairs)
}

// TestFailingShadow is judged by its failures before it is by its answers.
func TestFailingShadow(t *testing.T) {
	w := newTestWatch(t)
	see := func(n int, status serve.Status) {
		for range n {
			p := logged("", serve.Shadow, 2, 0, 1, 0)
			p.Status = status
			w.see(logged("", serve.Primary, 1, 0.5, 0.5))
			w.see(p)
		}
	}
	see(300, frame.Answered)
	see(2, frame.TimedOut)
	require.Nil(t, harmOf("shadow", w.watches()))
	see(2, frame.Failed)
	require.Nil(t, harmOf("shadow", w.watches()))
	require.Contains(t, w.suspicion(), "failure rate", "it is not judged by the rows it answers")
	see(60, frame.Failed)
	require.Equal(t, Fail, harmOf("shadow", w.watches()).Outcome)
}

func TestShadowWatchPairs(t *testing.T) {
	w := newTestWatch(t)
	give := func(id string, variant serve.Variant, version int64, scores ...float64) {
		w.label(serve.LabelledPrediction{Prediction: logged(id, variant, version, scores...), Truth: serve.Label{Value: yes}})
	}
	give("both", serve.Primary, 1, 0.5, 0.5)
	give("both", serve.Shadow, 2, 0, 1, 0)
	give("champion's", serve.Primary, 1, 1, 0)
	give("challenger's", serve.Shadow, 2, 0, 0, 1)
	give("another's", serve.Shadow, 3, 0, 0, 1)
	give("malformed", serve.Shadow, 2, 1)
	give("late", serve.Primary, 1, 0.2, 0.8)
	require.Equal(t, 1, w.paired)
	w.see(logged("late", serve.Shadow, 2, 0, 0.5, 0.5))
	require.Equal(t, 2, w.paired, "the shadow's answer may be logged after the label")
	champion, challenger := w.scores()
	require.Equal(t, []float64{0.5, 0.5, 0, 0.2, 0.8, 0}, champion.Probabilities)
	require.Equal(t, []float64{0, 1, 0, 0, 0.5, 0.5}, challenger.Probabilities)
	give("both", serve.Primary, 1, 0.5, 0.5)
	require.Equal(t, 2, w.paired, "a corrected label is no further row")
}

func logged(id string, variant serve.Variant, version int64, scores ...float64) serve.Prediction {
	p := serve.Prediction{ID: id, Variant: variant, Version: version, Status: frame.Answered, Attempt: 1}
	for i, s := range scores {
		p.Outputs.Schema = append(p.Outputs.Schema, frame.Field{Name: fmt.Sprintf("%s.%d", serve.ProbabilityOutput, i), Kind: frame.Float64})
		p.Outputs.Values = append(p.Outputs.Values, frame.FloatValue(s))
	}
	return p
}

func TestUnimplementedStore(t *testing.T) {
	var s UnimplementedStore
	ctx := context.Background()
	_, err := s.Retrainings(ctx, RetrainingQuery{})
	require.ErrorIs(t, err, ErrUnsupported)
	_, err = s.Events(ctx, EventQuery{})
	require.ErrorIs(t, err, ErrUnsupported)
	_, err = s.State(ctx, "m")
	require.ErrorIs(t, err, ErrUnsupported)
	for _, err := range []error{s.PutRetraining(ctx, Retraining{}), s.AppendEvent(ctx, Event{}), s.PutState(ctx, State{})} {
		require.ErrorIs(t, err, ErrUnsupported)
	}
	require.NoError(t, s.Close())
}
