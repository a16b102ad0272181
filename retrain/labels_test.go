package retrain_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retraintest"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train/frame"
)

// outcomes is the service's own table of what became known.
type outcomes struct {
	t  *testing.T
	db *sql.DB
}

func newOutcomes(t *testing.T) outcomes {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "app.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	_, err = db.ExecContext(t.Context(), "CREATE TABLE outcomes (prediction_id TEXT, churned INTEGER, known_at INTEGER)")
	require.NoError(t, err)
	return outcomes{t, db}
}

// know notes an outcome; a nil value stands for one that is not known yet.
func (o outcomes) know(id string, value any, at time.Time) {
	o.t.Helper()
	_, err := o.db.ExecContext(o.t.Context(), "INSERT INTO outcomes VALUES (?, ?, ?)", id, value, at.UnixMilli())
	require.NoError(o.t, err)
}

func (o outcomes) source() retrain.LabelSource {
	return retrain.LabelQuery(o.db, "SELECT prediction_id, churned, known_at FROM outcomes WHERE known_at > ?", retrain.SinceMilli{})
}

// labels returns what the log knows, by id, and how many records there are.
func (w *world) labels() (byID map[string]int64, records int) {
	w.t.Helper()
	byID = make(map[string]int64)
	for after := int64(0); ; {
		page, err := w.stores.Serve.Labels(w.t.Context(), serve.LabelQuery{Model: "churn", After: after})
		require.NoError(w.t, err)
		if len(page) == 0 {
			return byID, records
		}
		for _, p := range page {
			after = p.Truth.Seq
			records++
			byID[p.ID] = p.Truth.Value.Int()
		}
	}
}

// TestLabelQuery has labels come by a query alone: late commits within the
// overlap, the same ones again, corrections, unknown ids, values that no version
// answers, and nulls.
func TestLabelQuery(t *testing.T) {
	o := newOutcomes(t)
	w := newWorld(t, newStream(t, 40*rowsADay, never), func(c *retrain.Config) { c.Labels = o.source() })
	w.start(20 * rowsADay)
	for row := w.row; row < w.row+8; row++ {
		w.ask(row)
	}
	now := at(w.row).Add(day)
	minute := func(m int) time.Time { return now.Add(time.Duration(m) * time.Minute) }
	id := func(i int) string { return rowID(w.row + i) }
	o.know(id(0), 1, minute(-3))
	o.know(id(1), 0, minute(-2))
	o.know(id(2), nil, minute(-2))
	o.know("nobody", 1, minute(-2))
	o.know(id(3), 7, minute(-2))
	require.NoError(t, w.loop.Step(t.Context(), minute(0)))
	known, records := w.labels()
	require.Equal(t, map[string]int64{id(0): 1, id(1): 0}, known)
	require.Equal(t, 2, records)
	require.Equal(t, retrain.LabelStatus{KnownAt: minute(-2), Unknown: 1, Refused: 1}, w.status().Labels)
	require.Contains(t, retraintest.RequireEvent(t, w.loop, retrain.EventLabels).Text, `1 labels were refused, such as that of "`+id(3)+`": "7" is none of the classes`)

	o.know(id(4), 1, minute(-4)) // committed late
	o.know(id(0), 0, minute(1))  // corrected
	o.know(id(5), 1, minute(90)) // of a clock that goes ahead: it does not move the cursor
	require.NoError(t, w.loop.Step(t.Context(), minute(2)))
	known, records = w.labels()
	require.Equal(t, map[string]int64{id(0): 0, id(1): 0, id(4): 1, id(5): 1}, known)
	require.Equal(t, 5, records, "a correction is a record of its own, what came again is none")
	require.Equal(t, minute(1), w.status().Labels.KnownAt)

	o.know(id(6), 1, minute(3))
	require.NoError(t, w.loop.Step(t.Context(), minute(4)))
	known, _ = w.labels()
	require.Contains(t, known, id(6))
	require.Equal(t, 1, w.count(retrain.EventLabels), "refusals are told once a day")
}

// TestLabelsComeByQueryAlone promotes a challenger whose labels come from a
// table, without any feedback call.
func TestLabelsComeByQueryAlone(t *testing.T) {
	o := newOutcomes(t)
	w := newWorld(t, newStream(t, 40*rowsADay, never), func(c *retrain.Config) { c.Labels = o.source() })
	w.tells = func(from, to int) {
		for row := from; row < to; row++ {
			o.know(rowID(row), w.label(row), at(row).Add(labelDelay))
		}
	}
	w.start(20 * rowsADay)
	w.run(retrainable)
	require.NoError(t, w.loop.Retrain(t.Context(), "a person asked"))
	w.runDays(7)
	retraintest.RequirePromoted(t, w.loop, 2)
}

// TestLabelQueryProblems names what is wrong with a query, a row or a time.
func TestLabelQueryProblems(t *testing.T) {
	o := newOutcomes(t)
	now := at(21 * rowsADay)
	o.know("a", 1, now)
	for query, want := range map[string]string{
		"SELECT prediction_id FROM outcomes WHERE known_at > ?":                              "the query gives 1 columns, want the prediction's id, its label, when that became known",
		"SELECT prediction_id, churned, 'soon' FROM outcomes WHERE known_at > ?":             `column "'soon'": "soon" is no time`,
		"SELECT prediction_id, churned, known_at/1000 FROM outcomes WHERE known_at > ?":      "it seems to hold seconds, of 2026-01-22",
		"SELECT prediction_id, churned, known_at*1000 FROM outcomes WHERE known_at > ?":      "it seems to hold microseconds, of 2026-01-22",
		"SELECT prediction_id, churned, known_at FROM nowhere WHERE known_at > ?":            "no such table",
		"SELECT prediction_id, churned, known_at FROM outcomes WHERE known_at > ? AND ? > 0": "labels: source of labels: ",
	} {
		w := newWorld(t, newStream(t, 40*rowsADay, never), func(c *retrain.Config) {
			c.Labels = retrain.LabelQuery(o.db, query, retrain.SinceMilli{})
		})
		w.start(20 * rowsADay)
		err := w.loop.Step(t.Context(), now)
		require.ErrorContains(t, err, want)
		require.Equal(t, "labels", w.status().Failing[0].Part)
	}
}

// TestLabelWithoutAPrediction is refused and counted; those beside it are taken.
func TestLabelWithoutAPrediction(t *testing.T) {
	o := newOutcomes(t)
	w := newWorld(t, newStream(t, 40*rowsADay, never), func(c *retrain.Config) {
		c.Labels = retrain.LabelQuery(o.db, "SELECT nullif(prediction_id, 'nobody'), churned, known_at FROM outcomes WHERE known_at > ?", retrain.SinceMilli{})
	})
	w.mute = true
	w.start(20 * rowsADay)
	w.runDays(1)
	o.know("nobody", 1, at(w.row))
	o.know(rowID(20*rowsADay), w.label(20*rowsADay), at(w.row))
	w.step(at(w.row).Add(time.Hour))
	counts, err := w.stores.Serve.Counts(t.Context(), "churn")
	require.NoError(t, err)
	require.EqualValues(t, 1, counts.Labels)
	require.Positive(t, w.status().Labels.Refused)
	require.Contains(t, retraintest.RequireEvent(t, w.loop, retrain.EventLabels).Text, "it names no prediction")
}

// TestLabelsInTwoLives keeps the cursor over a restart.
func TestLabelsInTwoLives(t *testing.T) {
	var since []time.Time
	labels := labelFunc(func(_ context.Context, from time.Time, yield func(retrain.KnownLabel) error) error {
		since = append(since, from)
		return yield(retrain.KnownLabel{LabelInput: serve.LabelInput{ID: "nobody", Value: frame.IntValue(1)}, KnownAt: at(20*rowsADay + 2)})
	})
	stores := retraintest.NewStores()
	s := newStream(t, 40*rowsADay, never)
	w := newWorldOn(t, s, stores, func(c *retrain.Config) { c.Labels = labels })
	w.start(20 * rowsADay)
	require.NoError(t, w.loop.Step(t.Context(), at(w.row+4)))
	second := *stores
	second.Engine = stores.Engine.(*retraintest.Engine).Restart()
	next := newWorldOn(t, s, &second, func(c *retrain.Config) { c.Labels = labels })
	require.NoError(t, next.loop.Step(t.Context(), at(w.row+8)))
	require.Equal(t, []time.Time{{}, at(20*rowsADay + 2).Add(-5 * time.Minute)}, since)
}

// TestNoLabelIsTold has predictions and no label within the delay: an event says
// that no rollout can be judged, once.
func TestNoLabelIsTold(t *testing.T) {
	w := newWorld(t, newStream(t, 40*rowsADay, never), nil)
	w.start(20 * rowsADay)
	w.mute = true
	w.run(22 * rowsADay)
	retraintest.RequireNoEvent(t, w.loop, retrain.EventLabels)
	w.run(26 * rowsADay)
	require.Equal(t, 1, w.count(retrain.EventLabels))
	require.Contains(t, retraintest.RequireEvent(t, w.loop, retrain.EventLabels).Text, "none has come: no rollout can be judged; send them to /v2/models/churn/feedback, or set Config.Labels")
	require.Zero(t, w.status().LabelLag)
}

// TestLabelsThatNoModelAnswers sends 2 % of labels that are no class: they are
// refused by name, and neither decay nor a verdict comes of them.
func TestLabelsThatNoModelAnswers(t *testing.T) {
	w := newWorld(t, newStream(t, 40*rowsADay, never), func(c *retrain.Config) {
		c.Triggers = []retrain.Trigger{retrain.OnDecay("auc", 0.03)}
	})
	w.start(20 * rowsADay)
	refused := 0
	w.tells = func(from, to int) {
		var labels []serve.LabelInput
		for row := from; row < to; row++ {
			label := w.label(row)
			if row%50 == 0 {
				label = 5
			}
			labels = append(labels, serve.LabelInput{ID: rowID(row), Value: frame.IntValue(label)})
		}
		report, err := w.loop.Server().Label(t.Context(), "churn", labels)
		require.NoError(t, err)
		refused += len(report.Refused)
	}
	w.run(30 * rowsADay)
	require.Equal(t, (30-20-2)*rowsADay/50, refused, "of the days whose labels are known")
	require.Len(t, w.retrainings(), 1)
	require.EqualValues(t, refused, w.status().Log.LabelsRefused)
}
