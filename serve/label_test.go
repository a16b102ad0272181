package serve_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/serve/servetest"
	"github.com/mlloop/mlloop/train/frame"
)

// witness is an Observer that remembers.
type witness struct {
	mu          sync.Mutex
	predictions []string
	labels      []string
}

func (w *witness) ObservePrediction(_ time.Time, id string, features frame.Row, output frame.Value, _ []float64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.predictions = append(w.predictions, id+" "+features.Get("x").Text()+" "+output.Text())
}

func (w *witness) ObserveLabel(_ time.Time, id string, output, label frame.Value) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.labels = append(w.labels, id+" "+output.Text()+" "+label.Text())
}

func text(id, value string) serve.LabelInput {
	return serve.LabelInput{ID: id, Value: frame.StringValue(value)}
}

// TestLabelFindsWhatWasJustAnswered: no Flush is needed between an answer and its label.
func TestLabelFindsWhatWasJustAnswered(t *testing.T) {
	w := &witness{}
	s := servetest.New(t, "churn", servetest.Constant("stays"), &serve.Options{
		Observer: w, FlushInterval: time.Hour, Now: func() time.Time { return noon },
	})
	_, err := s.Predict(t.Context(), "churn", serve.Request{ID: "r", Inputs: servetest.X(7, 8)})
	require.NoError(t, err)
	ask(t, s.Server, "churn", "a")
	require.NoError(t, s.Label(t.Context(), "churn", []serve.LabelInput{text("r/1", "goes"), text("a", "stays"), text("a", "stays")}))
	servetest.RequireLabel(t, s, "churn", "r/1", frame.StringValue("goes"))

	require.NoError(t, s.Label(t.Context(), "churn", []serve.LabelInput{text("a", "stays")}), "an equal label is a no-op")
	require.ErrorIs(t, s.Label(t.Context(), "churn", []serve.LabelInput{text("r/0", "goes"), text("a", "goes")}), serve.ErrConflict)
	require.Equal(t, []string{"r/0 7 stays", "r/1 8 stays", "a 1 stays"}, w.predictions)
	require.Equal(t, []string{"r/1 stays goes", "a stays stays"}, w.labels, "each new label once")
}

func TestUnknownLabels(t *testing.T) {
	w := &witness{}
	s := servetest.New(t, "churn", servetest.Constant("stays"), &serve.Options{Observer: w, FlushInterval: time.Hour})
	ask(t, s.Server, "churn", "a")
	err := s.Label(t.Context(), "churn", []serve.LabelInput{text("x", "goes"), text("a", "goes"), text("y", "goes")})
	require.ErrorIs(t, err, serve.ErrNotFound)
	require.EqualError(t, err, `serve: label churn: no prediction is logged under "x", "y": check the ids; the other 1 labels are stored`)
	servetest.RequireLabel(t, s, "churn", "a", frame.StringValue("goes"))
	require.Equal(t, []string{"a stays goes"}, w.labels)

	require.ErrorIs(t, s.Label(t.Context(), "fraud", []serve.LabelInput{text("a", "goes")}), serve.ErrNotFound)
	silent := serve.New(nil, nil)
	require.NoError(t, silent.Add("churn", 1, servetest.Constant("stays")))
	require.NoError(t, silent.SetRoute(t.Context(), serve.Route{Model: "churn", Primary: 1}))
	require.ErrorIs(t, silent.Label(t.Context(), "churn", []serve.LabelInput{text("a", "goes")}), serve.ErrUnsupported)
}

// TestLabelKinds: what JSON calls a number becomes what the model predicts.
func TestLabelKinds(t *testing.T) {
	s := servetest.New(t, "sums", sums(), nil)
	_, err := s.Predict(t.Context(), "sums", serve.Request{ID: "r", Inputs: sumInputs()})
	require.NoError(t, err)
	require.NoError(t, s.Label(t.Context(), "sums", []serve.LabelInput{{ID: "r/0", Value: frame.IntValue(3)}}))
	servetest.RequireLabel(t, s, "sums", "r/0", frame.FloatValue(3))
	err = s.Label(t.Context(), "sums", []serve.LabelInput{
		{ID: "r/0", Value: frame.StringValue("three")}, {ID: "", Value: frame.IntValue(1)}, {ID: "r/1"}, {ID: "r/1", Value: frame.IntValue(1<<53 + 1)},
	})
	require.ErrorIs(t, err, serve.ErrInvalid)
	require.EqualError(t, err, `serve: label sums: label 0, of "r/0": "three" is string, the model predicts float64; label 1 has no id; `+
		`label 2, of "r/1", has no value; label 3, of "r/1": "9007199254740993" is int64, the model predicts float64`)
}
