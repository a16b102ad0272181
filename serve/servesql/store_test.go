package servesql_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"github.com/mlloop/mlloop/internal/sqltest"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/serve/servesql"
	"github.com/mlloop/mlloop/serve/servetest"
	"github.com/mlloop/mlloop/sqlstore"
	"github.com/mlloop/mlloop/train/frame"
)

func open(t testing.TB, path string) *servesql.Store {
	t.Helper()
	s, err := servesql.Open(context.Background(), "sqlite:"+path+"?synchronous=normal", nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func file(t testing.TB) string { return filepath.Join(t.TempDir(), "serve.db") }

// TestStore: the store works on SQLite and PostgreSQL, opened by URL, on the
// service's own pool, be it of a single connection.
func TestStore(t *testing.T) {
	sqltest.Each(t, servesql.Schema(), func(t *testing.T, open sqltest.Open) {
		servetest.Run(t, func(t *testing.T) serve.Store { return closed(t, servesql.New(open(t))) })
	})
}

// TestStoreOnTwoConnections: a pool of two is enough, also for who waits.
func TestStoreOnTwoConnections(t *testing.T) {
	eachPlace(t, func(t *testing.T, p place) {
		schema := 0
		servetest.Run(t, func(t *testing.T) serve.Store {
			schema++
			db, err := sqlstore.Open(t.Context(), p.url, &sqlstore.Options{Schema: p.schema, Prefix: fmt.Sprintf("s%d_", schema)})
			require.NoError(t, err)
			db.Pool().SetMaxOpenConns(2)
			t.Cleanup(func() { require.NoError(t, db.Close()) })
			s := servesql.New(db)
			require.NoError(t, s.Migrate(t.Context()))
			return closed(t, s)
		})
	})
}

// TestStoreInTx: so does it inside the service's own transaction.
func TestStoreInTx(t *testing.T) {
	sqltest.EachTx(t, servesql.Schema(), func(t *testing.T, open sqltest.Open) {
		servetest.RunInTx(t, func(t *testing.T) serve.Store {
			return closed(t, servesql.New(open(t)))
		})
	})
}

// closed closes the store when its test ends.
func closed(t *testing.T, s *servesql.Store) *servesql.Store {
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// pool opens a database the way a service does that knows nothing of mlloop,
// but for waiting for the disk.
func pool(t testing.TB, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=synchronous(off)")
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// on returns a store on the service's own pool of a SQLite file.
func on(db *sql.DB) *servesql.Store { return servesql.New(sqlstore.New(db, sqlstore.SQLite, nil)) }

// TestPrefix: all that the store makes lies under its prefix.
func TestPrefix(t *testing.T) {
	db := pool(t, file(t))
	s := servesql.New(sqlstore.New(db, sqlstore.SQLite, &sqlstore.Options{Prefix: "ours_"}))
	require.NoError(t, s.Migrate(t.Context()))
	require.NoError(t, s.AppendPredictions(t.Context(), day(0)))
	var n int
	require.NoError(t, db.QueryRow(`SELECT count(*) FROM sqlite_master WHERE name NOT LIKE 'ours!_%' ESCAPE '!' AND name NOT LIKE 'sqlite!_%' ESCAPE '!'`).Scan(&n))
	require.Zero(t, n)
}

// TestReopen: everything survives closing, schemas included.
func TestReopen(t *testing.T) {
	path := file(t)
	first := open(t, path)
	want := day(0)
	require.NoError(t, first.AppendPredictions(t.Context(), want))
	_, err := first.AppendLabels(t.Context(), labelsOf(want))
	require.NoError(t, err)
	require.NoError(t, first.Close())

	second := open(t, path)
	got, err := second.Labels(t.Context(), serve.LabelQuery{Model: "electricity"})
	require.NoError(t, err)
	require.Len(t, got, 48)
	for i, p := range got {
		require.Equal(t, want[i].Features, p.Features)
		require.Equal(t, want[i].Outputs, p.Outputs)
	}
	require.NoError(t, second.AppendPredictions(t.Context(), day(1)), "the schema is known already")
	ps, err := second.Predictions(t.Context(), serve.PredictionQuery{Model: "electricity"})
	require.NoError(t, err)
	require.Len(t, ps, 96)
}

func TestMigrations(t *testing.T) {
	opts := &sqlstore.Options{Prefix: "ours_"}
	steps, err := servesql.Schema().Migrations(sqlstore.SQLite, opts)
	require.NoError(t, err)
	require.Contains(t, steps[0].SQL, "CREATE TABLE ours_serve_prediction")
	db := pool(t, file(t))
	_, err = db.Exec(steps[0].SQL)
	require.NoError(t, err)
	require.NoError(t, servesql.New(sqlstore.New(db, sqlstore.SQLite, opts)).Migrate(t.Context()), "nothing is left to do")
	require.ErrorIs(t, servesql.New(sqlstore.New(pool(t, file(t)), "oracle", nil)).Migrate(t.Context()), serve.ErrUnsupported)
}

func TestOpenErrors(t *testing.T) {
	_, err := servesql.Open(t.Context(), "mysql://x", nil)
	require.ErrorIs(t, err, serve.ErrUnsupported)
	_, err = servesql.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "none", "serve.db"), nil)
	require.ErrorIs(t, err, serve.ErrUnavailable)
	require.ErrorContains(t, err, "create it first")

	broken := file(t)
	require.NoError(t, os.WriteFile(broken, []byte(strings.Repeat("no database ", 500)), 0o600))
	_, err = servesql.Open(t.Context(), "sqlite:"+broken, nil)
	require.ErrorIs(t, err, serve.ErrCorrupt)

	newer := file(t)
	require.NoError(t, open(t, newer).Close())
	db := pool(t, newer)
	_, err = db.Exec(`INSERT INTO mlloop_migration (store, version, name, checksum, applied_at) VALUES ('serve', 2, '002_x.sql', 'x', 0)`)
	require.NoError(t, err)
	_, err = servesql.Open(t.Context(), "sqlite:"+newer, nil)
	require.ErrorIs(t, err, serve.ErrUnsupported)
	require.ErrorContains(t, err, "run the newer mlloop")
}

func TestClosedStore(t *testing.T) {
	s := open(t, file(t))
	require.NoError(t, s.AppendPredictions(t.Context(), day(0)))
	require.NoError(t, s.Close())
	require.ErrorIs(t, s.AppendPredictions(t.Context(), day(1)), serve.ErrClosed)
	_, err := s.AppendLabels(t.Context(), labelsOf(day(0)))
	require.ErrorIs(t, err, serve.ErrClosed)
	_, err = s.Labels(t.Context(), serve.LabelQuery{Model: "electricity"})
	require.ErrorIs(t, err, serve.ErrClosed)
	_, err = s.Route(t.Context(), "electricity")
	require.ErrorIs(t, err, serve.ErrClosed)
	require.ErrorIs(t, s.PutRoute(t.Context(), serve.Route{Model: "electricity", Primary: 1, Rev: 1}), serve.ErrClosed)
}

// TestFullDisk: the database is bounded to its present size, which SQLite
// reports as a full disk; a batch is then stored wholly or not at all, and
// storing goes on when there is room.
func TestFullDisk(t *testing.T) {
	db := pool(t, file(t))
	db.SetMaxOpenConns(1) // the pragma below is the connection's
	s := on(db)
	require.NoError(t, s.Migrate(t.Context()))
	var pages int
	require.NoError(t, db.QueryRow(`PRAGMA page_count`).Scan(&pages))
	_, err := db.Exec(fmt.Sprintf(`PRAGMA max_page_count = %d`, pages+8))
	require.NoError(t, err)
	stored := 0
	for err = error(nil); err == nil; stored++ {
		require.Less(t, stored, 100)
		err = s.AppendPredictions(t.Context(), day(stored))
	}
	require.ErrorIs(t, err, serve.ErrUnavailable)
	require.ErrorContains(t, err, "the disk is full: free some space and try again")
	counts, err := s.Counts(t.Context(), "electricity")
	require.NoError(t, err)
	require.EqualValues(t, 48*(stored-1), counts.Predictions)
	_, err = db.Exec(`PRAGMA max_page_count = 100000`)
	require.NoError(t, err)
	require.NoError(t, s.AppendPredictions(t.Context(), day(stored-1)))
}

// TestDamagedRecords: what cannot be read is named, and is no panic.
func TestDamagedRecords(t *testing.T) {
	for _, c := range []struct {
		damage, want string
		kind         error
	}{
		{`UPDATE mlloop_serve_prediction SET features = '[1'`, `stored prediction "row-0" of model "electricity"`, serve.ErrCorrupt},
		{`UPDATE mlloop_serve_prediction SET features = '[]'`, "not of their schema", serve.ErrCorrupt},
		{`UPDATE mlloop_serve_prediction SET features = x'0100'`, "not of their schema", serve.ErrCorrupt},
		{`UPDATE mlloop_serve_prediction SET outputs = '[1,2,3]'`, `column "label"`, serve.ErrCorrupt},
		{`UPDATE mlloop_serve_prediction SET outputs = '["UP",1,2,3]'`, "after its 3 columns", serve.ErrCorrupt},
		{`UPDATE mlloop_serve_label SET kind = 'int64'`, `stored label of "row-0"`, serve.ErrCorrupt},
		{`UPDATE mlloop_serve_schema SET fields = '[]'`, "differs from its digest", serve.ErrCorrupt},
		{`DELETE FROM mlloop_serve_schema`, "schema 1 is missing", serve.ErrCorrupt},
	} {
		path := file(t)
		first := open(t, path)
		require.NoError(t, first.AppendPredictions(t.Context(), day(0)[:1]))
		_, err := first.AppendLabels(t.Context(), labelsOf(day(0)[:1]))
		require.NoError(t, err)
		require.NoError(t, first.Close())
		_, err = pool(t, path).Exec(c.damage)
		require.NoError(t, err)
		_, err = open(t, path).Labels(t.Context(), serve.LabelQuery{Model: "electricity"})
		require.ErrorIs(t, err, c.kind, c.damage)
		require.ErrorContains(t, err, c.want, c.damage)
	}
}

// TestBadRows: features that do not fit their schema are refused, with nothing stored.
func TestBadRows(t *testing.T) {
	s := open(t, file(t))
	ps := day(0)[:2]
	ps[1].Features.Values = ps[1].Features.Values[:3]
	err := s.AppendPredictions(t.Context(), ps)
	require.ErrorIs(t, err, serve.ErrInvalid)
	require.ErrorContains(t, err, `prediction "row-1": row has 3 values for 6 columns`)
	ps = day(0)[:1]
	ps[0].Features.Values[0] = frame.IntValue(1)
	require.ErrorIs(t, s.AppendPredictions(t.Context(), ps), serve.ErrInvalid)
	counts, err := s.Counts(t.Context(), "electricity")
	require.NoError(t, err)
	require.Zero(t, counts)
}

// TestEraseReadsLittle: a subject's predictions are found by the indexes of ids
// and keys, not among all of the model's.
func TestEraseReadsLittle(t *testing.T) {
	db := sqltest.SQLite(t)
	require.NoError(t, db.Migrate(t.Context(), servesql.Schema()))
	steps, err := sqlstore.Select(t.Context(), db, func(row sqlstore.Scanner) (step string, err error) {
		var a, b, c int
		err = row.Scan(&a, &b, &c, &step)
		return step, err
	}, `EXPLAIN QUERY PLAN DELETE FROM {p}serve_prediction WHERE model = ? AND seq IN `+servesql.Erased, 1, 1, "a", 1, "a")
	require.NoError(t, err)
	plan := strings.Join(steps, "\n")
	require.Contains(t, plan, "serve_prediction_id (id=? AND model=?)")
	require.Contains(t, plan, "serve_prediction_key (model=? AND key=?)")
}
