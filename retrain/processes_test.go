package retrain_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/drift/alert"
	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retraintest"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train/frame"
	"github.com/mlloop/mlloop/train/traintest"
)

// fleet is some processes that run the loop of one model on one database, in a
// bubble of virtual time.
type fleet struct {
	t         *testing.T
	stores    *retrain.Stores
	change    func(*retrain.Config)
	processes []*process
	mu        sync.Mutex
	sent      map[string]int // messages that senders were given, by id
}

// process is one life of one of them.
type process struct {
	*retrain.Loop
	fuse   *fuse
	engine *retraintest.Engine
	stop   context.CancelFunc
	ran    chan error
	steps  atomic.Int64 // that led
	over   bool
}

// newFleet starts n processes on what is kept in memory.
func newFleet(t *testing.T, n int, change func(*retrain.Config)) *fleet {
	t.Helper()
	f := &fleet{t: t, stores: retraintest.NewStores(), change: change, sent: make(map[string]int)}
	for range n {
		f.start()
	}
	return f
}

// start begins another life.
func (f *fleet) start() *process {
	f.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	stores := retraintest.AnotherProcess(f.stores)
	p := &process{fuse: &fuse{left: -1, kill: stop}, engine: stores.Engine.(*retraintest.Engine), stop: stop, ran: make(chan error, 1)}
	stores.Retrain, stores.Drift = fusedRetrain{stores.Retrain, p.fuse}, fusedDrift{stores.Drift, p.fuse}
	stores.Registry, stores.Serve = fusedRegistry{stores.Registry, p.fuse}, fusedServe{stores.Serve, p.fuse}
	c := retrain.Config{
		Model: "churn", Stores: stores, Data: retrain.SourceFunc(visitors), Time: "seen_at", Label: "churned",
		Trainer: new(traintest.Fake), Holdout: 3 * time.Hour, Policy: retrain.Policy{Cooldown: -1},
		Triggers: []retrain.Trigger{retrain.TriggerFunc(func(retrain.Situation) (*retrain.Cause, error) {
			p.steps.Add(1)
			return nil, nil
		})},
		Alerts: []alert.Sender{alert.Func("pager", func(_ context.Context, m alert.Message) error {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.sent[m.ID]++
			return nil
		})},
		Logger: slog.New(slog.DiscardHandler),
	}
	if f.change != nil {
		f.change(&c)
	}
	var err error
	p.Loop, err = retrain.New(c)
	require.NoError(f.t, err)
	go func() { p.ran <- p.Run(ctx) }()
	f.processes = append(f.processes, p)
	return p
}

// end stops a process as its signal does.
func (f *fleet) end(p *process) {
	f.t.Helper()
	p.over = true
	p.stop()
	require.NoError(f.t, <-p.ran)
	require.NoError(f.t, p.Close(context.Background()))
	require.NoError(f.t, p.engine.Close(context.Background()))
}

// kill ends a process as SIGKILL does: nothing of it is written any more.
func (f *fleet) kill(p *process) {
	p.over = true
	p.fuse.mu.Lock()
	p.fuse.die()
	p.fuse.mu.Unlock()
	p.engine.Restart()
	p.fuse.thaw()
	go func() { // what hangs in it ends by and by
		<-p.ran
		gone, cancel := context.WithCancel(context.Background())
		cancel()
		_ = p.Close(gone)
	}()
}

// close ends all that live.
func (f *fleet) close() {
	f.t.Helper()
	for _, p := range f.processes {
		if !p.over {
			p.fuse.thaw()
			f.end(p)
		}
	}
	require.NoError(f.t, f.stores.Close(context.Background()))
	time.Sleep(time.Hour) // timers run out
	synctest.Wait()
}

// leaders returns those that live and say that they lead.
func (f *fleet) leaders() []*process {
	f.t.Helper()
	var out []*process
	for _, p := range f.processes {
		if s, err := p.Status(f.t.Context()); !p.over && s.Leading {
			require.NoError(f.t, err)
			require.Equal(f.t, "churn", s.Model)
			require.NotEmpty(f.t, s.Leader)
			require.Positive(f.t, s.Token)
			out = append(out, p)
		}
	}
	return out
}

func (f *fleet) leader() *process {
	f.t.Helper()
	all := f.leaders()
	require.Len(f.t, all, 1)
	return all[0]
}

// untilLed waits until another process than the given one leads, and returns it
// and how long that took.
func (f *fleet) untilLed(before *process) (*process, time.Duration) {
	f.t.Helper()
	began := time.Now()
	for time.Since(began) < time.Minute {
		for _, p := range f.leaders() {
			if p != before {
				return p, time.Since(began)
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	require.Fail(f.t, "nobody leads")
	return nil, 0
}

// champion is the version that the alias names; 0: none.
func (f *fleet) champion() int64 {
	f.t.Helper()
	alias, _, err := f.stores.Registry.Alias(f.t.Context(), "churn", registry.Champion)
	if errors.Is(err, registry.ErrNotFound) {
		return 0
	}
	require.NoError(f.t, err)
	return alias.Version
}

// untilChampion waits until the version is champion.
func (f *fleet) untilChampion(version int64) {
	f.t.Helper()
	for range 600 {
		if f.champion() == version {
			return
		}
		time.Sleep(time.Second)
	}
	require.Equal(f.t, version, f.champion(), "%v", f.texts())
}

func (f *fleet) events() []retrain.Event {
	f.t.Helper()
	all, err := f.stores.Retrain.Events(f.t.Context(), retrain.EventQuery{Model: "churn"})
	require.NoError(f.t, err)
	return all
}

func (f *fleet) texts() []string { return texts(f.events()) }

// audit is the registry's trail.
func (f *fleet) audit() []registry.Event {
	f.t.Helper()
	all, err := f.stores.Registry.Events(f.t.Context(), registry.EventQuery{Model: "churn", Limit: 1000})
	require.NoError(f.t, err)
	return all
}

// count is how many events of the kind have happened.
func (f *fleet) count(kind string) int {
	n := 0
	for _, e := range f.events() {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

// ask asks one process, and returns the version that answered.
func (f *fleet) ask(p *process, id string) int64 {
	f.t.Helper()
	return askServer(f.t, p.Server(), id)
}

func askServer(t *testing.T, server *serve.Server, id string) int64 {
	t.Helper()
	answer, err := server.Predict(t.Context(), "churn", serve.Request{
		ID: id, Inputs: []frame.Tensor{{Name: "visits", Shape: []int64{1}, Datatype: frame.FP64, Data: []float64{3}}},
	})
	require.NoError(t, err)
	return answer.Version
}
