package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retrainsql"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/tracking"
)

var (
	crashKills = flag.Int("crash.kills", 0, "kill the example at this many random moments; 0: skip")
	crashRows  = flag.Int("crash.rows", 0, "rows of the killed replay; 0: all")
)

// TestMain runs the example itself when the crash test starts this binary again.
func TestMain(m *testing.M) {
	if os.Getenv("ELECTRICITY_CHILD") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func child(t *testing.T, dir string) (*exec.Cmd, *bytes.Buffer, *bytes.Buffer) {
	t.Helper()
	args := []string{"-json", "-dir", dir}
	if *crashRows > 0 {
		args = append(args, "-rows", fmt.Sprint(*crashRows))
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), "ELECTRICITY_CHILD=1")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	return cmd, &stdout, &stderr
}

// TestCrash kills the example with SIGKILL at random moments, starts it again
// each time, and compares the final figures and all that is stored with those of
// an undisturbed run, predictions and labels by id: a shadow's answers that a kill
// took are asked for again, and stored later than they were:
//
//	go test ./examples/electricity -run Crash -crash.kills=10
func TestCrash(t *testing.T) {
	if *crashKills == 0 {
		t.Skip("a campaign: run it with -crash.kills=10")
	}
	start := time.Now()
	wholeDir := filepath.Join(t.TempDir(), "whole")
	cmd, stdout, stderr := child(t, wholeDir)
	require.NoError(t, cmd.Run(), stderr.String())
	whole := time.Since(start)
	want := decodeFigures(t, stdout)
	wantStored := stored(t, wholeDir)

	dir := filepath.Join(t.TempDir(), "killed")
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	for kill := range *crashKills {
		// The moments are spread over a whole run: each life goes on where the last ended.
		life := time.Duration(float64(whole) * (0.3 + 1.4*rng.Float64()) / float64(*crashKills+1))
		cmd, stdout, stderr := child(t, dir)
		require.NoError(t, cmd.Start())
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		select {
		case err := <-ended:
			require.NoError(t, err, stderr.String())
			t.Logf("kill %d came too late: the run had ended", kill+1)
			require.Equal(t, want, decodeFigures(t, stdout))
		case <-time.After(life):
			require.NoError(t, cmd.Process.Kill())
			<-ended
			t.Logf("kill %d after %s", kill+1, life.Round(time.Millisecond))
		}
	}
	cmd, stdout, stderr = child(t, dir)
	require.NoError(t, cmd.Run(), stderr.String())
	require.Equal(t, want, decodeFigures(t, stdout))
	requireSame(t, wantStored, stored(t, dir))
}

// requireSame names the first line that differs: the whole of both would be
// ten thousands.
func requireSame(t *testing.T, want, got contents) {
	t.Helper()
	for _, c := range []struct {
		what      string
		want, got []string
	}{
		{"prediction", want.predictions, got.predictions}, {"label", want.labels, got.labels}, {"version", want.versions, got.versions},
		{"retraining", want.retrainings, got.retrainings}, {"event", want.events, got.events}, {"audit event", want.audit, got.audit},
	} {
		for i := range min(len(c.want), len(c.got)) {
			require.Equal(t, c.want[i], c.got[i], "%s %d", c.what, i)
		}
		require.Equal(t, len(c.want), len(c.got), "number of %ss", c.what)
	}
	require.Equal(t, want.runs, got.runs)
}

// contents is what two equal runs have stored: ids, which are drawn at random, left out.
type contents struct {
	predictions []string // row, version, variant, answer; in the order of ids
	labels      []string // in the order of ids
	versions    []string // number, digest, state, key
	retrainings []string // with their verdicts
	events      []string
	audit       []string
	runs        map[string]int // points logged, by the run's name
}

func stored(t *testing.T, dir string) contents {
	t.Helper()
	ctx := t.Context()
	stores, err := retrainsql.Open(ctx, "sqlite:"+filepath.Join(dir, "loop.db"), nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, stores.Close(ctx)) }()
	c := contents{runs: make(map[string]int)}
	c.readLog(t, stores.Serve)
	versions, err := stores.Registry.Versions(ctx, model, 0, 0)
	require.NoError(t, err)
	for _, v := range versions {
		c.versions = append(c.versions, fmt.Sprint(v.Number, v.Digest, v.State, v.Key))
	}
	retrainings, err := stores.Retrain.Retrainings(ctx, retrain.RetrainingQuery{Model: model})
	require.NoError(t, err)
	for _, r := range retrainings {
		r.RunID, r.Rev, r.Token = "", 0, 0 // each life writes under a token of its own
		c.retrainings = append(c.retrainings, fmt.Sprintf("%+v", r))
	}
	events, err := stores.Retrain.Events(ctx, retrain.EventQuery{Model: model})
	require.NoError(t, err)
	for _, e := range events {
		c.events = append(c.events, fmt.Sprint(e.Time, e.Kind, e.Text))
	}
	audit, err := stores.Registry.Events(ctx, registry.EventQuery{Model: model})
	require.NoError(t, err)
	for _, e := range audit {
		c.audit = append(c.audit, fmt.Sprint(e.Seq, e.Version, e.Kind, e.Alias, e.From, e.To, e.Reason, e.Time))
	}
	c.countRuns(t, stores)
	return c
}

func (c *contents) readLog(t *testing.T, log serve.Store) {
	t.Helper()
	for after := int64(0); ; {
		page, err := log.Predictions(t.Context(), serve.PredictionQuery{Model: model, After: after})
		require.NoError(t, err)
		if len(page) == 0 {
			break
		}
		for _, p := range page {
			c.predictions = append(c.predictions, fmt.Sprint(p.ID, p.Attempt, p.Variant, p.Status, p.Version, p.Label().Text(), p.Scores(), p.Time))
			after = p.Seq
		}
	}
	for after := int64(0); ; {
		page, err := log.Labels(t.Context(), serve.LabelQuery{Model: model, After: after})
		require.NoError(t, err)
		if len(page) == 0 {
			break
		}
		for _, l := range page {
			c.labels = append(c.labels, fmt.Sprint(l.ID, l.Attempt, l.Variant, l.Truth.Value.Text(), l.Truth.Time))
			after = l.Truth.Seq
		}
	}
	slices.Sort(c.predictions)
	slices.Sort(c.labels)
}

func (c *contents) countRuns(t *testing.T, stores *retrain.Stores) {
	t.Helper()
	experiment, err := stores.Tracking.Experiment(t.Context(), model)
	require.NoError(t, err)
	runs, _, err := stores.Tracking.Runs(t.Context(), tracking.RunQuery{ExperimentID: experiment.ID})
	require.NoError(t, err)
	for _, r := range runs {
		name := fmt.Sprint(r.Name, r.Status)
		require.NotContains(t, c.runs, name, "a run is doubled")
		for key := range r.Metrics {
			points, err := stores.Tracking.MetricHistory(t.Context(), r.ID, key)
			require.NoError(t, err)
			c.runs[name] += len(points)
		}
	}
}

// decodeFigures leaves out what a crash may change: the time and the memory.
func decodeFigures(t *testing.T, stdout *bytes.Buffer) map[string]float64 {
	t.Helper()
	var f map[string]float64
	require.NoError(t, json.Unmarshal(stdout.Bytes(), &f), stdout.String())
	delete(f, "seconds")
	delete(f, "peak_rss_mb")
	return f
}
