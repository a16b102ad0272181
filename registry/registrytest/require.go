package registrytest

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/registry"
)

// RequireChampion fails the test unless the version is the model's champion;
// 0 asks for there to be none.
func RequireChampion(t testing.TB, models *registry.Client, model string, version int64) {
	t.Helper()
	alias, err := models.Alias(t.Context(), model, registry.Champion)
	if err != nil && !errors.Is(err, registry.ErrNotFound) {
		require.NoError(t, err)
	}
	require.Equal(t, version, alias.Version, "champion of %s (0: none)", model)
}

// RequireState fails the test unless the version exists and is in the state.
func RequireState(t testing.TB, models *registry.Client, model string, number int64, state registry.State) {
	t.Helper()
	v, err := models.Version(t.Context(), model, number)
	require.NoError(t, err)
	require.Equal(t, state, v.State, "state of %s", registry.VersionRef(model, number))
}

// RequireEvents fails the test unless the model's audit trail has just these
// kinds of events, in this order.
func RequireEvents(t testing.TB, models *registry.Client, model string, kinds ...string) {
	t.Helper()
	var got []string
	for e, err := range models.Events(t.Context(), model, 0) {
		require.NoError(t, err)
		got = append(got, e.Kind)
	}
	require.Equal(t, kinds, got, "audit trail of %s", model)
}

// RequireConsistent fails the test unless the model's audit trail is whole and
// tells the same story as its versions, states and aliases.
func RequireConsistent(t testing.TB, models *registry.Client, model string) {
	t.Helper()
	require.NoError(t, models.VerifyAudit(t.Context(), model, nil))
}
