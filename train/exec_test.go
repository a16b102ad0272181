package train_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/train"
	"github.com/mlloop/mlloop/train/feature"
	"github.com/mlloop/mlloop/train/frame"
	"github.com/mlloop/mlloop/train/traintest"
)

// childMode tells the test binary, run again as the command, what to do.
const childMode = "MLLOOP_TEST_COMMAND"

func TestMain(m *testing.M) {
	if mode := os.Getenv(childMode); mode != "" {
		if err := child(mode); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(3)
		}
		return
	}
	os.Exit(m.Run())
}

// child is the command under test.
func child(mode string) error {
	switch mode {
	case "fit":
		return childFit()
	case "fail":
		fmt.Println("reading the rows")
		return errors.New("no such column: colour")
	case "chatter":
		for i := range 100_000 {
			fmt.Println("line", i)
		}
		return errors.New("the end")
	case "nothing":
		return nil
	case "threads":
		var job struct{ Procs int }
		text, err := os.ReadFile(os.Getenv(train.EnvJob))
		if err != nil {
			return err
		}
		err = json.Unmarshal(text, &job)
		return errors.Join(err, fmt.Errorf("procs %d, OMP %s, OPENBLAS %s, MKL %s, NUMEXPR %s, Go %d", job.Procs, os.Getenv("OMP_NUM_THREADS"),
			os.Getenv("OPENBLAS_NUM_THREADS"), os.Getenv("MKL_NUM_THREADS"), os.Getenv("NUMEXPR_NUM_THREADS"), runtime.GOMAXPROCS(0)))
	case "damaged":
		if err := childFit(); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(os.Getenv(train.EnvBundle), bundle.WeightsPart), []byte("zero"), 0o600)
	case "hang":
		if err := os.WriteFile(os.Getenv("MLLOOP_TEST_STARTED"), []byte(os.Getenv(train.EnvBundle)), 0o600); err != nil {
			return err
		}
		select {} // until killed
	}
	return fmt.Errorf("unknown mode %q", mode)
}

// childFit does what a script does: read the two files, fit, leave a bundle.
func childFit() error {
	text, err := os.ReadFile(os.Getenv(train.EnvJob))
	if err != nil {
		return err
	}
	var j struct {
		Format        int
		Columns       frame.Schema
		Label         string
		Inputs        []string
		Features      feature.Pipeline
		Seed          uint64
		Now           time.Time
		Rows          int
		DataDigest    string `json:"data_digest"`
		ProfileWindow int    `json:"profile_window"`
	}
	if err := json.Unmarshal(text, &j); err != nil {
		return err
	}
	f, err := os.Open(os.Getenv(train.EnvData))
	if err != nil {
		return err
	}
	defer f.Close()
	data, err := frame.ReadCSV(f, &frame.CSVOptions{Schema: j.Columns})
	if err != nil {
		return err
	}
	if data.Digest() != j.DataDigest || data.NumRows() != j.Rows || j.Format != 1 {
		return fmt.Errorf("the rows arrived changed: %d of %d", data.NumRows(), j.Rows)
	}
	var trainer traintest.Fake
	b, err := trainer.Fit(context.Background(), train.Job{
		Data: data, Label: j.Label, Inputs: j.Inputs, Features: j.Features, Seed: j.Seed, Now: j.Now, ProfileWindow: j.ProfileWindow,
	})
	if err != nil {
		return err
	}
	return b.WriteDir(context.Background(), os.Getenv(train.EnvBundle))
}

// command returns a Trainer that runs this test binary in the mode.
func command(t *testing.T, mode string, env ...string) train.Command {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	c := train.Exec(self, "-test.run=none")
	// Under the race detector a process waits a second before it exits.
	c.Env = append(env, childMode+"="+mode, "GORACE=atexit_sleep_ms=0")
	return c
}

func TestExec(t *testing.T) {
	traintest.Run(t, func(t *testing.T) train.Trainer { return command(t, "fit") }, nil)
}

func TestExecGivesTheSameBundleAsInProcess(t *testing.T) {
	job := traintest.NewJob(t, 150, 1)
	job.Seed = 1<<64 - 1
	there, err := command(t, "fit").Fit(t.Context(), job)
	require.NoError(t, err)
	here, err := new(traintest.Fake).Fit(t.Context(), job)
	require.NoError(t, err)
	require.Equal(t, here.Digest(), there.Digest())
}

func TestExecErrors(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	job := traintest.NewJob(t, 100, 1)

	_, err := command(t, "fail").Fit(t.Context(), job)
	require.ErrorIs(t, err, train.ErrUnavailable)
	require.ErrorContains(t, err, "exit status 3; its output ends with:\nreading the rows\nno such column: colour")
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)

	_, err = command(t, "chatter").Fit(t.Context(), job)
	require.ErrorContains(t, err, "line 99999\nthe end")
	require.ErrorContains(t, err, "…")
	require.Less(t, len(err.Error()), 5000, "the output is cut")

	_, err = command(t, "nothing").Fit(t.Context(), job)
	require.ErrorIs(t, err, train.ErrInvalid)
	require.ErrorContains(t, err, "the command left no bundle in the folder $MLLOOP_BUNDLE")

	_, err = command(t, "damaged").Fit(t.Context(), job)
	require.ErrorIs(t, err, fault.Corrupt)
	require.ErrorContains(t, err, bundle.WeightsPart)

	_, err = train.Exec("mlloop-no-such-command").Fit(t.Context(), job)
	require.ErrorIs(t, err, train.ErrUnavailable)
	require.ErrorContains(t, err, "train: exec mlloop-no-such-command: ")

	left, err := os.ReadDir(os.Getenv("TMPDIR"))
	require.NoError(t, err)
	require.Empty(t, left, "the job's files are removed")

	t.Setenv("TMPDIR", "/dev/null/none")
	_, err = command(t, "fit").Fit(t.Context(), job)
	require.ErrorIs(t, err, train.ErrUnavailable, "no room for the job's files")
}

// The command is told how many processors it may use, in the ways that numeric
// libraries understand.
func TestExecLimitsThreads(t *testing.T) {
	t.Setenv("OMP_NUM_THREADS", "64")
	job := traintest.NewJob(t, 100, 1)
	job.Procs = 3
	_, err := command(t, "threads").Fit(t.Context(), job)
	require.ErrorContains(t, err, "procs 3, OMP 3, OPENBLAS 3, MKL 3, NUMEXPR 3, Go 3")
	_, err = command(t, "threads", "MKL_NUM_THREADS=2").Fit(t.Context(), job)
	require.ErrorContains(t, err, "procs 3, OMP 3, OPENBLAS 3, MKL 2,", "the command's own environment goes first")
	job.Procs = 0
	_, err = command(t, "threads").Fit(t.Context(), job)
	quarter := max(1, runtime.GOMAXPROCS(0)/4)
	require.ErrorContains(t, err, fmt.Sprintf("procs %d, OMP %d, OPENBLAS %[1]d,", quarter, quarter))
	job.Procs = -1
	_, err = command(t, "threads").Fit(t.Context(), job)
	require.ErrorIs(t, err, train.ErrInvalid)
	require.ErrorContains(t, err, "Procs is -1")
}

func TestCommandCheck(t *testing.T) {
	require.NoError(t, train.Command{Name: "python", Env: []string{"A=", "B=c=d"}}.Check())
	bad := train.Command{Args: []string{"a\x00b"}, Env: []string{"A", "=b"}}
	err := bad.Check()
	require.ErrorIs(t, err, train.ErrInvalid)
	for _, want := range []string{"train: exec: Name is empty", `"a\x00b" in Name, Dir or Args`, `Env has "A"`, `Env has "=b"`} {
		require.ErrorContains(t, err, want)
	}
	_, err = bad.Fit(t.Context(), traintest.NewJob(t, 100, 1))
	require.ErrorIs(t, err, train.ErrInvalid)
	require.ErrorContains(t, err, "Name is empty")
}

// TestExecKillsTheCommand ends the context while the command hangs.
func TestExecKillsTheCommand(t *testing.T) {
	started := filepath.Join(t.TempDir(), "started")
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := command(t, "hang", "MLLOOP_TEST_STARTED="+started).Fit(ctx, traintest.NewJob(t, 100, 1))
		done <- err
	}()
	var folder string
	require.Eventually(t, func() bool {
		data, err := os.ReadFile(started)
		folder = string(data)
		return err == nil && strings.HasSuffix(folder, "bundle")
	}, 20*time.Second, 5*time.Millisecond)
	cancel(nil)
	require.ErrorIs(t, <-done, context.Canceled)
	require.NoDirExists(t, filepath.Dir(folder))
}
