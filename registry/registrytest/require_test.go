package registrytest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/registry/registrymem"
	"github.com/mlloop/mlloop/registry/registrytest"
	"github.com/mlloop/mlloop/tracking/artifact"
)

func errOf(_ registry.Alias, err error) error { return err }

func TestAssertionsPass(t *testing.T) {
	models := registrytest.New(t)
	for _, content := range []string{"1", "2"} {
		_, err := models.Register(t.Context(), "m", registrytest.Bundle(t, content), nil)
		require.NoError(t, err)
	}
	registrytest.RequireChampion(t, models, "m", 0)
	require.NoError(t, errOf(models.Promote(t.Context(), "m", 2, 0, registry.Change{})))
	registrytest.RequireChampion(t, models, "m", 2)
	require.NoError(t, errOf(models.SetAlias(t.Context(), "m", "old", 0, 1, registry.Change{})))
	require.NoError(t, errOf(models.DeleteAlias(t.Context(), "m", "old", 1, registry.Change{})))
	require.NoError(t, models.SetState(t.Context(), "m", 1, registry.Candidate, registry.Archived, registry.Change{}))
	registrytest.RequireState(t, models, "m", 1, registry.Archived)
	registrytest.RequireEvents(t, models, "m", registry.ModelCreated, registry.VersionCreated, registry.VersionCreated,
		registry.AliasSet, registry.AliasSet, registry.AliasDeleted, registry.VersionState)
	registrytest.RequireConsistent(t, models, "m")
}

// recorder is a testing.TB that only notes that it failed.
type recorder struct {
	testing.TB
	failed bool
	text   strings.Builder
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) { fmt.Fprintf(&r.text, format, args...) }

func (r *recorder) FailNow() {
	r.failed = true
	panic(r) // ends the assertion, as runtime.Goexit would
}

// requireFails fails unless the assertion does, with the text.
func requireFails(t *testing.T, want string, assertion func(t testing.TB)) {
	t.Helper()
	r := &recorder{TB: t}
	func() {
		defer func() {
			if p := recover(); p != nil && p != any(r) {
				panic(p)
			}
		}()
		assertion(r)
	}()
	require.True(t, r.failed, "the assertion passed")
	require.Contains(t, r.text.String(), want)
}

func TestAssertionsFail(t *testing.T) {
	store := registrymem.New()
	models := registry.New(store, artifact.Memory(), nil)
	_, err := models.Register(t.Context(), "m", registrytest.Bundle(t, "1"), nil)
	require.NoError(t, err)

	requireFails(t, "champion of m", func(t testing.TB) { registrytest.RequireChampion(t, models, "m", 1) })
	requireFails(t, "state of m/1", func(t testing.TB) { registrytest.RequireState(t, models, "m", 1, registry.Approved) })
	requireFails(t, "not found", func(t testing.TB) { registrytest.RequireState(t, models, "m", 2, registry.Approved) })
	requireFails(t, "audit trail of m", func(t testing.TB) { registrytest.RequireEvents(t, models, "m", registry.ModelCreated) })
	requireFails(t, "not found", func(t testing.TB) { registrytest.RequireEvents(t, models, "n") })

	// A store whose events do not tell what it did.
	e := registry.Event{Model: "m", Kind: registry.AliasSet, Alias: "a", Version: 1, To: "2"}
	_, _, err = store.SetAlias(t.Context(), registry.AliasMove{Model: "m", Alias: "a", To: 1, Event: e})
	require.NoError(t, err)
	requireFails(t, "event 3 (alias.set) does not follow from those before", func(t testing.TB) { registrytest.RequireConsistent(t, models, "m") })

	require.NoError(t, store.Close())
	requireFails(t, "closed", func(t testing.TB) { registrytest.RequireChampion(t, models, "m", 0) })
	requireFails(t, "closed", func(t testing.TB) { registrytest.RequireConsistent(t, models, "m") })
}

func TestBundleIsTheSameForTheSameContent(t *testing.T) {
	require.Equal(t, registrytest.Bundle(t, "1").Digest(), registrytest.Bundle(t, "1").Digest())
	require.NotEqual(t, registrytest.Bundle(t, "1").Digest(), registrytest.Bundle(t, "2").Digest())
}
