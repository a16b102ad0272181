package trackingtest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/tracking"
	"github.com/mlloop/mlloop/tracking/trackingmem"
)

// each runs f(0) … f(n-1) at once and returns their errors.
func each(n int, f func(i int) error) []error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = f(i) })
	}
	wg.Wait()
	return errs
}

func concurrentMetrics(t *testing.T, s tracking.Store) {
	newRun(t, s, "r")
	const writers, points = 8, 20
	errs := each(writers, func(i int) error {
		for j := range points {
			step := int64(j*writers + i)
			m := tracking.Metric{Key: "m", Value: float64(i), Step: step, Time: at(step)}
			if err := s.Log(context.Background(), "r", tracking.Batch{Metrics: []tracking.Metric{m}}); err != nil {
				return err
			}
		}
		return nil
	})
	require.NoError(t, errors.Join(errs...))
	history, err := s.MetricHistory(t.Context(), "r", "m")
	require.NoError(t, err)
	require.Len(t, history, writers*points)
	require.Equal(t, history[len(history)-1], get(t, s, "r").Metrics["m"])
}

// concurrentBatches writes the same keys from all sides, which a store that
// locks them in the order of the batch would hang or fail on.
func concurrentBatches(t *testing.T, s tracking.Store) {
	newRun(t, s, "r")
	const writers, rounds, keys = 6, 5, 12
	errs := each(writers, func(i int) error {
		g := rand.New(rand.NewPCG(uint64(i), 1))
		for round := range rounds {
			b := tracking.Batch{Params: map[string]string{}, Tags: map[string]string{}}
			for _, k := range g.Perm(keys) {
				key := fmt.Sprint("k", k)
				b.Params[key], b.Tags[key] = "v", fmt.Sprint(i)
				b.Inputs = append(b.Inputs, tracking.Input{Name: key, Digest: "d"})
				b.Artifacts = append(b.Artifacts, tracking.Artifact{Path: key, Digest: fmt.Sprint(i)})
				b.Metrics = append(b.Metrics, tracking.Metric{Key: key, Value: 1, Step: int64(round), Time: at(0)})
			}
			if err := s.Log(context.Background(), "r", b); err != nil {
				return err
			}
			if _, err := s.UpdateRun(context.Background(), tracking.RunPatch{ID: "r"}); err != nil {
				return err
			}
		}
		return nil
	})
	require.NoError(t, errors.Join(errs...))
	r := get(t, s, "r")
	require.Len(t, r.Params, keys)
	require.Len(t, r.Tags, keys)
	require.Len(t, r.Inputs, keys)
	require.Len(t, r.Artifacts, keys)
	require.Len(t, r.Metrics, keys)
	require.EqualValues(t, 1+writers*rounds, r.Rev)
}

// oneWins requires that all errors but one are of the kind.
func oneWins(t *testing.T, errs []error, kind error) {
	t.Helper()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
			continue
		}
		require.ErrorIs(t, err, kind)
	}
	require.Equal(t, 1, won)
}

func concurrentParams(t *testing.T, s tracking.Store) {
	newRun(t, s, "r")
	errs := each(8, func(i int) error {
		return s.Log(context.Background(), "r", tracking.Batch{Params: map[string]string{"p": fmt.Sprint(i)}})
	})
	oneWins(t, errs, fault.AlreadyExists)
	for i, err := range errs {
		if err == nil {
			require.Equal(t, fmt.Sprint(i), get(t, s, "r").Params["p"])
		}
	}
}

func concurrentUpdates(t *testing.T, s tracking.Store) {
	r := newRun(t, s, "r")
	names := []string{"0", "1", "2", "3", "4", "5", "6", "7"}
	errs := each(len(names), func(i int) error {
		_, err := s.UpdateRun(context.Background(), tracking.RunPatch{ID: "r", Rev: r.Rev, Name: &names[i]})
		return err
	})
	oneWins(t, errs, fault.Conflict)
	got := get(t, s, "r")
	require.Equal(t, r.Rev+1, got.Rev)
	for i, err := range errs {
		if err == nil {
			require.Equal(t, names[i], got.Name)
		}
	}
	require.NoError(t, errors.Join(each(20, func(int) error {
		_, err := s.UpdateRun(context.Background(), tracking.RunPatch{ID: "r"})
		return err
	})...))
	require.Equal(t, r.Rev+21, get(t, s, "r").Rev, "no update is lost")
}

func concurrentCreate(t *testing.T, s tracking.Store) {
	oneWins(t, each(8, func(i int) error {
		return s.CreateExperiment(context.Background(), tracking.Experiment{ID: fmt.Sprint(i), Name: "e", CreatedAt: at(0)})
	}), fault.AlreadyExists)
	e, err := s.Experiment(t.Context(), "e")
	require.NoError(t, err)
	oneWins(t, each(8, func(i int) error {
		return s.CreateRun(context.Background(), tracking.RunInfo{ID: "r", Name: fmt.Sprint(i), ExperimentID: e.ID, Status: tracking.Running, StartedAt: at(0)})
	}), fault.AlreadyExists)
}

// random does the same random calls to the store and to the one in memory, and
// compares every answer.
func random(seed uint64) func(t *testing.T, s tracking.Store) {
	return func(t *testing.T, s tracking.Store) {
		g := generator{rand.New(rand.NewPCG(seed, 7))}
		spec := trackingmem.New()
		for i := range 250 {
			name, call := g.call()
			want := call(t.Context(), spec)
			got := call(t.Context(), s)
			require.Equal(t, want, got, "seed %d, call %d: %s", seed, i, name)
		}
	}
}

// generator makes random calls whose arguments often meet.
type generator struct{ *rand.Rand }

// call is one call of a store; it returns the answer in print.
type call func(ctx context.Context, s tracking.Store) string

func answer(v any, err error) string {
	if err != nil {
		return fmt.Sprintf("error: %v", fault.Kind(err))
	}
	return printed(v)
}

func (g generator) call() (string, call) {
	run, experiment := g.name("run", 6), g.name("exp", 3)
	switch n := g.IntN(20); {
	case n < 2:
		e := tracking.Experiment{ID: experiment, Name: "name of " + experiment, CreatedAt: at(g.Int64N(5))}
		return "CreateExperiment", func(ctx context.Context, s tracking.Store) string { return answer(e, s.CreateExperiment(ctx, e)) }
	case n < 5:
		r := g.info(run, experiment)
		return "CreateRun", func(ctx context.Context, s tracking.Store) string { return answer(r, s.CreateRun(ctx, r)) }
	case n < 7:
		p := g.patch(run)
		return "UpdateRun", func(ctx context.Context, s tracking.Store) string { return answer(s.UpdateRun(ctx, p)) }
	case n < 13:
		b := g.batch()
		return "Log", func(ctx context.Context, s tracking.Store) string { return answer("", s.Log(ctx, run, b)) }
	case n < 15:
		key := g.name("key", 3)
		return "MetricHistory", func(ctx context.Context, s tracking.Store) string { return answer(s.MetricHistory(ctx, run, key)) }
	case n < 16:
		return "Experiments", func(ctx context.Context, s tracking.Store) string { return answer(s.Experiments(ctx)) }
	case n < 18:
		q := g.query(run, experiment)
		return "Runs", func(ctx context.Context, s tracking.Store) string {
			runs, next, err := s.Runs(ctx, q)
			return answer(runs, err) + next
		}
	}
	return "Run", func(ctx context.Context, s tracking.Store) string { return answer(s.Run(ctx, run)) }
}

func (g generator) name(what string, n int) string {
	return fmt.Sprintf("%s-%d", what, g.IntN(n))
}

func (g generator) pick(from ...string) string { return from[g.IntN(len(from))] }

func (g generator) info(run, experiment string) tracking.RunInfo {
	r := tracking.RunInfo{ID: run, ExperimentID: experiment, Name: g.pick("", "a", "b"), Status: tracking.Running, StartedAt: at(g.Int64N(3))}
	if g.IntN(2) == 0 {
		r.Status, r.EndedAt, r.Error = tracking.Failed, at(10+g.Int64N(5)), g.pick("", "boom")
	}
	return r
}

func (g generator) patch(run string) tracking.RunPatch {
	r := g.info(run, "")
	p := tracking.RunPatch{ID: run, Rev: g.Int64N(4)}
	if g.IntN(2) == 0 {
		p.Name = &r.Name
	}
	if g.IntN(2) == 0 {
		p.Status, p.EndedAt, p.Error = r.Status, r.EndedAt, r.Error
	}
	return p
}

func (g generator) batch() tracking.Batch {
	b := tracking.Batch{Params: map[string]string{}, Tags: map[string]string{}}
	values := []float64{0, 1, -1, 0.1, math.NaN(), math.Inf(1), math.Inf(-1), g.NormFloat64()}
	for range g.IntN(8) {
		b.Metrics = append(b.Metrics, tracking.Metric{Key: g.name("key", 3), Value: values[g.IntN(len(values))], Step: g.Int64N(3) - 1, Time: at(g.Int64N(2))})
	}
	for range g.IntN(3) {
		b.Params[g.pick("p", "q", "r")] = g.pick("1", "1", "1", "2")
		b.Tags[g.pick("t", "u")] = g.pick("", "x", "y")
		b.Inputs = append(b.Inputs, tracking.Input{Name: g.pick("n", "o"), Digest: g.pick("d", "e"), Context: g.pick("", "training"), Rows: g.Int64N(3)})
		b.Artifacts = append(b.Artifacts, tracking.Artifact{Path: g.pick("a", "b/c"), Digest: g.pick("d", "e"), Size: g.Int64N(3)})
	}
	return b
}

func (g generator) query(run, experiment string) tracking.RunQuery {
	q := tracking.RunQuery{Limit: g.IntN(4)}
	if g.IntN(2) == 0 {
		q.ExperimentID = experiment
	}
	if g.IntN(2) == 0 {
		q.Statuses = []tracking.Status{tracking.Failed}
	}
	if g.IntN(3) == 0 {
		q.Tags = map[string]string{"t": g.pick("", "x", "y")}
	}
	if g.IntN(3) == 0 {
		q.Page = run
	}
	return q
}
