package serve_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/serve/servemem"
	"github.com/mlloop/mlloop/serve/servetest"
	"github.com/mlloop/mlloop/train/frame"
)

// witness is an Observer that remembers.
type witness struct {
	mu     sync.Mutex
	seen   []frame.Observation
	panics bool
}

func (w *witness) Observe(o frame.Observation) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = append(w.seen, o)
	if w.panics {
		panic("an observer's own fault")
	}
}

// lines says what was observed.
func (w *witness) lines() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for _, o := range w.seen {
		line := fmt.Sprint(o.Model, " ", o.Variant, " ", o.ID, "/", o.Index, " ", o.Status, " ", o.Row.Get("x").Text(), " ", o.Outputs.Get("label").Text())
		if !o.Label.IsNull() {
			line += " " + o.Output + "=" + o.Label.Text()
		}
		out = append(out, line)
	}
	return out
}

func text(id string, index int, value string) serve.LabelInput {
	return serve.LabelInput{ID: id, Index: index, Value: frame.StringValue(value)}
}

func labelAll(t *testing.T, s *servetest.Server, model string, labels ...serve.LabelInput) serve.LabelReport {
	t.Helper()
	report, err := s.Label(t.Context(), model, labels)
	require.NoError(t, err)
	return report
}

// TestLabelFindsWhatWasJustAnswered: no Flush is needed between an answer and
// its label, and the observer hears of what is new.
func TestLabelFindsWhatWasJustAnswered(t *testing.T) {
	w := &witness{}
	s := servetest.New(t, "churn", servetest.Constant("stays"), &serve.Options{
		Observers: map[string]serve.Observer{"churn": w}, FlushInterval: time.Hour, Now: func() time.Time { return noon },
	})
	_, err := s.Predict(t.Context(), "churn", serve.Request{ID: "r", Inputs: servetest.X(7, 8)})
	require.NoError(t, err)
	ask(t, s.Server, "churn", "a")
	require.Equal(t, serve.LabelReport{Stored: 2, Unchanged: 1}, labelAll(t, s, "churn", text("r", 1, "goes"), text("a", 0, "stays"), text("a", 0, "stays")))
	require.Equal(t, serve.LabelReport{Unchanged: 1}, labelAll(t, s, "churn", text("a", 0, "stays")), "an equal label is a no-op")
	require.Equal(t, serve.LabelReport{Stored: 1, Corrected: 1}, labelAll(t, s, "churn", text("r", 0, "goes"), text("a", 0, "goes")))
	servetest.RequireLabel(t, s, "churn", "a", frame.StringValue("goes"))
	require.Equal(t, []string{
		"churn primary r/0 answered 7 stays", "churn primary r/1 answered 8 stays", "churn primary a/0 answered 1 stays",
		"churn primary r/1 answered  stays label=goes", "churn primary a/0 answered  stays label=stays",
		"churn primary r/0 answered  stays label=goes", "churn primary a/0 answered  stays label=goes",
	}, w.lines())
	require.Equal(t, noon, w.seen[3].Time)
}

// TestGoodLabelsAreStored: unknown and unanswerable labels are told and keep
// nobody else's from being stored.
func TestGoodLabelsAreStored(t *testing.T) {
	s := servetest.New(t, "churn", classes("stays", "goes"), &serve.Options{FlushInterval: time.Hour})
	ask(t, s.Server, "churn", "a")
	report := labelAll(t, s, "churn", text("x", 0, "goes"), text("a", 0, "goes"), text("a", 3, "goes"), text("a", 0, "went"),
		serve.LabelInput{ID: "a", Value: frame.IntValue(1)}, serve.LabelInput{ID: "a"}, serve.LabelInput{ID: "a", Output: "y", Value: frame.IntValue(1)})
	require.Equal(t, serve.LabelReport{
		Stored:  1,
		Unknown: []serve.LabelProblem{{ID: "x", Reason: "no answer is logged under this id and row"}, {ID: "a", Index: 3, Reason: "no answer is logged under this id and row"}},
		Refused: []serve.LabelProblem{
			{ID: "a", Reason: `"went" is none of the classes that the model predicts`}, {ID: "a", Reason: `"1" is int64, the model predicts string`},
			{ID: "a", Reason: "it has no value"}, {ID: "a", Reason: `the model has no output "y" with one value a row`},
		},
	}, report)
	servetest.RequireLabel(t, s, "churn", "a", frame.StringValue("goes"))
	require.EqualValues(t, 4, s.Stats().LabelsRefused)

	// What a challenger can answer is a label as well.
	require.NoError(t, s.Add("churn", 2, classes("stays", "goes", "went")))
	require.NoError(t, s.SetRoute(t.Context(), serve.Route{Model: "churn", Primary: 1, Shadow: 2, Rev: 1}))
	require.Equal(t, serve.LabelReport{Corrected: 1}, labelAll(t, s, "churn", text("a", 0, "went")))
}

// classifier is a predictor that names its classes.
type classifier struct {
	serve.Predictor
	classes []frame.Value
}

func (c classifier) Classes() []frame.Value { return c.classes }

// classes returns a classifier that answers the first of its classes.
func classes(names ...string) serve.Predictor {
	c := classifier{Predictor: servetest.Constant(names[0])}
	for _, name := range names {
		c.classes = append(c.classes, frame.StringValue(name))
	}
	return c
}

func TestLabelErrors(t *testing.T) {
	s := servetest.New(t, "churn", servetest.Constant("stays"), nil)
	_, err := s.Label(t.Context(), "fraud", []serve.LabelInput{text("a", 0, "goes")})
	require.ErrorIs(t, err, serve.ErrNotFound)
	ask(t, s.Server, "churn", "a")
	_, err = s.Label(t.Context(), "churn", []serve.LabelInput{text("a", 0, "goes"), text("", 0, "goes"), text("b", -1, "goes")})
	require.ErrorIs(t, err, serve.ErrInvalid)
	require.EqualError(t, err, `serve: label churn: label 1 has no id; label 2, of "b": row -1: want 0 or more`)
	require.Zero(t, servetest.RequirePredictions(t, s, "churn", 1)[0].Attempt-1)
	counts, err := s.Log.Counts(t.Context(), "churn")
	require.NoError(t, err)
	require.Zero(t, counts.Labels, "nothing of a malformed batch is stored")

	silent := serve.New(nil, nil)
	require.NoError(t, silent.Add("churn", 1, servetest.Constant("stays")))
	require.NoError(t, silent.SetRoute(t.Context(), serve.Route{Model: "churn", Primary: 1}))
	_, err = silent.Label(t.Context(), "churn", []serve.LabelInput{text("a", 0, "goes")})
	require.ErrorIs(t, err, serve.ErrUnsupported)
}

// TestLabelKinds: what JSON calls a number becomes what the model predicts.
func TestLabelKinds(t *testing.T) {
	s := servetest.New(t, "sums", sums(), nil)
	_, err := s.Predict(t.Context(), "sums", serve.Request{ID: "r", Inputs: sumInputs()})
	require.NoError(t, err)
	labelAll(t, s, "sums", serve.LabelInput{ID: "r", Value: frame.IntValue(3)})
	servetest.RequireLabel(t, s, "sums", "r", frame.FloatValue(3))
	report := labelAll(t, s, "sums", serve.LabelInput{ID: "r", Value: frame.StringValue("three")}, serve.LabelInput{ID: "r", Index: 1, Value: frame.IntValue(1<<53 + 1)},
		serve.LabelInput{ID: "r", Index: 1, Output: "sum", Value: frame.IntValue(8)})
	require.Equal(t, 1, report.Stored)
	require.Len(t, report.Refused, 2)
}

// TestObserversAreApart: each model's observer hears of that model alone, and
// its panic reaches nobody: the answer comes, and the version is released.
func TestObserversAreApart(t *testing.T) {
	a, b, open := &witness{panics: true}, &witness{}, &counter{n: 1}
	s := serve.New(nil, &serve.Options{Log: servemem.New(), Observers: map[string]serve.Observer{"a": a, "b": b}})
	for _, model := range []string{"a", "b"} {
		p := serve.Predictor(servetest.Constant("x"))
		if model == "a" {
			p = closable{p, open}
		}
		require.NoError(t, s.Add(model, 1, p))
		require.NoError(t, s.SetRoute(t.Context(), serve.Route{Model: model, Primary: 1}))
		for range 3 {
			require.Equal(t, "x", ask(t, s, model, "same"))
		}
	}
	require.Len(t, a.lines(), 3)
	require.Len(t, b.lines(), 3)
	require.Equal(t, "b primary same/0 answered 1 x", b.lines()[2])
	require.EqualValues(t, 3, s.Stats().ObserverPanics)
	require.NoError(t, s.Close(t.Context()))
	require.Zero(t, open.add(0), "the version is released after its last request")
}
