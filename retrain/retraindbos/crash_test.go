package retraindbos_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/crashtest"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retraindbos"
)

func TestMain(m *testing.M) { crashtest.Main(m, child) }

// hostVariable makes a child's machine another one.
const hostVariable = "MLLOOP_TEST_HOST"

// child runs the workflow "journal" as a/1, and hangs in its last step.
func child(ctx context.Context, dir string) error {
	db, o, err := openAs(ctx, dir, nil)
	if err != nil {
		return err
	}
	e := retraindbos.New(db, o)
	if host := os.Getenv(hostVariable); host != "" {
		e.SetHost(host)
	}
	err = errors.Join(
		e.Register("journal", journal(dir, "step0", "step1", "hang")),
		e.Launch(ctx),
		e.Start(ctx, "journal", "a/1", []byte("work")))
	if err != nil {
		return err
	}
	_, err = e.Wait(ctx, "a/1")
	return err
}

// journal is a workflow of the steps, each of which writes its name to a file
// and to standard output. A step named hang does not end.
func journal(dir string, names ...string) retrain.Workflow {
	return func(ctx context.Context, steps retrain.Steps, input []byte) ([]byte, error) {
		for _, name := range names {
			_, err := steps.Do(ctx, name, func(context.Context) ([]byte, error) {
				if err := appendLine(filepath.Join(dir, "journal"), name); err != nil {
					return nil, err
				}
				fmt.Println(name)
				if name == "hang" {
					select {}
				}
				return []byte(name), nil
			}, nil)
			if err != nil {
				return nil, err
			}
		}
		return append([]byte("finished "), input...), nil
	}
}

func appendLine(path, line string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, line)
	return errors.Join(err, f.Close())
}

func readJournal(t *testing.T, dir string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "journal"))
	require.NoError(t, err)
	return strings.Join(strings.Fields(string(text)), " ")
}

// Processes are killed in a step, again and again. Then comes one that knows
// nothing of the workflow, and then one with another version of it, other steps
// and another order of registration: it ends the workflow at once, and no step
// that was recorded ran twice.
func TestSurvivesKill(t *testing.T) { each(t, testSurvivesKill) }

func testSurvivesKill(t *testing.T, dir string) {
	for range 3 {
		crashtest.Kill(t, dir, func(line string) bool { return line == "hang" })
	}
	without := openEngine(t, dir, nil)
	require.NoError(t, without.Register("other", journal(dir, "other")))
	require.NoError(t, without.Launch(t.Context()))
	require.NoError(t, without.Start(t.Context(), "other", "a/1", nil))
	r, err := without.Result(t.Context(), "a/1")
	require.NoError(t, err)
	require.Equal(t, retrain.Result{}, r)
	require.NoError(t, without.Close(t.Context()))

	e := openEngine(t, dir, nil)
	require.NoError(t, e.Register("first", journal(dir, "other")))
	require.NoError(t, e.Register("journal", journal(dir, "new", "step1", "step0", "last")))
	require.NoError(t, e.Launch(t.Context()))
	r, err = e.Wait(soon(t.Context(), t), "a/1")
	require.NoError(t, err)
	require.NoError(t, r.Err)
	require.Equal(t, "finished work", string(r.Output))
	require.Equal(t, "step0 step1 hang hang hang new last", readJournal(t, dir))
}

// DBOS reads its executor and version from the environment. Neither matters.
func TestEnvironment(t *testing.T) { each(t, testEnvironment) }

func testEnvironment(t *testing.T, dir string) {
	t.Setenv("DBOS__VMID", "one")
	t.Setenv("DBOS__APPVERSION", "1")
	crashtest.Kill(t, dir, func(line string) bool { return line == "hang" })
	t.Setenv("DBOS__APPVERSION", "2")
	crashtest.Kill(t, dir, func(line string) bool { return line == "hang" })
	e := openEngine(t, dir, nil)
	require.NoError(t, e.Register("journal", journal(dir, "step0", "step1", "last")))
	require.NoError(t, e.Launch(t.Context()))
	r, err := e.Wait(soon(t.Context(), t), "a/1")
	require.NoError(t, err)
	require.Equal(t, "finished work", string(r.Output))
	require.Equal(t, "step0 step1 hang hang last", readJournal(t, dir))
}
