package serve_test

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/serve/servetest"
)

// fakeModels is a registry of one model whose version n answers "vn".
type fakeModels struct {
	mu       sync.Mutex
	champion int64
	loads    map[int64]int
	broken   map[int64]bool
}

func newFakeModels(champion int64) *fakeModels {
	return &fakeModels{champion: champion, loads: map[int64]int{}, broken: map[int64]bool{}}
}

func (m *fakeModels) promote(version int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.champion = version
}

// damage makes a version unloadable, or loadable again.
func (m *fakeModels) damage(version int64, broken bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.broken[version] = broken
}

func (m *fakeModels) Resolve(_ context.Context, ref string) (registry.Version, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch name, number, _ := strings.Cut(ref, "/"); {
	case ref == "churn@champion":
		return registry.Version{Model: "churn", Number: m.champion}, nil
	case name == "churn":
		n, err := strconv.ParseInt(number, 10, 64)
		return registry.Version{Model: name, Number: n}, err
	}
	return registry.Version{}, fault.Errorf(fault.NotFound, "registry: %s: not found", ref)
}

func (m *fakeModels) Load(ctx context.Context, ref string) (*bundle.Bundle, registry.Version, error) {
	v, err := m.Resolve(ctx, ref)
	if err != nil {
		return nil, v, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken[v.Number] {
		return nil, v, fault.Errorf(fault.Corrupt, "registry: %s: weights are damaged", ref)
	}
	m.loads[v.Number]++
	b, err := bundle.New(bundle.Spec{
		Flavor: "fake", CreatedAt: time.UnixMilli(0), Metadata: map[string]string{"label": fmt.Sprint("v", v.Number)},
	}, map[string][]byte{"part": nil})
	return b, v, err
}

// closable counts how many of its kind are open.
type closable struct {
	serve.Predictor
	open *counter
}

type counter struct {
	mu sync.Mutex
	n  int
}

func (c *counter) add(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n += n
	return c.n
}

func (c closable) Close() error {
	c.open.add(-1)
	return nil
}

var _ io.Closer = closable{}

// newServer returns a server over models, closed at the end of the test, and
// the number of its predictors that are open.
func newServer(t *testing.T, models serve.Models, opts *serve.Options) (*serve.Server, *counter) {
	t.Helper()
	var o serve.Options
	if opts != nil {
		o = *opts
	}
	open := &counter{}
	o.Flavors = map[string]serve.Loader{"fake": func(b *bundle.Bundle) (serve.Predictor, error) {
		open.add(1)
		return closable{servetest.Constant(b.Manifest().Metadata["label"]), open}, nil
	}}
	s := serve.New(models, &o)
	t.Cleanup(func() {
		require.NoError(t, s.Drain(context.Background())) // Close would leave a shadow's answer behind
		require.NoError(t, s.Close(context.Background()))
		require.Zero(t, open.add(0), "predictors left open")
	})
	return s, open
}

// ask returns the label that the server gives one row.
func ask(t testing.TB, s *serve.Server, model, id string) string {
	t.Helper()
	resp, err := s.Predict(context.Background(), model, serve.Request{ID: id, Inputs: servetest.X(1)})
	require.NoError(t, err)
	return resp.Outputs[0].Data.([]string)[0]
}
