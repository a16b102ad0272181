package campaign

import (
	"context"
	"flag"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/internal/crashtest"
	"github.com/mlloop/mlloop/internal/pgtest"
	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/registry/registrytest"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/tracking"
)

var rounds = flag.Int("campaign.rounds", 2, "how often each of the 200 writers writes one record of each kind")

func TestWritersSQLite(t *testing.T) {
	if testing.Short() {
		t.Skip("8 processes; left out of short runs")
	}
	testWriters(t, task{Name: "writers", URL: "sqlite:" + filepath.Join(t.TempDir(), "loop.db"), Rounds: *rounds})
}

func TestWritersPostgreSQL(t *testing.T) {
	testWriters(t, task{Name: "writers", URL: pgtest.URL(t), Schema: pgtest.Schema(t), Rounds: *rounds})
}

// testWriters has 8 processes with 25 writers each write to one database, beside
// a reader that follows the logs, and compares what is stored with what they said.
func testWriters(t *testing.T, what task) {
	began := time.Now()
	prepare(t, what)
	stores := openStores(t, what)
	said := make(map[string][]string)
	var mu sync.Mutex
	children := make([]*crashtest.Child, processes)
	for i := range children {
		own := what
		own.Process = i
		children[i] = start(t, own, nil, func(line string) {
			kind, name, _ := strings.Cut(line, " ")
			mu.Lock()
			defer mu.Unlock()
			said[kind] = append(said[kind], name)
		})
	}
	follow, stop := context.WithCancel(t.Context())
	var reader sync.WaitGroup
	var seen followed
	reader.Go(func() { seen = followLogs(follow, t, stores) })
	for _, c := range children {
		require.NoError(t, c.Wait())
	}
	wrote := time.Since(began)
	stop()
	reader.Wait()

	all := allNames(what.Rounds)
	for _, kind := range []string{"point", "prediction", "label", "event"} {
		require.ElementsMatch(t, all, said[kind], kind)
	}
	checkPoints(t, stores, what.Rounds)
	checkLogs(t, stores, all, seen)
	checkRaces(t, stores, said)
	t.Logf("campaign: %d writers in %d processes: %d points, %d predictions, %d labels, %d events; won: %d alias moves, %d states, %d routes, %d checkpoints; %s",
		processes*writersPerProcess, processes, 2*len(said["point"]), len(said["prediction"]), len(said["label"]), len(said["event"]),
		len(said["alias"]), len(said["state"]), len(said["route"]), len(said["checkpoint"]), wrote.Round(time.Millisecond))
}

// prepare makes the run and the versions that the writers write to.
func prepare(t *testing.T, what task) {
	t.Helper()
	ctx := t.Context()
	stores, err := what.open(ctx)
	require.NoError(t, err)
	require.NoError(t, stores.Tracking.CreateExperiment(ctx, tracking.Experiment{ID: "e", Name: model, CreatedAt: writersStart}))
	require.NoError(t, stores.Tracking.CreateRun(ctx, tracking.RunInfo{ID: sharedRun, ExperimentID: "e", Status: tracking.Running, StartedAt: writersStart}))
	models := registry.New(stores.Registry, stores.Artifacts, nil)
	for n := range versions {
		_, err := models.Register(ctx, model, registrytest.Bundle(t, fmt.Sprint(n)), nil)
		require.NoError(t, err)
	}
	_, err = models.SetAlias(ctx, model, registry.Champion, 0, 1, registry.Change{})
	require.NoError(t, err)
	require.NoError(t, stores.Close(ctx))
}

func allNames(rounds int) []string {
	var names []string
	for w := range processes * writersPerProcess {
		for round := range rounds {
			names = append(names, fmt.Sprintf("%d-%d", w, round))
		}
	}
	return names
}

// followed is what a reader saw that asked for what is after the last Seq it had
// read: a record that is committed late must not be skipped.
type followed struct{ predictions, labels, events []string }

func followLogs(ctx context.Context, t *testing.T, stores *retrain.Stores) (f followed) {
	bg := context.Background()
	var predictions, labels, events int64
	for last := false; ; {
		page, err := stores.Serve.Predictions(bg, serve.PredictionQuery{Model: model, After: predictions})
		if err != nil {
			t.Errorf("the reader of predictions: %v", err)
		}
		for _, p := range page {
			f.predictions, predictions = append(f.predictions, p.ID), p.Seq
		}
		joined, err := stores.Serve.Labels(bg, serve.LabelQuery{Model: model, After: labels})
		if err != nil {
			t.Errorf("the reader of labels: %v", err)
		}
		for _, l := range joined {
			f.labels, labels = append(f.labels, l.ID), l.Truth.Seq
		}
		happened, err := stores.Retrain.Events(bg, retrain.EventQuery{Model: model, After: events})
		if err != nil {
			t.Errorf("the reader of events: %v", err)
		}
		for _, e := range happened {
			f.events, events = append(f.events, e.Text), e.Seq
		}
		if last || t.Failed() {
			return f
		}
		select {
		case <-ctx.Done():
			last = true
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func checkPoints(t *testing.T, stores *retrain.Stores, rounds int) {
	t.Helper()
	history, err := stores.Tracking.MetricHistory(t.Context(), sharedRun, "all")
	require.NoError(t, err)
	require.Len(t, history, processes*writersPerProcess*rounds, "points that all logged under one key")
	for w := range processes * writersPerProcess {
		own, err := stores.Tracking.MetricHistory(t.Context(), sharedRun, fmt.Sprintf("writer-%d", w))
		require.NoError(t, err)
		require.Len(t, own, rounds, "points of writer %d", w)
	}
}

func checkLogs(t *testing.T, stores *retrain.Stores, all []string, seen followed) {
	t.Helper()
	require.ElementsMatch(t, all, seen.predictions, "predictions that the reader saw")
	require.ElementsMatch(t, all, seen.labels, "labels that the reader saw")
	require.ElementsMatch(t, all, seen.events, "events that the reader saw")
	still := followLogs(cancelled(t), t, stores)
	require.Equal(t, still, seen, "what is stored, in its order, is what the reader saw")
	counts, err := stores.Serve.Counts(t.Context(), model)
	require.NoError(t, err)
	require.Equal(t, []int64{int64(len(all)), int64(len(all)), 0, 0},
		[]int64{counts.Predictions, counts.Labels, counts.Reattempts, counts.Corrections})
}

func cancelled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// checkRaces compares what was moved by compare-and-set: each move that was said
// to be won was made, once, and no other.
func checkRaces(t *testing.T, stores *retrain.Stores, said map[string][]string) {
	t.Helper()
	ctx := t.Context()
	moved := alias(t, stores)
	require.NotEmpty(t, moved)
	own := make(map[int64]string) // by token
	for _, text := range said["alias"] {
		var name string
		var token int64
		_, err := fmt.Sscan(text, &name, &token)
		require.NoError(t, err, text)
		require.Contains(t, moved, token, "the token that %s was given is that of a move", name)
		if moved[token] == name {
			require.Empty(t, own[token], "two moves have the token %d", token)
			own[token] = name
		}
	}
	require.Equal(t, moved, own, "alias moves, by token")

	st, err := stores.Retrain.State(ctx, model)
	require.NoError(t, err)
	require.EqualValues(t, len(said["state"]), st.Rev, "states")
	require.True(t, slices.Contains(said["state"], string(st.Data)))
	r, err := stores.Serve.Route(ctx, model)
	require.NoError(t, err)
	require.EqualValues(t, len(said["route"]), r.Rev, "routes")
	alerts, err := stores.Drift.Alerts(ctx, drift.AlertQuery{Model: model})
	require.NoError(t, err)
	require.Len(t, alerts, len(said["checkpoint"]), "alerts that were saved with a checkpoint")
	c, err := stores.Drift.Checkpoint(ctx, model)
	require.NoError(t, err)
	require.EqualValues(t, len(said["checkpoint"]), c.Rev, "checkpoints")
}

// alias returns who moved the alias, by the token of the move, after the first,
// and wants the trail to be whole.
func alias(t *testing.T, stores *retrain.Stores) map[int64]string {
	t.Helper()
	models := registry.New(stores.Registry, stores.Artifacts, nil)
	moved, at := make(map[int64]string), "1"
	for e, err := range models.Events(t.Context(), model, 0) {
		require.NoError(t, err)
		if e.Kind != registry.AliasSet || e.From == "" {
			continue
		}
		require.Equal(t, at, e.From, "move %d begins where the one before ended", e.Seq)
		at, moved[e.Seq] = e.To, e.Actor
	}
	require.NoError(t, models.VerifyAudit(t.Context(), model, nil))
	return moved
}
