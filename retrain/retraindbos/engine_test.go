package retraindbos_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/sqldb"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retraindbos"
	"github.com/mlloop/mlloop/retrain/retraintest"
)

// openEngine returns an engine on the database of the folder, which is closed
// with the test.
func openEngine(t *testing.T, dir string, o *retraindbos.Options) *retraindbos.Engine {
	t.Helper()
	db, dialect, err := sqldb.Open(t.Context(), "sqlite:"+filepath.Join(dir, "engine.db")+"?synchronous=normal")
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	e := retraindbos.New(db, dialect, o)
	t.Cleanup(func() { _ = e.Close(soon(context.WithoutCancel(t.Context()), t)) })
	return e
}

func soon(ctx context.Context, t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestEngine(t *testing.T) {
	retraintest.RunEngine(t, func(t *testing.T) func() retrain.Engine {
		dir := t.TempDir()
		return func() retrain.Engine { return openEngine(t, dir, nil) }
	})
}

func TestLaunchRejectsDialect(t *testing.T) {
	err := retraindbos.New(nil, "oracle", nil).Launch(t.Context())
	require.ErrorIs(t, err, retrain.ErrUnsupported)
	require.ErrorContains(t, err, `dialect "oracle"`)
}

// Calls return with their context while another writer keeps the database locked.
func TestLockedDatabase(t *testing.T) {
	dir := t.TempDir()
	e := openEngine(t, dir, nil)
	began := make(chan struct{}, 1)
	require.NoError(t, e.Register("w", blocking("w", began, nil)))
	require.NoError(t, e.Launch(t.Context()))
	require.NoError(t, e.Start(t.Context(), "w", "a/1", nil))
	<-began
	other, _, err := sqldb.Open(t.Context(), "sqlite:"+filepath.Join(dir, "engine.db"))
	require.NoError(t, err)
	defer other.Close()
	lock, err := other.BeginTx(t.Context(), nil) // takes the write lock at once
	require.NoError(t, err)

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	begin := time.Now()
	require.ErrorIs(t, e.Start(ctx, "w", "a/2", nil), context.DeadlineExceeded)
	require.ErrorIs(t, e.Cancel(ctx, "a/1"), context.DeadlineExceeded)
	_, err = e.Wait(ctx, "a/1")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Less(t, time.Since(begin), 5*time.Second)
	require.NoError(t, lock.Rollback())
}

// blocking is a workflow of one step that says that it began, and gives text
// when it is released; it ends with its context.
func blocking(text string, began chan<- struct{}, release <-chan struct{}) retrain.Workflow {
	return func(ctx context.Context, steps retrain.Steps, _ []byte) ([]byte, error) {
		return steps.Do(ctx, "block", func(ctx context.Context) ([]byte, error) {
			began <- struct{}{}
			select {
			case <-release:
				return []byte(text), nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}, nil)
	}
}
