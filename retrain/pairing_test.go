package retrain

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train/frame"
	"github.com/mlloop/mlloop/train/metric"
)

// TestIndependentDifference checks the first example of R. Newcombe, Statistics
// in Medicine 17 (1998), table II: 56 of 70 against 48 of 80, method 10.
func TestIndependentDifference(t *testing.T) {
	d, higher, err := independentDifference("accuracy", answered(70, 56), answered(80, 48))
	require.NoError(t, err)
	require.True(t, higher)
	require.InDelta(t, 0.2, d.Value, 1e-12)
	require.InDelta(t, 0.0524, d.Low, 5e-5)
	require.InDelta(t, 0.3339, d.High, 5e-5)
	_, _, err = independentDifference("fame", answered(70, 56), answered(80, 48))
	require.ErrorIs(t, err, ErrInvalid)
	_, _, err = independentDifference("auc", answered(70, 56), answered(80, 48))
	require.Error(t, err, "an AUC of one class")
}

var (
	no, yes, perhaps = frame.StringValue("no"), frame.StringValue("yes"), frame.StringValue("perhaps")
)

func TestScoresOver(t *testing.T) {
	answers := []answer{{yes, []float64{0.2, 0.8}}, {perhaps, []float64{0.6, 0.4}}}
	classes := allClasses([]frame.Value{no, yes}, []frame.Value{yes, no}, answers)
	require.Equal(t, []frame.Value{no, yes, perhaps}, classes)
	require.Equal(t, metric.Scores{Classes: 3, Labels: []int{1, 2}, Probabilities: []float64{0.2, 0.8, 0, 0.6, 0.4, 0}},
		scoresOver(classes, []frame.Value{no, yes}, answers))
	require.Equal(t, []float64{0.8, 0.2, 0, 0.4, 0.6, 0},
		scoresOver(classes, []frame.Value{yes, no}, answers).Probabilities, "columns are matched by class")
	require.Equal(t, []float64{0, 1}, wrong(scoresOver(classes, []frame.Value{no, yes}, answers)))
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

func TestPairing(t *testing.T) {
	p := &pairing{champion: side{classes: []frame.Value{no, yes}}, challenger: side{classes: []frame.Value{no, yes, perhaps}}, rows: make(map[string]int)}
	give := func(id string, to *side, scores ...float64) {
		p.add(serve.LabelledPrediction{Prediction: serve.Prediction{ID: id, Scores: scores}, Label: serve.Label{Value: yes}}, to)
	}
	give("both", &p.champion, 0.5, 0.5)
	give("both", &p.challenger, 0, 1, 0)
	give("champion's", &p.champion, 1, 0)
	give("challenger's", &p.challenger, 0, 0, 1)
	give("malformed", &p.challenger, 1)
	champion, challenger, days := p.paired()
	require.Equal(t, []float64{0.5, 0.5, 0}, champion.Probabilities)
	require.Equal(t, []float64{0, 1, 0}, challenger.Probabilities)
	require.Len(t, days, 1)
	champion, challenger = p.all()
	require.Len(t, champion.Labels, 2)
	require.Len(t, challenger.Labels, 2)
}

func TestUnimplementedStore(t *testing.T) {
	var s UnimplementedStore
	ctx := context.Background()
	_, err := s.Retrainings(ctx, "m")
	require.ErrorIs(t, err, ErrUnsupported)
	_, err = s.Events(ctx, "m", 0)
	require.ErrorIs(t, err, ErrUnsupported)
	_, err = s.State(ctx, "m")
	require.ErrorIs(t, err, ErrUnsupported)
	for _, err := range []error{s.PutRetraining(ctx, Retraining{}), s.AppendEvent(ctx, Event{}), s.PutState(ctx, State{})} {
		require.ErrorIs(t, err, ErrUnsupported)
	}
	require.NoError(t, s.Close())
}
