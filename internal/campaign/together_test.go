package campaign

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/crashtest"
	"github.com/mlloop/mlloop/internal/pgtest"
	"github.com/mlloop/mlloop/retrain"
)

func TestOpenTogetherSQLite(t *testing.T) {
	if testing.Short() {
		t.Skip("8 processes; left out of short runs")
	}
	testOpenTogether(t, task{URL: "sqlite:" + filepath.Join(t.TempDir(), "loop.db")})
}

func TestOpenTogetherPostgreSQL(t *testing.T) {
	testOpenTogether(t, task{URL: pgtest.URL(t), Schema: pgtest.Schema(t)})
}

// testOpenTogether has 8 processes open a new database at once: the first rollout
// of a deployment. Each makes the tables, or finds them, and begins to work.
func testOpenTogether(t *testing.T, what task) {
	what.Name = "open"
	children := make([]*crashtest.Child, processes)
	for i := range children {
		what.Process = i
		children[i] = start(t, what, nil, nil)
	}
	for _, c := range children {
		require.NoError(t, c.Wait())
	}
	require.Len(t, eventTexts(t, openStores(t, what)), processes)
}

func runOpen(ctx context.Context, t task) error {
	stores, err := t.open(ctx)
	if err != nil {
		return err
	}
	err = stores.Engine.Register("campaign", func(context.Context, retrain.Steps, []byte) ([]byte, error) { return nil, nil })
	if err == nil {
		err = stores.Engine.Launch(ctx)
	}
	if err == nil {
		err = stores.Retrain.AppendEvent(ctx, eventOf(string(rune('a'+t.Process))))
	}
	return errors.Join(err, stores.Close(ctx))
}

func eventOf(key string) retrain.Event {
	return retrain.Event{Model: model, Time: loopStart, Kind: "campaign", Text: key, Key: key}
}

func eventTexts(t *testing.T, stores *retrain.Stores) []string {
	t.Helper()
	found, err := stores.Retrain.Events(t.Context(), retrain.EventQuery{Model: model})
	require.NoError(t, err)
	var texts []string
	for _, e := range found {
		texts = append(texts, e.Text)
	}
	return texts
}
