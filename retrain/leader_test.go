package retrain_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train/frame"
)

// TestOneLeads runs three processes: one steps, all serve what it routes and log
// what they answered, and nothing is delivered twice.
func TestOneLeads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 3, nil)
		defer f.close()
		f.untilChampion(1)
		time.Sleep(10 * time.Minute)
		leader := f.leader()
		for i, p := range f.processes {
			require.EqualValues(t, 1, f.ask(p, fmt.Sprint("r", i)))
			s, err := p.Status(t.Context())
			require.NoError(t, err)
			require.Equal(t, p == leader, s.Leading)
			require.WithinDuration(t, time.Now(), s.Until, 10*time.Second)
			require.EqualValues(t, 1, s.Champion, "all tell where the loop stands")
			require.Empty(t, s.Failing)
			if p != leader {
				require.Zero(t, p.steps.Load(), "who does not lead asks no trigger")
			}
		}
		require.Positive(t, leader.steps.Load())
		before := leader.steps.Load()
		time.Sleep(5 * time.Minute)
		require.InDelta(t, before+5, leader.steps.Load(), 1)
		require.Equal(t, leader, f.leader(), "a lease that is renewed stays")
		counts, err := f.stores.Serve.Counts(t.Context(), "churn")
		require.NoError(t, err)
		require.EqualValues(t, 3, counts.Predictions)

		time.Sleep(6 * time.Hour)
		require.NoError(t, leader.Retrain(t.Context(), "a person asked"))
		f.untilChampion(2)
		time.Sleep(time.Second)
		for i, p := range f.processes {
			require.EqualValues(t, 2, f.ask(p, fmt.Sprint("s", i)), "the route is followed")
		}
		time.Sleep(time.Minute)
		require.NotEmpty(t, f.sent)
		for id, times := range f.sent {
			require.Equal(t, 1, times, "message %s", id)
		}
	})
}

// TestAskedOfAFollower steers the loop by a process that does not lead, which is
// the one that a load balancer may well hit.
func TestAskedOfAFollower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 2, nil)
		defer f.close()
		f.untilChampion(1)
		time.Sleep(6 * time.Hour)
		follower := f.processes[0]
		if follower == f.leader() {
			follower = f.processes[1]
		}
		require.NoError(t, follower.Retrain(t.Context(), "a person asked"))
		f.untilChampion(2)
		require.NoError(t, follower.RollBack(t.Context(), "a person took it back"))
		time.Sleep(5 * time.Minute)
		require.EqualValues(t, 1, f.champion())
		for i, p := range f.processes {
			require.EqualValues(t, 1, f.ask(p, fmt.Sprint("r", i)))
			s, err := p.Status(t.Context())
			require.NoError(t, err)
			require.Contains(t, s.Paused, "a person took it back")
			require.Equal(t, p != follower, s.Leading, "it asked, and does not lead by that")
		}
		require.Zero(t, f.count(retrain.EventDeposed))
	})
}

// TestCleanStopHandsOver stops the leader as a rolling update does.
func TestCleanStopHandsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 3, nil)
		defer f.close()
		f.untilChampion(1)
		for range 2 {
			leader := f.leader()
			f.end(leader)
			_, took := f.untilLed(leader)
			require.LessOrEqual(t, took, 2*time.Second)
		}
		require.Zero(t, f.count(retrain.EventDeposed))
	})
}

// TestStepperHandsOver: a process that steps the loop itself leads while it does,
// lets another lead when it is closed, and may wait for its turn.
func TestStepperHandsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 2, nil)
		defer f.close()
		first, second := f.processes[0], f.processes[1]
		for _, p := range f.processes {
			p.stop()
			require.NoError(t, <-p.ran)
			p.ran <- nil // for the end of the test
		}
		require.NoError(t, first.FitFirst(t.Context(), time.Now(), nil))
		require.NoError(t, second.Step(t.Context(), time.Now()), "a step of who does not lead is none")
		s, err := second.Status(t.Context())
		require.NoError(t, err)
		require.False(t, s.Leading)
		require.NotEmpty(t, s.Leader)
		require.EqualValues(t, 1, f.ask(second, "r"))
		led := make(chan error, 1)
		go func() { led <- second.Lead(t.Context()) }()
		began := time.Now()
		require.NoError(t, first.Close(t.Context()))
		require.NoError(t, <-led)
		require.LessOrEqual(t, time.Since(began), time.Second)
		require.NoError(t, second.Step(t.Context(), time.Now().Add(time.Minute)))
		require.EqualValues(t, 1, second.steps.Load())
	})
}

// TestKilledLeader kills the leader in the middle of a fit: another takes over in
// time, and brings the retraining to its end, once.
func TestKilledLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := 0 * time.Second
		f := newFleet(t, 3, func(c *retrain.Config) {
			c.Data = retrain.SourceFunc(func(ctx context.Context, now time.Time) (*frame.Table, error) {
				time.Sleep(slow)
				return visitors(ctx, now)
			})
		})
		defer f.close()
		f.untilChampion(1)
		time.Sleep(6 * time.Hour)
		slow = 40 * time.Second
		leader := f.leader()
		require.NoError(t, leader.Retrain(t.Context(), "a person asked"))
		time.Sleep(time.Minute + 30*time.Second) // into the fit
		require.Equal(t, 2, f.count(retrain.EventStarted))
		f.kill(leader)
		next, took := f.untilLed(leader)
		require.LessOrEqual(t, took, 15*time.Second)
		f.untilChampion(2)
		time.Sleep(10 * time.Minute)
		require.Equal(t, next, f.leader())
		require.Equal(t, 2, f.count(retrain.EventStarted))
		require.Equal(t, 2, f.count(string(retrain.Promoted)))
		require.Zero(t, f.count(string(retrain.Failed)), "%v", f.texts())
		versions, err := f.stores.Registry.Versions(t.Context(), "churn", 0, 10)
		require.NoError(t, err)
		require.Len(t, versions, 2)
	})
}

// stallAtPromotion stalls the process at its next move of the alias.
type stallAtPromotion struct {
	registry.Store
	armed *atomic.Bool
	stall func()
}

func (s stallAtPromotion) SetAlias(ctx context.Context, m registry.AliasMove) (registry.Alias, bool, error) {
	if s.armed.CompareAndSwap(true, false) {
		s.stall()
	}
	return s.Store.SetAlias(ctx, m)
}

// TestStalledLeader stalls the leader in the middle of a promotion, past its
// lease. Another carries the promotion out; a person takes it back; then the
// first one wakes, and nothing that it still does comes through.
func TestStalledLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var armed atomic.Bool
		f := newFleet(t, 0, nil)
		f.change = func(c *retrain.Config) {
			n := len(f.processes)
			c.Stores.Registry = stallAtPromotion{c.Stores.Registry, &armed, func() { f.processes[n].fuse.freeze() }}
		}
		f.start()
		f.start()
		defer f.close()
		f.untilChampion(1)
		time.Sleep(6 * time.Hour)
		asleep := f.leader()
		require.NoError(t, asleep.Retrain(t.Context(), "a person asked"))
		armed.Store(true)
		next, took := asleep, time.Duration(0)
		for armed.Load() || next == asleep {
			time.Sleep(time.Second)
			took += time.Second
			if all := f.leaders(); len(all) == 1 {
				next = all[0]
			}
			require.Less(t, took, 5*time.Minute)
		}
		f.untilChampion(2)
		time.Sleep(time.Minute)
		require.NoError(t, next.RollBack(t.Context(), "a person took it back"))
		require.EqualValues(t, 1, f.champion())
		audit := f.audit()

		asleep.fuse.thaw()
		time.Sleep(5 * time.Minute)
		require.EqualValues(t, 1, f.champion(), "a promotion that comes late is refused, though the champion is the one it was decided against")
		require.Equal(t, audit, f.audit())
		require.Equal(t, 1, f.count(retrain.EventDeposed), "%v", f.texts())
		require.Zero(t, f.count(retrain.EventStepFailing), "what a former leader cannot write is no failure: %v", f.texts())
		require.Equal(t, 2, f.count(string(retrain.Promoted)))
		require.Equal(t, next, f.leader())
		require.EqualValues(t, 1, f.ask(asleep, "r"), "it serves on")
		f.requireFenced(next)
	})
}

// TestLateWritesFail has a leader's writes come after another has taken over,
// before that one has made any step.
func TestLateWritesFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 2, nil)
		defer f.close()
		f.untilChampion(1)
		time.Sleep(3 * time.Minute)
		leader := f.leader()
		f.requireFenced(leader)
		leader.fuse.freeze()
		next, _ := f.untilLed(leader)
		synctest.Wait()
		f.requireFenced(next)
	})
}

// requireFenced checks that state, route and checkpoint carry the leader's token,
// and that a write with the token before is refused by each.
func (f *fleet) requireFenced(leader *process) {
	f.t.Helper()
	ctx := f.t.Context()
	s, err := leader.Status(ctx)
	require.NoError(f.t, err)
	state, err := f.stores.Retrain.State(ctx, "churn")
	require.NoError(f.t, err)
	route, err := f.stores.Serve.Route(ctx, "churn")
	require.NoError(f.t, err)
	checkpoint, err := f.stores.Drift.Checkpoint(ctx, "churn")
	require.NoError(f.t, err)
	require.Equal(f.t, []int64{s.Token, s.Token, s.Token}, []int64{state.Token, route.Token, checkpoint.Token})
	state.Rev, state.Token = state.Rev+1, s.Token-1
	route.Rev, route.Token = route.Rev+1, s.Token-1
	checkpoint.Rev, checkpoint.Token = checkpoint.Rev+1, s.Token-1
	require.ErrorIs(f.t, f.stores.Retrain.PutState(ctx, state), retrain.ErrConflict)
	require.ErrorIs(f.t, f.stores.Serve.PutRoute(ctx, route), serve.ErrConflict)
	require.ErrorIs(f.t, f.stores.Drift.Save(ctx, checkpoint, nil), drift.ErrConflict)
}
