package retrain_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/registry/registrytest"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retraintest"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/tracking"
	"github.com/mlloop/mlloop/tracking/artifact"
)

// garbage is stores with what the tests do to them.
type garbage struct {
	t      *testing.T
	stores *retrain.Stores
	models *registry.Client
}

func newGarbage(t *testing.T) *garbage {
	s := retraintest.NewStores()
	require.NoError(t, s.Engine.Launch(t.Context()))
	return &garbage{t, s, registry.New(s.Registry, s.Artifacts, &registry.Options{Actor: "test"})}
}

func (g *garbage) put(content string) string {
	digest, _, err := g.stores.Artifacts.Put(g.t.Context(), strings.NewReader(content), nil)
	require.NoError(g.t, err)
	return digest
}

func (g *garbage) has(digest string) bool {
	r, err := g.stores.Artifacts.Get(g.t.Context(), digest)
	if err != nil {
		require.ErrorIs(g.t, err, artifact.ErrNotFound)
		return false
	}
	_, err = io.Copy(io.Discard, r)
	require.NoError(g.t, err)
	return r.Close() == nil
}

// log names the artifact in a new run.
func (g *garbage) log(id, digest string) error {
	ctx := g.t.Context()
	if err := g.stores.Tracking.CreateExperiment(ctx, tracking.Experiment{ID: "e" + id, Name: "e" + id}); err != nil {
		return err
	}
	if err := g.stores.Tracking.CreateRun(ctx, tracking.RunInfo{ID: id, ExperimentID: "e" + id, Status: tracking.Running, StartedAt: time.Now()}); err != nil {
		return err
	}
	return g.stores.Tracking.Log(ctx, id, tracking.Batch{Artifacts: []tracking.Artifact{{Path: "a", Digest: digest, Size: 1}}})
}

func (g *garbage) register(content string) registry.Version {
	v, err := g.models.Register(g.t.Context(), "churn", registrytest.Bundle(g.t, content), nil)
	require.NoError(g.t, err)
	return v
}

func (g *garbage) state(v registry.Version, from, to registry.State) {
	require.NoError(g.t, g.models.SetState(g.t.Context(), "churn", v.Number, from, to, registry.Change{}))
}

func (g *garbage) loads(v registry.Version) bool {
	_, _, err := g.models.Load(g.t.Context(), registry.VersionRef("churn", v.Number))
	return err == nil
}

func (g *garbage) collect(opts *retrain.CollectOptions) retrain.CollectReport {
	report, err := g.stores.Collect(g.t.Context(), opts)
	require.NoError(g.t, err)
	return report
}

func TestCollectKeepsWhatIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGarbage(t)
		logged, orphan := g.put("logged"), g.put("orphan")
		require.NoError(t, g.log("r1", logged))
		candidate := g.register("candidate")
		require.Zero(t, g.collect(nil), "all of it is young")
		time.Sleep(23 * time.Hour)
		young, again := g.put("young"), g.put("again")
		time.Sleep(2 * time.Hour)
		require.Equal(t, retrain.CollectReport{Artifacts: 1, Bytes: 6}, g.collect(nil))
		require.False(t, g.has(orphan))
		require.True(t, g.has(logged) && g.has(young) && g.loads(candidate))
		time.Sleep(23 * time.Hour)
		g.put("again")
		time.Sleep(2 * time.Hour)
		require.EqualValues(t, 1, g.collect(nil).Artifacts)
		require.True(t, g.has(again), "it was put again: somebody is about to name it")
		require.False(t, g.has(young))
		require.Zero(t, g.collect(&retrain.CollectOptions{Keep: func(digest string) bool { return digest == again }}))
		g.stores.OwnsArtifacts = false
		time.Sleep(1000 * time.Hour)
		require.Zero(t, g.collect(nil), "others may put things there")
		require.True(t, g.has(again))
		g.collect(&retrain.CollectOptions{Keep: func(string) bool { return false }})
		require.False(t, g.has(again))
		require.True(t, g.has(logged) && g.loads(candidate))

		_, err := g.stores.Collect(t.Context(), &retrain.CollectOptions{Grace: time.Minute})
		require.ErrorIs(t, err, retrain.ErrInvalid)
	})
}

func TestCollectRejected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGarbage(t)
		rejected, reprieved, archived, routed := g.register("rejected"), g.register("reprieved"), g.register("archived"), g.register("routed")
		twin := g.register("twin")
		for _, v := range []registry.Version{rejected, reprieved, routed} {
			g.state(v, registry.Candidate, registry.Rejected)
		}
		g.state(archived, registry.Candidate, registry.Archived)
		require.NoError(t, g.stores.Serve.PutRoute(t.Context(), serve.Route{Model: "churn", Primary: routed.Number, Rev: 1}))
		time.Sleep(89 * 24 * time.Hour)
		require.Zero(t, g.collect(nil))
		g.state(reprieved, registry.Rejected, registry.Approved)
		time.Sleep(2 * 24 * time.Hour)
		report := g.collect(nil)
		require.Equal(t, 1, report.Bundles)
		require.EqualValues(t, 2, report.Artifacts, "its manifest and the file that no other has: MLmodel is the same in all")
		require.False(t, g.loads(rejected))
		require.True(t, g.loads(reprieved) && g.loads(archived) && g.loads(routed) && g.loads(twin))
		v, err := g.models.Resolve(t.Context(), registry.VersionRef("churn", rejected.Number))
		require.NoError(t, err)
		require.Equal(t, registry.Archived, v.State)
		require.NoError(t, g.models.VerifyAudit(t.Context(), "churn", nil))
		require.Zero(t, g.collect(nil))

		// One whose removal was cut off after the decision goes on.
		g.register("rejected") // brings the bytes back, under another number
		last, err := g.models.Resolve(t.Context(), "churn@latest")
		require.NoError(t, err)
		g.state(last, registry.Candidate, registry.Rejected)
		require.NoError(t, g.models.SetState(t.Context(), "churn", last.Number, registry.Rejected, registry.Archived, registry.Change{Actor: retrain.CollectActor}))
		time.Sleep(25 * time.Hour)
		require.EqualValues(t, 2, g.collect(nil).Artifacts)
		require.Zero(t, g.collect(&retrain.CollectOptions{Rejected: -1}))
	})
}

// TestCollectWithoutAManifest loses the manifest of a live version: nobody knows
// what it names, so nothing is removed.
func TestCollectWithoutAManifest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGarbage(t)
		orphan, v := g.put("orphan"), g.register("x")
		require.NoError(t, g.stores.Artifacts.Delete(t.Context(), v.Digest))
		time.Sleep(25 * time.Hour)
		report, err := g.stores.Collect(t.Context(), nil)
		require.ErrorIs(t, err, retrain.ErrCorrupt)
		require.ErrorContains(t, err, "churn/1: the manifest")
		require.Zero(t, report.Artifacts)
		require.True(t, g.has(orphan))
	})
}

func TestCollectWorkflows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGarbage(t)
		hold := make(chan struct{})
		for name, w := range map[string]retrain.Workflow{
			"quick": func(context.Context, retrain.Steps, []byte) ([]byte, error) { return nil, nil },
			"slow": func(ctx context.Context, _ retrain.Steps, _ []byte) ([]byte, error) {
				select {
				case <-hold:
				case <-ctx.Done():
				}
				return nil, nil
			},
		} {
			require.NoError(t, g.stores.Engine.Register(name, w))
		}
		start := func(name, id string) { require.NoError(t, g.stores.Engine.Start(t.Context(), name, id, nil)) }
		start("quick", "q")
		_, err := g.stores.Engine.Wait(t.Context(), "q")
		require.NoError(t, err)
		time.Sleep(24 * time.Hour)
		start("slow", "s")
		orphan := g.put("a bundle that the slow one may register yet")
		time.Sleep(100 * 24 * time.Hour)
		require.Equal(t, 1, g.collect(nil).Workflows)
		require.True(t, g.has(orphan), "a workflow that began before it was put is under way")
		_, err = g.stores.Engine.Result(t.Context(), "s")
		require.NoError(t, err)
		_, err = g.stores.Engine.Result(t.Context(), "q")
		require.ErrorIs(t, err, retrain.ErrNotFound)
		close(hold)
		_, err = g.stores.Engine.Wait(t.Context(), "s")
		require.NoError(t, err)
		require.EqualValues(t, 1, g.collect(nil).Artifacts)
		require.NoError(t, g.stores.Engine.Close(context.Background()))
	})
}

// raced are artifacts of which a writer puts one again at the worst moment: when
// a collector has made up its mind to remove it.
type raced struct {
	artifact.Store
	interfere func(digest string)
}

func (s raced) Expire(ctx context.Context, digest string, before time.Time) (bool, error) {
	s.interfere(digest)
	return s.Store.Expire(ctx, digest, before)
}

func (s raced) Delete(ctx context.Context, digest string) error {
	s.interfere(digest)
	return s.Store.Delete(ctx, digest)
}

// slowRuns take their time, so that much happens while a collector reads them.

type slowRuns struct {
	tracking.Store
	pause func()
}

func (s slowRuns) Runs(ctx context.Context, q tracking.RunQuery) ([]tracking.RunRecord, string, error) {
	s.pause()
	q.Limit = 20
	return s.Store.Runs(ctx, q)
}

// TestCollectBesideWriters has writers put, and take their time to name, few
// different contents over and over, while several collect: what is named is
// there. In the end what is not named goes.
func TestCollectBesideWriters(t *testing.T) {
	for seed := range uint64(4) {
		synctest.Test(t, func(t *testing.T) { collectBesideWriters(t, seed) })
	}
}

// writers put contents and name some of them, later than that by less than the
// grace.
type writers struct {
	*garbage
	mu       sync.Mutex
	contents map[string]string // by digest
	named    map[string]bool
	runs     int
}

func (w *writers) write(rng *rand.Rand, content string, name bool) {
	digest := w.put(content)
	w.mu.Lock()
	w.contents[digest] = content
	w.mu.Unlock()
	if name {
		w.nameLater(rng, digest)
	}
}

func (w *writers) nameLater(rng *rand.Rand, digest string) {
	time.Sleep(time.Duration(rng.Int64N(int64(59 * time.Minute)))) // less than the grace
	w.mu.Lock()
	w.runs++
	id := fmt.Sprint("r", w.runs)
	w.mu.Unlock()
	require.NoError(w.t, w.log(id, digest))
	w.mu.Lock()
	w.named[digest] = true
	w.mu.Unlock()
}

// putAgain now and then puts what Collect has just looked at, and names it later.
func (w *writers) putAgain(rng *rand.Rand, digest string, writing *sync.WaitGroup) {
	w.mu.Lock()
	content := w.contents[digest]
	w.mu.Unlock()
	if rng.IntN(4) == 0 && content != "" {
		begun := make(chan struct{})
		again := rand.New(rand.NewPCG(rng.Uint64(), rng.Uint64()))
		writing.Go(func() {
			w.put(content)
			close(begun)
			w.nameLater(again, digest)
		})
		<-begun
	}
}

func collectBesideWriters(t *testing.T, seed uint64) {
	w := &writers{garbage: newGarbage(t), contents: map[string]string{}, named: map[string]bool{}}
	stop, removed := make(chan struct{}), int64(0)
	var writing, collecting sync.WaitGroup
	for i := range 4 {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		writing.Go(func() {
			for range 40 {
				w.write(rng, fmt.Sprint("content ", rng.IntN(150)), rng.IntN(3) == 0)
				if rng.IntN(8) == 0 {
					require.True(t, w.loads(w.register(fmt.Sprint("bundle ", rng.IntN(5)))))
				}
				time.Sleep(time.Duration(rng.Int64N(int64(2 * time.Hour))))
			}
		})
	}
	for i := range 2 {
		rng := rand.New(rand.NewPCG(seed, uint64(100+i)))
		slow := *w.stores
		slow.Artifacts = raced{slow.Artifacts, func(digest string) { w.putAgain(rng, digest, &writing) }}
		slow.Tracking = slowRuns{slow.Tracking, func() { time.Sleep(time.Duration(rng.Int64N(int64(5 * time.Minute)))) }}
		collecting.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(time.Duration(rng.Int64N(int64(20 * time.Minute)))):
				}
				report, err := slow.Collect(t.Context(), &retrain.CollectOptions{Grace: time.Hour})
				require.NoError(t, err)
				w.mu.Lock()
				removed += report.Artifacts
				named := slices.Collect(maps.Keys(w.named))
				w.mu.Unlock()
				for _, digest := range named {
					require.True(t, w.has(digest))
				}
			}
		})
	}
	time.Sleep(20 * time.Hour) // the writers are at work all this time
	close(stop)
	collecting.Wait()
	writing.Wait()
	require.Positive(t, removed, "garbage came up and was removed meanwhile")
	w.checkLeft(t)
}

// checkLeft collects once more, when everything is old: what has a name is left.
func (w *writers) checkLeft(t *testing.T) {
	time.Sleep(2 * time.Hour)
	w.collect(&retrain.CollectOptions{Grace: time.Hour})
	for digest := range w.contents {
		require.Equal(t, w.named[digest], w.has(digest))
	}
	for v, err := range w.models.Versions(t.Context(), "churn") {
		require.NoError(t, err)
		require.True(t, w.loads(v))
	}
}
