package retrain_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retrainsql"
	"github.com/mlloop/mlloop/retrain/retraintest"
	"github.com/mlloop/mlloop/serve"
)

// fuse ends a life of the loop at one of its writes, before or after it: from
// then on no write of that life comes through, as after kill -9.
type fuse struct {
	mu     sync.Mutex
	left   int // writes until the end; below 0: never
	before bool
	dead   bool
	kill   context.CancelFunc
	down   int           // the stores that take no writes, as bits
	writes int           // so far
	ice    chan struct{} // until it is closed the process is stalled, as by SIGSTOP, at its next write; nil: it is not
}

// freeze stalls the process at its next write.
func (f *fuse) freeze() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ice == nil {
		f.ice = make(chan struct{})
	}
}

func (f *fuse) thaw() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ice != nil {
		close(f.ice)
		f.ice = nil
	}
}

// write does one write, unless the life has ended.
func (f *fuse) write(ctx context.Context, store int, do func() error) error {
	f.mu.Lock()
	if ice := f.ice; ice != nil {
		f.mu.Unlock()
		<-ice
		f.mu.Lock()
	}
	f.writes++
	if !f.dead && (f.down&store != 0 || f.down&downNowAndThen != 0 && f.writes%7 == 0) {
		f.mu.Unlock()
		return fault.Errorf(fault.Unavailable, "the store takes no writes")
	}
	dies := f.left == 0 && !f.dead
	f.left--
	if f.dead || (dies && f.before) {
		f.die()
		f.mu.Unlock()
		return gone(ctx)
	}
	f.mu.Unlock()
	err := do()
	if dies {
		f.mu.Lock()
		f.die()
		f.mu.Unlock()
		return gone(ctx)
	}
	return err
}

// defuse reports whether the life has ended; one that has not ends no more.
func (f *fuse) defuse() (dead bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left = -1
	return f.dead
}

// die ends the life. f.mu is held.
func (f *fuse) die() {
	f.dead = true
	f.kill()
}

// gone keeps the caller from going on until its context tells it to stop.
func gone(ctx context.Context) error {
	if done := ctx.Done(); done != nil {
		<-done
		return ctx.Err()
	}
	return fault.Errorf(fault.Unavailable, "the process is gone")
}

type fusedRetrain struct {
	retrain.Store
	f *fuse
}

func (s fusedRetrain) PutRetraining(ctx context.Context, r retrain.Retraining) error {
	return s.f.write(ctx, downRetrain, func() error { return s.Store.PutRetraining(ctx, r) })
}

func (s fusedRetrain) AcquireLease(ctx context.Context, model, holder string, ttl time.Duration) (l retrain.Lease, err error) {
	err = s.f.write(ctx, downRetrain, func() (err error) {
		l, err = s.Store.AcquireLease(ctx, model, holder, ttl)
		return err
	})
	return l, err
}

func (s fusedRetrain) ReleaseLease(ctx context.Context, model, holder string) error {
	return s.f.write(ctx, downRetrain, func() error { return s.Store.ReleaseLease(ctx, model, holder) })
}

func (s fusedRetrain) PutCursor(ctx context.Context, c retrain.Cursor) error {
	return s.f.write(ctx, downRetrain, func() error { return s.Store.PutCursor(ctx, c) })
}

func (s fusedRetrain) PutConfig(ctx context.Context, digest string, data []byte) error {
	return s.f.write(ctx, downRetrain, func() error { return s.Store.PutConfig(ctx, digest, data) })
}

func (s fusedRetrain) AppendEvent(ctx context.Context, e retrain.Event) error {
	return s.f.write(ctx, downRetrain, func() error { return s.Store.AppendEvent(ctx, e) })
}

func (s fusedRetrain) PutState(ctx context.Context, st retrain.State) error {
	return s.f.write(ctx, downRetrain, func() error { return s.Store.PutState(ctx, st) })
}

type fusedServe struct {
	serve.Store
	f *fuse
}

func (s fusedServe) AppendPredictions(ctx context.Context, ps []serve.Prediction) error {
	return s.f.write(ctx, downServe, func() error { return s.Store.AppendPredictions(ctx, ps) })
}

func (s fusedServe) PutRoute(ctx context.Context, r serve.Route) error {
	return s.f.write(ctx, downServe, func() error { return s.Store.PutRoute(ctx, r) })
}

type fusedRegistry struct {
	registry.Store
	f *fuse
}

func (s fusedRegistry) CreateVersion(ctx context.Context, v registry.Version, e registry.Event) (stored registry.Version, created bool, err error) {
	err = s.f.write(ctx, downRegistry, func() error { stored, created, err = s.Store.CreateVersion(ctx, v, e); return err })
	return stored, created, err
}

func (s fusedRegistry) SetState(ctx context.Context, model string, number int64, from, to registry.State, e registry.Event) (changed bool, err error) {
	err = s.f.write(ctx, downRegistry, func() error {
		changed, err = s.Store.SetState(ctx, model, number, from, to, e)
		return err
	})
	return changed, err
}

func (s fusedRegistry) SetAlias(ctx context.Context, m registry.AliasMove) (now registry.Alias, moved bool, err error) {
	err = s.f.write(ctx, downRegistry, func() error { now, moved, err = s.Store.SetAlias(ctx, m); return err })
	return now, moved, err
}

type fusedDrift struct {
	drift.Store
	f *fuse
}

func (s fusedDrift) Save(ctx context.Context, c drift.Checkpoint, changed []drift.Alert) error {
	return s.f.write(ctx, downDrift, func() error { return s.Store.Save(ctx, c, changed) })
}

// clock tells the replay's time.
type clock struct{ ms atomic.Int64 }

func (c *clock) set(t time.Time) { c.ms.Store(t.UnixMilli()) }

func (c *clock) get() time.Time { return time.UnixMilli(c.ms.Load()).UTC() }

// life replays the stream on the database until the row, or until it dies, and
// reports which.
func life(t *testing.T, s *stream, url string, until int, f *fuse) (dead bool) {
	ctx, kill := context.WithCancel(t.Context())
	defer kill()
	f.kill = kill
	stores, err := retrainsql.Open(t.Context(), url, nil)
	require.NoError(t, err)
	c := baseConfig(s, stores)
	c.Stores = &retrain.Stores{
		Tracking: stores.Tracking, Artifacts: stores.Artifacts, Engine: stores.Engine,
		Registry: fusedRegistry{stores.Registry, f}, Serve: fusedServe{steady{stores.Serve}, f},
		Drift: fusedDrift{stores.Drift, f}, Retrain: fusedRetrain{stores.Retrain, f},
	}
	c.Triggers = []retrain.Trigger{retrain.OnDecay("accuracy", 0.1), retrain.OnDrift(), retrain.Every(6 * day)}
	c.Policy.Cooldown = 2 * day
	c.Rollout.Patience = 2
	c.Data = s.recent(9)
	var now clock
	c.Now = now.get
	retraintest.EndLease(t, stores.Retrain, c.Model)
	loop, err := retrain.New(c)
	require.NoError(t, err)
	err = replay(ctx, loop, c.Stores, s, &now, until)
	dead = f.defuse()
	require.True(t, err == nil || dead, "%v", err)
	if dead {
		require.NoError(t, stores.Engine.Close(t.Context())) // sets free what waits in gone
		ended, end := context.WithCancel(t.Context())
		end()
		_ = loop.Close(ended) // gone already
	} else {
		require.NoError(t, loop.Close(t.Context()))
	}
	require.NoError(t, stores.Close(t.Context()))
	return dead
}

// replay goes on after the last durable row: asks, gives labels back a day
// later, steps at each midnight.
func replay(ctx context.Context, loop *retrain.Loop, stores *retrain.Stores, s *stream, now *clock, until int) error {
	const first = 12 * rowsADay
	if err := loop.FitFirst(ctx, at(first), s.table.Slice(0, first)); err != nil {
		return err
	}
	counts, err := stores.Serve.Counts(ctx, "churn")
	if err != nil {
		return err
	}
	for row := first + int(counts.Predictions); row <= until; row++ {
		now.set(at(row))
		if row%rowsADay == 0 {
			var labels []serve.LabelInput
			for old := max(first, row-2*rowsADay); old < row-rowsADay; old++ {
				labels = append(labels, serve.LabelInput{ID: rowID(old), Value: s.table.Row(old).Get("y")})
			}
			if _, err := loop.Server().Label(ctx, "churn", labels); err != nil {
				return err
			}
			// Before the step, for the shadow's answers; after it, for the fit.
			if err := errors.Join(loop.Settle(ctx), loop.Step(ctx, at(row)), loop.Settle(ctx)); err != nil {
				return err
			}
		}
		if _, err := loop.Server().Predict(ctx, "churn", rowRequest(s, row)); err != nil {
			return err
		}
	}
	return nil
}

// remains is what a replay leaves, without what is drawn anew each time and
// without the order in which the log was stored: answers of the shadow that were
// lost are asked again.
type remains struct {
	Events      []retrain.Event
	Retrainings []retrain.Retraining
	Versions    []registry.Version
	Audit       []string
	Alerts      int
	Answers     []string // of callers, by id
	Labels      int64
	Route       serve.Route
}

func readRemains(t *testing.T, url string) remains {
	stores, err := retrainsql.Open(t.Context(), url, nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, stores.Close(t.Context())) }()
	ctx, r := t.Context(), remains{}
	r.Events, err = stores.Retrain.Events(ctx, retrain.EventQuery{Model: "churn"})
	require.NoError(t, err)
	for i := range r.Events {
		r.Events[i].Seq = 0
	}
	r.Retrainings, err = stores.Retrain.Retrainings(ctx, retrain.RetrainingQuery{Model: "churn"})
	require.NoError(t, err)
	for i := range r.Retrainings {
		r.Retrainings[i].RunID, r.Retrainings[i].Rev, r.Retrainings[i].Token = "", 0, 0
	}
	r.Versions, err = stores.Registry.Versions(ctx, "churn", 0, 0)
	require.NoError(t, err)
	for i := range r.Versions {
		r.Versions[i].ModelID, r.Versions[i].Lineage.RunID = "", ""
	}
	audit, err := stores.Registry.Events(ctx, registry.EventQuery{Model: "churn"})
	require.NoError(t, err)
	for _, e := range audit {
		r.Audit = append(r.Audit, fmt.Sprint(e.Seq, e.Kind, e.Version, e.From, e.To, e.Reason, e.Time))
	}
	alerts, err := stores.Drift.Alerts(ctx, drift.AlertQuery{Model: "churn", Limit: 1 << 20})
	require.NoError(t, err)
	r.Alerts = len(alerts)
	counts, err := stores.Serve.Counts(ctx, "churn")
	require.NoError(t, err)
	r.Labels = counts.Labels
	r.Answers = readAnswers(t, stores)
	r.Route, err = stores.Serve.Route(ctx, "churn")
	require.NoError(t, err)
	r.Route.Rev, r.Route.Token = 0, 0 // each life writes its token
	return r
}

func readAnswers(t *testing.T, stores *retrain.Stores) []string {
	var answers []string
	for after := int64(0); ; {
		page, err := stores.Serve.Predictions(t.Context(), serve.PredictionQuery{Model: "churn", After: after})
		require.NoError(t, err)
		if len(page) == 0 {
			slices.Sort(answers)
			return answers
		}
		for _, p := range page {
			after = p.Seq
			if p.Variant == serve.Shadow {
				continue // what still waited when the stage was decided is lost; the verdicts say what was used
			}
			answers = append(answers, fmt.Sprint(p.ID, p.Index, p.Attempt, p.Variant, p.Version, p.Status, p.Time, p.Outputs.Values))
		}
	}
}

func texts(events []retrain.Event) []string {
	var lines []string
	for _, e := range events {
		lines = append(lines, e.Time.Format(time.DateOnly)+" "+e.Text)
	}
	return lines
}

// TestInterruptions ends lives of the loop at random writes and compares what
// is left in the end with an undisturbed life.
func TestInterruptions(t *testing.T) {
	t.Parallel()
	const until = 33 * rowsADay
	s := newStream(t, until+1, 14*rowsADay)
	dir := t.TempDir()
	urlOf := func(name string) string { return "sqlite:" + filepath.Join(dir, name) + "?synchronous=normal" }
	life(t, s, urlOf("undisturbed.db"), until, &fuse{left: -1, kill: func() {}})
	want := readRemains(t, urlOf("undisturbed.db"))
	require.GreaterOrEqual(t, len(want.Retrainings), 3)
	require.NotEqual(t, want.Route.Primary, int64(1), texts(want.Events))

	for seed := range uint64(2) {
		rng := rand.New(rand.NewPCG(seed, 1))
		url, lives := urlOf(fmt.Sprintf("disturbed%d.db", seed)), 0
		for {
			f := &fuse{left: rng.IntN(24), before: rng.IntN(2) == 0}
			dead := life(t, s, url, until, f)
			if lives++; !dead {
				break
			}
			require.Less(t, lives, 200)
		}
		got := readRemains(t, url)
		require.Equal(t, texts(want.Events), texts(got.Events), "seed %d, %d lives", seed, lives)
		require.Equal(t, want, got, "seed %d, %d lives", seed, lives)
		t.Logf("seed %d: %d lives", seed, lives)
	}
}
