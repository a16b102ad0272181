package registrytest

import (
	"errors"
	"strconv"
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
	for _, e := range allEvents(t, models, model) {
		got = append(got, e.Kind)
	}
	require.Equal(t, kinds, got, "audit trail of %s", model)
}

// RequireConsistent fails the test unless the model's audit trail is whole and
// tells the same story as its versions, states and aliases. Nobody may change
// the model meanwhile.
func RequireConsistent(t testing.TB, models *registry.Client, model string) {
	t.Helper()
	require.NoError(t, models.VerifyAudit(t.Context(), model))
	states, aliases := replay(t, allEvents(t, models, model))

	versions, err := models.Versions(t.Context(), model)
	require.NoError(t, err)
	for i, v := range versions {
		require.Equal(t, int64(len(versions)-i), v.Number, "versions of %s are numbered without gaps, newest first", model)
		require.Equal(t, string(v.State), states[v.Number], "state of %s, by the audit trail", registry.VersionRef(model, v.Number))
	}
	require.Len(t, states, len(versions), "versions of %s, by the audit trail", model)

	stored, err := models.Aliases(t.Context(), model)
	require.NoError(t, err)
	for _, a := range stored {
		require.Equal(t, strconv.FormatInt(a.Version, 10), aliases[a.Name], "alias %s@%s, by the audit trail", model, a.Name)
	}
	require.Len(t, aliases, len(stored), "aliases of %s, by the audit trail", model)
}

// replay returns the state of each version and where each alias points, as the
// events tell it.
func replay(t testing.TB, events []registry.Event) (states map[int64]string, aliases map[string]string) {
	t.Helper()
	states, aliases = map[int64]string{}, map[string]string{}
	for _, e := range events {
		switch e.Kind {
		case registry.ModelCreated:
			require.EqualValues(t, 1, e.Seq, "the first event makes the model")
		case registry.VersionCreated, registry.VersionState:
			require.Equal(t, e.From, states[e.Version], "event %d: the state before", e.Seq)
			states[e.Version] = e.To
		case registry.AliasSet:
			require.Equal(t, e.From, aliases[e.Alias], "event %d: the version before", e.Seq)
			aliases[e.Alias] = e.To
		case registry.AliasDeleted:
			require.Equal(t, e.From, aliases[e.Alias], "event %d: the version before", e.Seq)
			delete(aliases, e.Alias)
		default:
			require.Fail(t, "unknown kind of event", "event %d: %q", e.Seq, e.Kind)
		}
	}
	return states, aliases
}

func allEvents(t testing.TB, models *registry.Client, model string) []registry.Event {
	t.Helper()
	var all []registry.Event
	for {
		events, err := models.Events(t.Context(), model, int64(len(all)), 0)
		require.NoError(t, err)
		if len(events) == 0 {
			return all
		}
		all = append(all, events...)
	}
}
