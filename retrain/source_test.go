package retrain_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retraintest"
	"github.com/mlloop/mlloop/train"
	"github.com/mlloop/mlloop/train/frame"
)

// firstFitOn has a new loop make its first fit on the rows, and returns what the
// trainer saw and where the loop stands.
func firstFitOn(t *testing.T, rows func() (*frame.Table, error)) (*frame.Table, *world) {
	t.Helper()
	var seen *frame.Table
	w := newWorld(t, newStream(t, 1, never), func(c *retrain.Config) {
		inner := c.Trainer
		c.Data = retrain.SourceFunc(func(context.Context, time.Time) (*frame.Table, error) { return rows() })
		c.Trainer = trainerFunc(func(ctx context.Context, job train.Job) (*bundle.Bundle, error) {
			seen = job.Data
			return inner.Fit(ctx, job)
		})
	})
	w.step(at(20 * rowsADay))
	return seen, w
}

// TestSourceOrder gives the rows in disorder, some twice, some of the days to
// come, some without a label: the fit is that of the orderly rows.
func TestSourceOrder(t *testing.T) {
	s := newStream(t, 40*rowsADay, never)
	known, err := s.table.Slice(0, 19*rowsADay).Select("x", "z", "y")
	require.NoError(t, err)
	seen, _ := firstFitOn(t, func() (*frame.Table, error) { return s.table, nil })
	require.Equal(t, known.Digest(), seen.Digest(), "no row of the future, none whose label has not come")

	rng := rand.New(rand.NewPCG(1, 1))
	order := rng.Perm(s.table.NumRows())
	rows := make([]frame.Row, 0, len(order)+1)
	for _, i := range order {
		rows = append(rows, s.table.Row(i))
	}
	unlabelled := s.table.Row(100)
	unlabelled.Values[s.table.Schema().Index("y")] = frame.Value{}
	rows = append(rows, unlabelled)
	seen, _ = firstFitOn(t, func() (*frame.Table, error) { return frame.FromRows(s.table.Schema(), rows) })
	require.Equal(t, known.Digest(), seen.Digest())

	rows = append(rows, s.table.Row(5), s.table.Row(5))
	seen, _ = firstFitOn(t, func() (*frame.Table, error) { return frame.FromRows(s.table.Schema(), rows) })
	require.Equal(t, known.NumRows()+2, seen.NumRows(), "rows that come twice are taken twice")
}

func TestSourceErrors(t *testing.T) {
	s := newStream(t, 40*rowsADay, never)
	with := func(name string, kind frame.Kind, value func(i int) frame.Value) func() (*frame.Table, error) {
		return func() (*frame.Table, error) {
			values := make([]frame.Value, s.table.NumRows())
			for i := range values {
				values[i] = value(i)
			}
			rest, err := s.table.Drop(name)
			if err != nil {
				return nil, err
			}
			return rest.WithColumn(frame.Field{Name: name, Kind: kind}, values)
		}
	}
	for want, rows := range map[string]func() (*frame.Table, error){
		"source: it returned no table and no error":                     func() (*frame.Table, error) { return nil, nil },
		`Time: the source has no column "seen_at"`:                      func() (*frame.Table, error) { return s.table.Drop("seen_at") },
		`Label: the source has no column "y"`:                           func() (*frame.Table, error) { return s.table.Drop("y") },
		`Entity: the source has no column "customer"`:                   func() (*frame.Table, error) { return s.table.Drop("customer") },
		`time column "seen_at", row 1: "soon" is no time: want a time`:  with("seen_at", frame.String, func(int) frame.Value { return frame.StringValue("soon") }),
		`time column "seen_at", row 3: it is null`:                      with("seen_at", frame.Time, func(i int) frame.Value { return map[bool]frame.Value{true: frame.TimeValue(at(1).UnixMilli())}[i < 2] }),
		"it seems to hold seconds, of 2026-01-01: multiply it by 1,000": with("seen_at", frame.Int64, func(i int) frame.Value { return frame.IntValue(at(i).Unix()) }),
		"it seems to hold microseconds, of 2026-01-01":                  with("seen_at", frame.Int64, func(i int) frame.Value { return frame.IntValue(at(i).UnixMicro()) }),
		`all 1824 training rows have the same label "y"`:                with("y", frame.Int64, func(int) frame.Value { return frame.IntValue(1) }),
	} {
		_, w := firstFitOn(t, rows)
		require.Contains(t, retraintest.RequireStage(t, w.loop, retrain.Failed).Reason, want)
	}
}

// TestSourceWithoutRowsIsWaitedFor has a source that has no labelled row yet, or
// cannot be reached: the first fit is put off, and nothing has failed.
func TestSourceWithoutRowsIsWaitedFor(t *testing.T) {
	s := newStream(t, rowsADay, never)
	for want, rows := range map[string]func() (*frame.Table, error){
		"source: the database is away":            func() (*frame.Table, error) { return nil, errors.New("the database is away") },
		"source: panic: ouch":                     func() (*frame.Table, error) { panic("ouch") },
		"none of the source's 0 rows has a label": func() (*frame.Table, error) { return s.table.Slice(0, 0), nil },
	} {
		_, w := firstFitOn(t, rows)
		retraintest.RequireStage(t, w.loop, retrain.Fitting)
		require.Contains(t, w.status().Waiting[0], want)
		require.Contains(t, retraintest.RequireEvent(t, w.loop, retrain.EventWaiting).Text, want)
		require.Zero(t, w.status().Failures)
	}
}

// spy notes the latest row that a part of the loop was shown, and what the
// time was.
type spy struct {
	mu       sync.Mutex
	problems []string
	asked    int
}

func (s *spy) saw(part string, rows *frame.Table, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	times, err := rows.Values("hour")
	if err != nil {
		s.problems = append(s.problems, err.Error())
		return
	}
	for _, v := range times {
		if known := at(int(v.Float())).Add(labelDelay); !known.Before(now) {
			s.problems = append(s.problems, fmt.Sprintf("%s at %s saw the row of %s", part, now, at(int(v.Float()))))
		}
	}
}

type spyGate struct {
	spy *spy
	now func() time.Time
}

func (spyGate) Name() string { return "spy" }

func (g spyGate) Judge(_ context.Context, c retrain.Candidate) (retrain.Verdict, error) {
	g.spy.saw("gate", c.Rows, g.now())
	return retrain.Verdict{Gate: "spy", Outcome: retrain.Pass, Reason: "it only looks"}, nil
}

// TestNoLabelBeforeItArrives gives the loop the whole future in every fit: the
// trainer and the gates see only rows whose label has come.
func TestNoLabelBeforeItArrives(t *testing.T) {
	s := newStream(t, 60*rowsADay, never)
	hours := make([]frame.Value, s.table.NumRows())
	for i := range hours {
		hours[i] = frame.FloatValue(float64(i))
	}
	withHour, err := s.table.WithColumn(frame.Field{Name: "hour", Kind: frame.Float64}, hours)
	require.NoError(t, err)
	var sees spy
	var w *world
	now := func() time.Time { return at(w.row) } // the step's: rows are asked after it
	w = newWorld(t, s, func(c *retrain.Config) {
		inner := c.Trainer
		c.Data = retrain.SourceFunc(func(context.Context, time.Time) (*frame.Table, error) { return withHour, nil })
		c.Gates = []retrain.Gate{spyGate{&sees, now}}
		c.Triggers = []retrain.Trigger{retrain.Every(3 * day)}
		c.Trainer = trainerFunc(func(ctx context.Context, job train.Job) (*bundle.Bundle, error) {
			sees.saw("trainer", job.Data, now())
			rest, err := job.Data.Drop("hour")
			if err != nil {
				return nil, err
			}
			job.Data, job.Inputs = rest, []string{"x", "z"}
			return inner.Fit(ctx, job)
		})
	})
	w.from(20 * rowsADay)
	retraintest.StepAndSettle(t, w.loop, at(w.row-1))
	w.run(40 * rowsADay)
	require.Empty(t, sees.problems)
	require.GreaterOrEqual(t, sees.asked, 5)
	retraintest.RequireEvent(t, w.loop, "gate")

	labels := 0
	for _, e := range w.retrainings() {
		for _, v := range e.Verdicts {
			labels += v.N
		}
	}
	require.Positive(t, labels)
}
