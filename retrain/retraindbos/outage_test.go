package retraindbos_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/internal/pgtest"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retraindbos"
	"github.com/mlloop/mlloop/sqlstore"
)

// outage is how long the database is away: longer than a Lease.
const outage = 12 * time.Second

// on returns an engine on the server, on a machine of the name.
func on(t *testing.T, url, host string, o *retraindbos.Options) *retraindbos.Engine {
	t.Helper()
	db, err := sqlstore.Open(t.Context(), url, nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	e := retraindbos.New(db, o)
	e.SetHost(host)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 2*time.Second)
		defer cancel()
		_ = e.Close(ctx)
	})
	return e
}

// The database falls in the middle of steps and comes back. Callers are answered
// meanwhile; afterwards everything goes on by itself, where it ran, and no step
// runs twice, though another machine's process watches.
func TestDatabaseGoesAway(t *testing.T) {
	server := pgtest.StartServer(t)
	first, second := on(t, server.URL, "first", nil), on(t, server.URL, "second", nil)
	var ran atomic.Int64
	began, release := make(chan struct{}, 2), make(chan struct{})
	for _, e := range []*retraindbos.Engine{first, second} {
		require.NoError(t, e.Register("w", func(ctx context.Context, steps retrain.Steps, input []byte) ([]byte, error) {
			ran.Add(1)
			out, err := blocking("through ", began, release)(ctx, steps, input)
			if err != nil {
				return nil, err
			}
			data, _, err := steps.Await(ctx, "approval", 0)
			return append(out, data...), err
		}))
		require.NoError(t, e.Launch(t.Context()))
	}
	require.NoError(t, first.Start(t.Context(), "w", "a/1", nil))
	<-began
	time.Sleep(3 * time.Second) // the second one sees it at work

	server.Stop()
	close(release) // the step ends while there is nowhere to record it
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	require.Error(t, second.Start(ctx, "w", "a/2", nil))
	require.Less(t, time.Since(deadlineOf(ctx)), time.Second)
	time.Sleep(outage)
	server.Start()
	back := time.Now()
	signal(t, second, "a/1", "the outage")
	r, err := second.Wait(within(t, time.Minute), "a/1")
	require.NoError(t, err)
	require.NoError(t, r.Err)
	require.Equal(t, "through the outage", string(r.Output))
	t.Logf("went on %s after the database came back", time.Since(back).Round(time.Millisecond))
	require.EqualValues(t, 1, ran.Load(), "it went on where it ran")
	require.NoError(t, second.Start(t.Context(), "w", "a/2", nil))
}

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func deadlineOf(ctx context.Context) time.Time {
	deadline, _ := ctx.Deadline()
	return deadline
}

// signal sends the data as soon as the database takes it.
func signal(t *testing.T, e retrain.Engine, id, data string) {
	t.Helper()
	require.Eventually(t, func() bool { return e.Signal(within(t, time.Second), id, "approval", []byte(data)) == nil },
		30*time.Second, 100*time.Millisecond)
}

// A server that is away when the engine is launched, or that has no connection
// left, is an error that says so, in the time of its context; Launch works later.
func TestLaunchWithout(t *testing.T) {
	server := pgtest.StartServer(t, "max_connections=6", "superuser_reserved_connections=0")
	db, err := sqlstore.Open(t.Context(), server.URL, nil)
	require.NoError(t, err)
	defer db.Close()
	e := retraindbos.New(db, nil)
	defer e.Close(t.Context())
	server.Stop()
	require.ErrorIs(t, e.Launch(within(t, 5*time.Second)), fault.Unavailable)
	server.Start()

	others, err := sqlstore.Open(t.Context(), server.URL, nil)
	require.NoError(t, err)
	defer others.Close()
	var taken []interface{ Close() error }
	for range 6 {
		if c, err := others.Pool().Conn(t.Context()); err == nil {
			taken = append(taken, c)
		}
	}
	for range 2 { // none is left, then one, on which the engine listens and no more
		err = e.Launch(within(t, 3*time.Second))
		require.ErrorIs(t, err, fault.Unavailable)
		require.ErrorContains(t, err, "connection")
		require.NoError(t, taken[0].Close())
		taken = taken[1:]
		others.Pool().SetMaxIdleConns(0)
	}
	for _, c := range taken {
		require.NoError(t, c.Close())
	}
	require.NoError(t, others.Close())
	require.NoError(t, e.Launch(within(t, 20*time.Second)))
	require.NoError(t, e.Register("w", blocking("done", make(chan struct{}, 1), closed())))
	require.NoError(t, e.Start(t.Context(), "w", "a/1", nil))
	r, err := e.Wait(soon(t.Context(), t), "a/1")
	require.NoError(t, err)
	require.Equal(t, "done", string(r.Output))
}

func closed() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

// A role that may not make the tables is told so; once an administrator made them,
// it runs workflows.
func TestLaunchRights(t *testing.T) {
	server := pgtest.StartServer(t)
	owner, err := sqlstore.Open(t.Context(), server.URL, nil)
	require.NoError(t, err)
	defer owner.Close()
	_, err = owner.Exec(t.Context(), "CREATE ROLE service LOGIN PASSWORD '"+pgtest.Password+"'")
	require.NoError(t, err)
	url := strings.Replace(server.URL, "//mlloop:", "//service:", 1)
	err = on(t, url, "first", nil).Launch(t.Context())
	require.ErrorIs(t, err, fault.Denied)

	statements, err := on(t, url, "first", nil).Migrations("service")
	require.NoError(t, err)
	for _, statement := range statements {
		_, err := owner.Pool().ExecContext(t.Context(), statement, pgx.QueryExecModeSimpleProtocol)
		require.NoError(t, err, statement)
	}
	e := on(t, url, "first", nil)
	require.NoError(t, e.Register("four", fourSteps))
	require.NoError(t, e.Launch(t.Context()))
	require.NoError(t, e.Start(t.Context(), "four", "a/1", []byte("done")))
	r, err := e.Wait(soon(t.Context(), t), "a/1")
	require.NoError(t, err)
	require.Equal(t, "done", string(r.Output))
}
