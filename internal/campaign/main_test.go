package campaign

import (
	"context"
	"encoding/json"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/crashtest"
	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retrainsql"
)

// task is what a process is started with.
type task struct {
	Name    string // writers, open, loop or follower
	Process int    // 0, 1, 2 …
	URL     string
	Schema  string // on PostgreSQL
	Rounds  int    // of writers
	Release int    // of the program that a loop is: 1 or 2
	Epoch   int64  // when a loop's world began, in milliseconds since 1970
	Journal string // file of the workflows' steps
}

func TestMain(m *testing.M) { crashtest.Main(m, child) }

func child(ctx context.Context, arg string) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, os.Interrupt)
	defer stop()
	var t task
	if err := json.Unmarshal([]byte(arg), &t); err != nil {
		return err
	}
	switch t.Name {
	case "writers":
		return runWriters(ctx, t)
	case "open":
		return runOpen(ctx, t)
	case "loop":
		return runLoop(ctx, t)
	case "follower":
		return runFollower(ctx, t)
	}
	return fault.Errorf(fault.Invalid, "no task is named %q", t.Name)
}

// start starts a process for the task.
func start(t testing.TB, what task, env []string, line func(text string)) *crashtest.Child {
	t.Helper()
	arg, err := json.Marshal(what)
	require.NoError(t, err)
	return crashtest.Start(t, string(arg), env, line)
}

func (t task) open(ctx context.Context) (*retrain.Stores, error) {
	return retrainsql.Open(ctx, t.URL, &retrainsql.Options{Schema: t.Schema})
}

func openStores(t testing.TB, what task) *retrain.Stores {
	t.Helper()
	stores, err := what.open(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, stores.Close(context.Background())) })
	return stores
}
