package trackingsql_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/crashtest"
	"github.com/mlloop/mlloop/internal/pgtest"
	"github.com/mlloop/mlloop/sqlstore"
	"github.com/mlloop/mlloop/tracking"
	"github.com/mlloop/mlloop/tracking/artifact"
	"github.com/mlloop/mlloop/tracking/trackingsql"
)

func TestMain(m *testing.M) { crashtest.Main(m, logUntilKilled) }

// place is where parent and child find the database; it lies in their folder.
type place struct {
	URL, Schema string
}

const placeFile = "place.json"

func writePlace(t *testing.T, folder string, p place) {
	t.Helper()
	text, err := json.Marshal(p)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(folder, placeFile), text, 0o600))
}

func openFolder(ctx context.Context, folder string) (*tracking.Client, *trackingsql.Store, error) {
	text, err := os.ReadFile(filepath.Join(folder, placeFile))
	if err != nil {
		return nil, nil, err
	}
	var p place
	if err := json.Unmarshal(text, &p); err != nil {
		return nil, nil, err
	}
	store, err := trackingsql.Open(ctx, p.URL, &sqlstore.Options{Schema: p.Schema})
	if err != nil {
		return nil, nil, err
	}
	return tracking.New(store, &tracking.Options{Artifacts: artifact.Dir(filepath.Join(folder, "artifacts"))}), store, nil
}

const crashPoints = 1500 // per run: more than one batch

// logUntilKilled makes run after run, and prints what is acknowledged.
func logUntilKilled(ctx context.Context, folder string) error {
	c, _, err := openFolder(ctx, folder) // closed by the kill
	if err != nil {
		return err
	}
	for {
		run, err := c.Start(ctx, "crash", nil)
		if err != nil {
			return err
		}
		fmt.Println("started", run.ID())
		run.LogParam("lr", "0.1")
		for i := range int64(crashPoints) {
			run.LogMetric("loss", float64(i), i)
		}
		if err := run.LogArtifact(ctx, "model.bin", strings.NewReader(run.ID())); err != nil {
			return err
		}
		fmt.Println("artifact", run.ID())
		if err := run.Finish(ctx); err != nil {
			return err
		}
		fmt.Println("finished", run.ID())
	}
}

// acknowledged runs a child until it has printed the number of lines, kills
// it, and returns all that it printed.
func acknowledged(t *testing.T, folder string, lines int) (printed [][2]string) {
	t.Helper()
	crashtest.Kill(t, folder, func(line string) bool {
		what, id, ok := strings.Cut(line, " ")
		require.True(t, ok && len(id) == 32, line)
		printed = append(printed, [2]string{what, id})
		return len(printed) == lines
	})
	return printed
}

// What Start, LogArtifact and Finish acknowledged survives kill -9.
func TestKillLosesNothingAcknowledged(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		folder := t.TempDir()
		writePlace(t, folder, place{URL: "sqlite:" + filepath.Join(folder, "runs.db")})
		killOften(t, folder)
	})
	t.Run("postgresql", func(t *testing.T) {
		folder := t.TempDir()
		writePlace(t, folder, place{pgtest.URL(t), pgtest.Schema(t)})
		killOften(t, folder)
	})
}

func killOften(t *testing.T, folder string) {
	var printed [][2]string
	for _, lines := range []int{1, 2, 3, 8, 10} {
		printed = append(printed, acknowledged(t, folder, lines)...)
	}
	c, store, err := openFolder(t.Context(), folder)
	require.NoError(t, err)
	for _, line := range printed {
		require.NoError(t, checkAcknowledged(t.Context(), c, line[0], line[1]), "%v", line)
	}
	var all, running int
	for run, err := range c.AllRuns(t.Context(), tracking.RunQuery{}) {
		require.NoError(t, err)
		all++
		if run.Status == tracking.Running {
			running++
		}
	}
	require.LessOrEqual(t, running, 5, "at most one a kill is left open")
	require.Positive(t, all)
	require.NoError(t, c.Close(t.Context()))
	require.NoError(t, store.Close())
}

func checkAcknowledged(ctx context.Context, c *tracking.Client, what, id string) error {
	run, err := c.Run(ctx, id)
	if err != nil || what == "started" {
		return err
	}
	content, err := c.Artifact(ctx, id, "model.bin")
	if err != nil {
		return err
	}
	b, err := io.ReadAll(content)
	if err := errors.Join(err, content.Close()); err != nil || string(b) != id {
		return fmt.Errorf("artifact %q: %w", b, err)
	}
	if what == "artifact" {
		return nil
	}
	points, err := c.Metrics(ctx, id, "loss")
	if err != nil {
		return err
	}
	if run.Status != tracking.Finished || run.Params["lr"] != "0.1" || len(points) != crashPoints || run.Metrics["loss"].Step != crashPoints-1 {
		return fmt.Errorf("status %s, params %v, %d points", run.Status, run.Params, len(points))
	}
	return nil
}
