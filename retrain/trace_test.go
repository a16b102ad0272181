package retrain_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/serve"
)

// TestTrace follows an answer of a canary's time back to all that it rests on.
func TestTrace(t *testing.T) {
	w := inStage(t, retrain.Canarying)
	w.runDays(1)
	canary := w.last()
	row := w.row - 1
	for ; w.variantOf(row) != serve.Canary; row-- { // one that the canary answered
		require.Positive(t, row)
	}
	trace, err := w.loop.Trace(t.Context(), rowID(row))
	require.NoError(t, err)
	require.Equal(t, "churn", trace.Model)
	require.Len(t, trace.Answers, 1)
	require.Equal(t, w.stream.table.Row(row).Get("x"), trace.Answers[0].Features.Get("x"))
	require.Len(t, trace.Origins, 1)
	o := trace.Origins[0]
	require.Equal(t, canary.Version, o.Version.Number)
	require.NotEmpty(t, o.Version.Digest)
	require.NotEmpty(t, o.Version.Lineage.DataDigest)
	require.Equal(t, o.Version.Lineage.RunID, o.Run.ID)
	require.Equal(t, canary.ID, o.Retraining.ID)
	require.Equal(t, canary.Verdicts, o.Retraining.Verdicts)
	require.Contains(t, string(o.Config), `"no harm: accuracy by 0.1"`)
	require.Empty(t, o.Moves, "it is no champion yet")

	w.moveAlias(1, canary.Version)
	w.moveAlias(canary.Version, 1)
	trace, err = w.loop.Trace(t.Context(), rowID(row))
	require.NoError(t, err)
	require.Len(t, trace.Origins[0].Moves, 2)
	require.Equal(t, "jo", trace.Origins[0].Moves[0].Actor)
	text := trace.String()
	for _, part := range []string{
		"prediction " + rowID(row) + " of churn", "canary, answered (chosen with probability 0.", "inputs: x=", "outputs: ", "bundle: " + o.Version.Digest,
		"data: " + o.Version.Lineage.DataDigest, "training run: " + o.Run.ID + ", finished", "retraining: churn/1, against version 1, canary",
		"cause: ", "configuration: " + canary.Config, "verdict: no harm: accuracy by 0.1 passes: ", "champion from: ", ", by jo\n", "champion until: ",
	} {
		require.Contains(t, text, part)
	}
	require.True(t, strings.HasSuffix(text, "\n"))
}

// variantOf tells who answered a row; "" when nobody has.
func (w *world) variantOf(row int) serve.Variant {
	w.t.Helper()
	require.NoError(w.t, w.loop.Server().Flush(w.t.Context()))
	found, err := w.stores.Serve.Lookup(w.t.Context(), "churn", []string{rowID(row)})
	require.NoError(w.t, err)
	for _, p := range found {
		if p.Variant == serve.Canary {
			return serve.Canary
		}
	}
	return ""
}

// TestTraceOfVersionByHand tells what is known of a version that no retraining made.
func TestTraceOfVersionByHand(t *testing.T) {
	w := newWorld(t, newStream(t, 30*rowsADay, never), nil)
	w.start(20 * rowsADay)
	models := registry.New(w.stores.Registry, w.stores.Artifacts, nil)
	b, _, err := models.Load(t.Context(), "churn@champion")
	require.NoError(t, err)
	_, err = models.Register(t.Context(), "churn", b, &registry.Registration{Key: "by hand"})
	require.NoError(t, err)
	w.moveAlias(1, 2)
	w.runDays(1)
	trace, err := w.loop.Trace(t.Context(), rowID(w.row-1))
	require.NoError(t, err)
	require.Nil(t, trace.Origins[0].Retraining)
	require.Nil(t, trace.Origins[0].Run)
	require.Contains(t, trace.String(), "none: the version was made by hand")
	_, err = w.loop.Trace(t.Context(), "nobody asked this")
	require.ErrorIs(t, err, retrain.ErrNotFound)
}
