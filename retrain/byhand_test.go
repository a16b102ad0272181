package retrain_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retraintest"
)

// TestChampionWithoutProfile makes a model champion that brings no reference
// profile, or one that cannot be read: it is served at the next step, its monitor
// learns from the rows that it answers, an event says so, and it can be replaced.
func TestChampionWithoutProfile(t *testing.T) {
	for name, profile := range map[string][]byte{"none": nil, "broken": []byte("{broken")} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, newStream(t, 50*rowsADay, never), nil)
			w.start(20 * rowsADay)
			w.run(21 * rowsADay)
			b, err := trainOn(t, w, 0, 15*rowsADay)
			require.NoError(t, err)
			parts := make(map[string][]byte)
			for _, name := range []string{bundle.ModelPart, bundle.WeightsPart, bundle.FeaturesPart} {
				parts[name], err = b.ReadFile(name)
				require.NoError(t, err)
			}
			if profile != nil {
				parts[bundle.ProfilePart] = profile
			}
			bare, err := bundle.New(bundle.Spec{Flavor: b.Manifest().Flavor, CreatedAt: at(w.row), Signature: b.Signature()}, parts)
			require.NoError(t, err)
			second := register(t, w, bare)
			w.moveAlias(1, second)
			w.step(at(w.row))
			require.Equal(t, second, w.route().Primary)
			require.Contains(t, retraintest.RequireEvent(t, w.loop, retrain.EventMonitor).Text, "drift is measured against its first")
			require.NotEmpty(t, w.status().Learning)
			require.NoError(t, w.loop.Retrain(t.Context(), "a person asked"))
			w.run(34 * rowsADay)
			require.Empty(t, w.status().Failing)
			require.Equal(t, second, retraintest.RequirePromoted(t, w.loop, 3).Champion)
		})
	}
}

// TestAliasToAVersionThatIsNotThere moves the alias to a version that cannot be
// loaded: the champion that was answers on, and the failure is told.
func TestAliasToAVersionThatIsNotThere(t *testing.T) {
	w := newWorld(t, newStream(t, 50*rowsADay, never), func(c *retrain.Config) { c.Flavors = refuseChallengers() })
	w.start(20 * rowsADay)
	w.run(21 * rowsADay)
	b, err := trainOn(t, w, 0, 15*rowsADay)
	require.NoError(t, err)
	w.moveAlias(1, register(t, w, b))
	require.ErrorContains(t, w.loop.Step(t.Context(), at(w.row)), "follow the alias: ")
	require.Contains(t, []int64{0, 1}, w.ask(w.row))
	require.Equal(t, "follow the alias", w.status().Failing[0].Part)
	w.moveAlias(2, 1)
	require.NoError(t, w.loop.Step(t.Context(), at(w.row+1)))
	require.Empty(t, w.status().Failing)
}
