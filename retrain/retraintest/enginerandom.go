package retraintest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/retrain"
)

// randomOps is how many operations a random sequence has.
const randomOps = 60

// pair is an engine under test and one in memory, which are asked the same.
type pair struct {
	t          *testing.T
	next       func() retrain.Engine
	engine     retrain.Engine
	memory     *Engine
	registered bool
	random     *rand.Rand
}

// checkRandom has both do the same operations in a random order, over several
// lives, and compares all that can be seen after each.
func checkRandom(t *testing.T, next func() retrain.Engine) {
	p := &pair{t: t, next: next, engine: next(), memory: NewEngine(), registered: true, random: rand.New(rand.NewPCG(6, 15))}
	p.live()
	for i := range randomOps {
		what := p.step()
		if !assert.EventuallyWithT(t, func(c *assert.CollectT) {
			if assert.True(c, p.settled(), "in memory nothing is under way") {
				assert.Equal(c, seen(t, p.memory), seen(t, p.engine))
			}
		},
			20*time.Second, 20*time.Millisecond, "after operation %d, %s", i, what) {
			return
		}
	}
}

// live registers the workflow, where it is registered, and launches both.
func (p *pair) live() {
	p.t.Helper()
	for _, e := range []retrain.Engine{p.engine, p.memory} {
		if p.registered {
			require.NoError(p.t, e.Register("w", randomWorkflow))
		}
		require.NoError(p.t, e.Launch(p.t.Context()))
	}
}

// step does one operation and says which.
func (p *pair) step() string {
	p.t.Helper()
	id := fmt.Sprintf("a/%d", p.random.IntN(4))
	switch n := p.random.IntN(12); {
	case n < 4:
		p.both(func(ctx context.Context, e retrain.Engine) error { return e.Start(ctx, "w", id, []byte(id)) })
		return "start " + id
	case n < 8:
		data := []byte{byte('a' + n)}
		p.both(func(ctx context.Context, e retrain.Engine) error { return e.Signal(ctx, id, "go", data) })
		return "signal " + id
	case n < 9:
		p.both(func(ctx context.Context, e retrain.Engine) error { return e.Cancel(ctx, id) })
		return "cancel " + id
	case n < 10:
		p.both(func(ctx context.Context, e retrain.Engine) error {
			_, err := e.Forget(ctx, time.Now().Add(time.Minute))
			return err
		})
		return "forget"
	case n < 11:
		p.registered = !p.registered
		p.both(func(_ context.Context, e retrain.Engine) error {
			if p.registered {
				return e.Register("w", randomWorkflow)
			}
			return e.Unregister("w")
		})
		return "register or unregister"
	default:
		require.NoError(p.t, p.engine.Close(soon(p.t)))
		p.engine, p.memory = p.next(), p.memory.Restart()
		p.live()
		return "another life"
	}
}

// settled reports whether in memory every workflow that has the signals it needs
// has ended: what comes next then finds both engines alike.
func (p *pair) settled() bool {
	p.memory.records.mu.Lock()
	defer p.memory.records.mu.Unlock()
	for _, r := range p.memory.records.all {
		signals := r.signals["go"]
		enough := len(signals) > 1 || len(signals) == 1 && string(signals[0]) == "h"
		if p.registered && enough && !r.result.Done {
			return false
		}
	}
	return true
}

// both has both do it, and compares the kinds of their errors.
func (p *pair) both(do func(ctx context.Context, e retrain.Engine) error) {
	p.t.Helper()
	want := do(soon(p.t), p.memory)
	got := do(soon(p.t), p.engine)
	require.Equal(p.t, fault.Kind(want), fault.Kind(got), "want %v, got %v", want, got)
}

// randomWorkflow takes two signals between steps.
func randomWorkflow(ctx context.Context, steps retrain.Steps, input []byte) ([]byte, error) {
	out := slices.Clone(input)
	for i := range 2 {
		data, _, err := steps.Await(ctx, "go", 0)
		if err != nil {
			return nil, err
		}
		made, err := steps.Do(ctx, fmt.Sprintf("step%d", i), func(context.Context) ([]byte, error) {
			if string(data) == "h" {
				return nil, fault.Errorf(fault.Denied, "not with this signal")
			}
			return data, nil
		}, nil)
		if err != nil {
			return nil, err
		}
		out = append(out, made...)
	}
	return out, nil
}

// seen is all that an engine shows of its workflows.
func seen(t *testing.T, e retrain.Engine) []string {
	var all []string
	for x, err := range e.List(soon(t), retrain.ListQuery{}) {
		all = append(all, fmt.Sprint(err, x.ID, x.Name, x.Result.Done, string(x.Result.Output), x.Result.Err))
		if err == nil {
			r, err := e.Result(soon(t), x.ID)
			all = append(all, strings.TrimSpace(fmt.Sprint(err, r.Done, string(r.Output), r.Err)))
		}
	}
	slices.Sort(all)
	return all
}
