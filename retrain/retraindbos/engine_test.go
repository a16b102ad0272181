package retraindbos_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/sqldb"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retraindbos"
	"github.com/mlloop/mlloop/retrain/retraintest"
)

func openEngine(ctx context.Context, dir string) (*retraindbos.Engine, func(), error) {
	db, dialect, err := sqldb.Open(ctx, "sqlite:"+filepath.Join(dir, "engine.db"))
	if err != nil {
		return nil, nil, err
	}
	return retraindbos.New(db, dialect, nil), func() { _ = db.Close() }, nil
}

func TestEngine(t *testing.T) {
	retraintest.RunEngine(t, func(t *testing.T) retrain.Engine {
		e, closeDB, err := openEngine(t.Context(), t.TempDir())
		require.NoError(t, err)
		t.Cleanup(closeDB)
		return e
	})
}

func TestLaunchRejectsDialect(t *testing.T) {
	err := retraindbos.New(nil, "oracle", nil).Launch(t.Context())
	require.ErrorIs(t, err, retrain.ErrUnsupported)
	require.ErrorContains(t, err, `dialect "oracle"`)
}

// registerJournal registers a workflow of five steps that each append their
// name to a file before they return; the third waits for a file named "go".
func registerJournal(e *retraindbos.Engine, dir string) error {
	return e.Register("journal", func(ctx context.Context, steps retrain.Steps, input []byte) ([]byte, error) {
		for i := range 5 {
			name := fmt.Sprintf("step%d", i)
			_, err := steps.Do(ctx, name, func(ctx context.Context) ([]byte, error) {
				if err := appendLine(filepath.Join(dir, "journal"), name); err != nil {
					return nil, err
				}
				if i == 2 {
					return nil, waitForFile(ctx, filepath.Join(dir, "go"))
				}
				return []byte(name), nil
			})
			if err != nil {
				return nil, err
			}
		}
		return append([]byte("finished "), input...), nil
	})
}

func appendLine(path, line string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, line)
	return errors.Join(err, f.Close())
}

func waitForFile(ctx context.Context, path string) error {
	for {
		if _, err := os.Stat(path); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// TestSurvivesKill kills a process in its third step and checks that a second
// one finishes the workflow without running the first two again.
func TestSurvivesKill(t *testing.T) {
	if dir := os.Getenv("RETRAINDBOS_CRASH_DIR"); dir != "" {
		runCrashChild(t, dir)
		return
	}
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSurvivesKill$", "-test.v")
	cmd.Env = append(os.Environ(), "RETRAINDBOS_CRASH_DIR="+dir)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	waitForJournal(t, dir, "step2", out)
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait() // killed: its status says so

	require.NoError(t, os.WriteFile(filepath.Join(dir, "go"), nil, 0o600))
	e, closeDB, err := openEngine(t.Context(), dir)
	require.NoError(t, err)
	defer closeDB()
	require.NoError(t, registerJournal(e, dir))
	require.NoError(t, e.Launch(t.Context()))
	result, err := e.Run(t.Context(), "journal", "a/1", []byte("another input is ignored"))
	require.NoError(t, err)
	require.Equal(t, "finished work", string(result))
	require.NoError(t, e.Close(t.Context()))

	journal, err := os.ReadFile(filepath.Join(dir, "journal"))
	require.NoError(t, err)
	require.Equal(t, "step0 step1 step2 step2 step3 step4", strings.Join(strings.Fields(string(journal)), " "))
}

func runCrashChild(t *testing.T, dir string) {
	e, _, err := openEngine(t.Context(), dir)
	require.NoError(t, err)
	require.NoError(t, registerJournal(e, dir))
	require.NoError(t, e.Launch(t.Context()))
	_, err = e.Run(t.Context(), "journal", "a/1", []byte("work"))
	require.NoError(t, err)
}

// waitForJournal returns once the child's journal has the line; the child's
// output ending first is a failure, and is shown.
func waitForJournal(t *testing.T, dir, line string, childOutput io.Reader) {
	t.Helper()
	ended := make(chan string, 1)
	go func() {
		var text strings.Builder
		for s := bufio.NewScanner(childOutput); s.Scan(); {
			text.WriteString(s.Text() + "\n")
		}
		ended <- text.String()
	}()
	for {
		journal, _ := os.ReadFile(filepath.Join(dir, "journal")) // absent at first
		if strings.Contains(string(journal), line) {
			return
		}
		select {
		case text := <-ended:
			require.Fail(t, "the child ended early", text)
		case <-time.After(5 * time.Millisecond):
		}
	}
}
