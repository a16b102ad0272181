package campaign

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/crashtest"
	"github.com/mlloop/mlloop/internal/pgtest"
	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/tracking"
)

var (
	kills    = flag.Int("campaign.kills", 0, "kill one of two loops, or both, at this many random moments; 0: skip")
	killSeed = flag.Uint64("campaign.seed", 0, "of the moments; 0: drawn")
)

const (
	takeover = 15 * time.Second // after a kill
	handover = 5 * time.Second  // after a clean stop
)

func TestKillsSQLite(t *testing.T) {
	testKills(t, task{URL: "sqlite:" + filepath.Join(t.TempDir(), "loop.db")})
}

func TestKillsPostgreSQL(t *testing.T) {
	testKills(t, task{URL: pgtest.URL(t), Schema: pgtest.Schema(t)})
}

// follower is the slot of the process that only answers.
const follower = 2

// slot is a place where one process after the other runs the loop.
type slot struct {
	child   *crashtest.Child
	release int
}

// killer is the test's side of the campaign.
type killer struct {
	t      *testing.T
	task   task
	rng    *rand.Rand
	stores *retrain.Stores
	slots  [3]slot // two that run the loop, and a follower
	said   map[string][]string
	mu     sync.Mutex // of said
	killed int
	slow   time.Duration   // the longest takeover
	heads  []registry.Head // of the audit trail, as of each kill
	wishes int             // triggers that were said before the last kill was over
}

// testKills runs the same loop in two processes, beside one that follows, and
// kills them: one, both, in the middle of a rolling update to another release, or
// the follower; and compares what is stored with what they had said was stored.
func testKills(t *testing.T, where task) {
	if *kills == 0 {
		t.Skip("a campaign: run it with -campaign.kills=10")
	}
	seed := *killSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-campaign.seed=%d", seed)
	began := time.Now()
	where.Name, where.Journal, where.Epoch = "loop", filepath.Join(t.TempDir(), "journal"), began.UnixMilli()
	k := &killer{t: t, rng: rand.New(rand.NewPCG(seed, 0)), said: make(map[string][]string), task: where}
	k.stores = openStores(t, k.task)
	prepareRun(t, k.stores)
	for i := range k.slots {
		k.slots[i].release = 1
		k.start(i)
	}
	k.waitForStep("the first start", time.Minute)
	for n := 0; k.killed < *kills; n++ {
		[]func(){k.one, k.both, k.roll, k.follower}[n%4]()
	}
	k.settle()
	for i := range k.slots {
		k.stop(i)
	}
	sum := k.check()
	t.Logf("campaign: %d kills in %s: %s; longest takeover %s", k.killed, time.Since(began).Round(time.Second), sum, k.slow.Round(time.Millisecond))
}

func prepareRun(t *testing.T, stores *retrain.Stores) {
	t.Helper()
	require.NoError(t, stores.Tracking.CreateExperiment(t.Context(), tracking.Experiment{ID: "clients", Name: "clients", CreatedAt: loopStart}))
	require.NoError(t, stores.Tracking.CreateRun(t.Context(), tracking.RunInfo{ID: sharedRun, ExperimentID: "clients", Status: tracking.Running, StartedAt: loopStart}))
}

func (k *killer) start(i int) {
	k.t.Helper()
	own := k.task
	own.Process, own.Release = i, k.slots[i].release
	if i == follower {
		own.Name = "follower"
	}
	// DBOS reads these: neither must decide whose workflows a process takes up.
	env := []string{fmt.Sprintf("DBOS__APPVERSION=%d", own.Release), "DBOS__VMID=same"}
	k.slots[i].child = start(k.t, own, env, func(line string) {
		kind, what, _ := strings.Cut(line, " ")
		k.mu.Lock()
		defer k.mu.Unlock()
		k.said[kind] = append(k.said[kind], what)
	})
}

func (k *killer) kill(i int) {
	k.t.Helper()
	child := k.slots[i].child
	require.NoError(k.t, child.Kill(), "process %d", i)
	require.NoError(k.t, journal{k.task.Journal, child.PID()}.write(actDied, "-"))
	k.killed++
	head, err := registry.New(k.stores.Registry, k.stores.Artifacts, nil).AuditHead(k.t.Context(), model)
	if !errors.Is(err, registry.ErrNotFound) { // nothing is registered before the first fit has ended
		require.NoError(k.t, err)
		k.heads = append(k.heads, head)
	}
}

func (k *killer) stop(i int) {
	k.t.Helper()
	child := k.slots[i].child
	require.NoError(k.t, child.Stop(), "process %d ends cleanly when it is told to", i)
	require.NoError(k.t, journal{k.task.Journal, child.PID()}.write(actDied, "-"))
}

// live lets the processes work for a random time, short ones more often.
func (k *killer) live() {
	f := k.rng.Float64()
	time.Sleep(time.Duration(4 * f * f * float64(time.Second)))
}

// one kills one of the two, whichever leads; the other goes on.
func (k *killer) one() {
	k.live()
	i := k.rng.IntN(2)
	k.kill(i)
	k.waitForStep("one of two was killed", takeover)
	k.start(i)
}

// both kills both, one a little later than the other.
func (k *killer) both() {
	k.live()
	i := k.rng.IntN(2)
	k.kill(i)
	time.Sleep(time.Duration(k.rng.IntN(200)) * time.Millisecond)
	k.kill(1 - i)
	k.start(0)
	k.start(1)
	k.waitForStep("both were killed", takeover)
}

// roll replaces both by the other release, the first by a clean stop.
func (k *killer) roll() {
	k.live()
	first := k.rng.IntN(2)
	k.stop(first)
	k.waitForStep("one of two was stopped", handover)
	k.slots[first].release = 3 - k.slots[first].release
	k.start(first)
	k.live()
	second := 1 - first
	k.kill(second)
	k.waitForStep("the old release was killed", takeover)
	k.slots[second].release = 3 - k.slots[second].release
	k.start(second)
}

// follower kills the process that only answers: nobody waits for it.
func (k *killer) follower() {
	k.live()
	k.kill(follower)
	k.start(follower)
	k.waitForStep("the follower was killed", handover)
}

// waitForStep waits until another step was completed, no longer than limit.
func (k *killer) waitForStep(after string, limit time.Duration) {
	k.t.Helper()
	began := time.Now()
	first := k.steppedAt()
	for k.steppedAt().Equal(first) {
		require.Less(k.t, time.Since(began), limit, "no step is made after %s", after)
		time.Sleep(20 * time.Millisecond)
	}
	if limit == takeover {
		k.slow = max(k.slow, time.Since(began))
	}
}

func (k *killer) steppedAt() time.Time {
	st, err := k.stores.Retrain.State(context.Background(), model)
	if err != nil {
		return time.Time{}
	}
	return st.SteppedAt
}

// settle waits, without kills, until a retraining that began afterwards was
// promoted: what waited for something has had its turn.
func (k *killer) settle() {
	k.t.Helper()
	k.mu.Lock()
	k.wishes = len(k.said["trigger"])
	k.mu.Unlock()
	next := int64(len(k.retrainings()))
	require.Eventually(k.t, func() bool {
		return slices.ContainsFunc(k.retrainings(), func(r retrain.Retraining) bool { return r.Number > next && r.Stage.Final() })
	}, 2*time.Minute, 100*time.Millisecond, "after the last kill retrainings are begun and end")
}
