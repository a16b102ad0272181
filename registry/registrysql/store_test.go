package registrysql_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/pgtest"
	"github.com/mlloop/mlloop/internal/sqltest"
	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/registry/registrysql"
	"github.com/mlloop/mlloop/registry/registrytest"
	"github.com/mlloop/mlloop/sqlstore"
	"github.com/mlloop/mlloop/tracking/artifact"
)

func TestStore(t *testing.T) {
	sqltest.Each(t, registrysql.Schema(), func(t *testing.T, open sqltest.Open) {
		registrytest.Run(t, func(t *testing.T) registry.Store { return registrysql.New(open(t)) })
	})
}

// Inside a transaction of the service's own, one call follows the other.
func TestStoreInTheServicesTransaction(t *testing.T) {
	sqltest.EachTx(t, registrysql.Schema(), func(t *testing.T, open sqltest.Open) {
		registrytest.RunSerial(t, func(t *testing.T) registry.Store { return registrysql.New(open(t)) })
	})
}

// databases are a fresh file, and a fresh schema where there is PostgreSQL.
func databases(t *testing.T, test func(t *testing.T, db *sqlstore.DB)) {
	for name, open := range map[string]sqltest.Open{"sqlite": sqltest.SQLite, "postgresql": sqltest.PostgreSQL} {
		t.Run(name, func(t *testing.T) {
			db := open(t)
			require.NoError(t, registrysql.New(db).Migrate(t.Context()))
			test(t, db)
		})
	}
}

// What a service changes together is there together, or not at all.
func TestAServicesTransaction(t *testing.T) {
	databases(t, func(t *testing.T, db *sqlstore.DB) {
		store, files := registrysql.New(db), artifact.Memory()
		models := registry.New(store, files, nil)
		_, err := models.Register(t.Context(), "m", registrytest.Bundle(t, "1"), nil)
		require.NoError(t, err)
		inside := func(end func(*sql.Tx) error) {
			tx, err := db.Pool().BeginTx(t.Context(), nil)
			require.NoError(t, err)
			models := registry.New(store.WithTx(tx), files, nil)
			_, err = models.Promote(t.Context(), "m", 1, 0, registry.Change{})
			require.NoError(t, err)
			_, err = models.Promote(t.Context(), "m", 7, 1, registry.Change{})
			require.ErrorIs(t, err, registry.ErrNotFound, "which leaves the transaction usable")
			v, err := models.Resolve(t.Context(), "m@champion")
			require.NoError(t, err)
			require.EqualValues(t, 1, v.Number)
			require.NoError(t, end(tx))
		}
		inside((*sql.Tx).Rollback)
		registrytest.RequireChampion(t, models, "m", 0)
		inside((*sql.Tx).Commit)
		registrytest.RequireChampion(t, models, "m", 1)
		registrytest.RequireConsistent(t, models, "m")
	})
}

// Two that append to one trail in transactions that see an older moment: one is
// told, and none writes an event of the same number.
func TestAServicesTransactionThatSeesAnOlderMoment(t *testing.T) {
	db := sqltest.PostgreSQL(t)
	store := registrysql.New(db)
	require.NoError(t, store.Migrate(t.Context()))
	models := registry.New(store, artifact.Memory(), nil)
	_, err := models.Register(t.Context(), "m", registrytest.Bundle(t, "1"), nil)
	require.NoError(t, err)
	tx, err := db.Pool().BeginTx(t.Context(), &sql.TxOptions{Isolation: sql.LevelRepeatableRead})
	require.NoError(t, err)
	defer func() { _ = tx.Rollback() }()
	inside := registry.New(store.WithTx(tx), artifact.Memory(), nil)
	_, err = inside.Version(t.Context(), "m", 1) // from here on it sees this moment
	require.NoError(t, err)
	_, err = models.SetAlias(t.Context(), "m", "a", 0, 1, registry.Change{})
	require.NoError(t, err)
	_, err = inside.SetAlias(t.Context(), "m", "b", 0, 1, registry.Change{})
	require.ErrorIs(t, err, registry.ErrUnavailable)
	require.ErrorContains(t, err, "try again")
}

// Two handles on one database are what two processes have.
func TestTwoHandlesOnOneDatabase(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		twoHandles(t, "sqlite:"+filepath.Join(t.TempDir(), "r.db")+"?synchronous=normal", nil)
	})
	t.Run("postgresql", func(t *testing.T) {
		url := pgtest.With(t, pgtest.URL(t), "pool_max_conns", "2")
		twoHandles(t, url, &sqlstore.Options{Schema: pgtest.Schema(t)})
	})
}

func twoHandles(t *testing.T, url string, opts *sqlstore.Options) {
	var handles []*registry.Client
	for range 2 {
		s, err := registrysql.Open(t.Context(), url, opts)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.Close()) })
		handles = append(handles, registry.New(s, artifact.Memory(), nil))
	}
	var wg sync.WaitGroup
	var promoted atomic.Int64
	for i := range 20 {
		wg.Go(func() {
			models := handles[i%2]
			v, err := models.Register(t.Context(), "m", registrytest.Bundle(t, strconv.Itoa(i)), nil)
			if !assert.NoError(t, err) {
				return
			}
			_, err = models.Promote(t.Context(), "m", v.Number, 0, registry.Change{})
			if err == nil {
				promoted.Add(1)
			} else {
				assert.ErrorIs(t, err, registry.ErrConflict)
			}
			assert.NoError(t, models.VerifyAudit(t.Context(), "m", nil), "while others change the model")
		})
	}
	wg.Wait()
	require.EqualValues(t, 1, promoted.Load(), "one promotion wins")
	newest, err := handles[0].Resolve(t.Context(), "m/latest")
	require.NoError(t, err)
	require.EqualValues(t, 20, newest.Number)
	registrytest.RequireConsistent(t, handles[1], "m")
}

func openAt(t *testing.T, url string) *registrysql.Store {
	s, err := registrysql.Open(t.Context(), url, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// Opening what is migrated, and reading it, waits for no writer.
func TestOpenWhileAnotherWrites(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.db")
	models := registry.New(openAt(t, "sqlite:"+path), artifact.Memory(), nil)
	_, err := models.Register(t.Context(), "m", registrytest.Bundle(t, "1"), nil)
	require.NoError(t, err)
	writer, err := sql.Open("sqlite", sqltest.ServiceURL(path))
	require.NoError(t, err)
	defer writer.Close()
	writer.SetMaxOpenConns(1)
	_, err = writer.Exec("BEGIN IMMEDIATE")
	require.NoError(t, err)

	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second) // less than a writer is waited for
	defer cancel()
	s, err := registrysql.Open(ctx, "sqlite:"+path, nil)
	require.NoError(t, err)
	defer s.Close()
	_, err = s.Version(ctx, "m", 1)
	require.NoError(t, err)
}

func TestOpenTellsWhatIsWrong(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.db")
	s := openAt(t, "sqlite:"+path)
	_, err := registrysql.Open(t.Context(), "mysql://localhost/db", nil)
	require.ErrorIs(t, err, registry.ErrUnsupported)
	_, err = registrysql.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "no", "r.db"), nil)
	require.ErrorIs(t, err, registry.ErrUnavailable)
	_, err = registrysql.Open(t.Context(), "sqlite:"+path, &sqlstore.Options{Prefix: "Bad-"})
	require.ErrorIs(t, err, registry.ErrInvalid)
	require.NoError(t, s.Close())
	_, err = s.Models(t.Context(), "", 0)
	require.ErrorIs(t, err, registry.ErrClosed)
	_, err = registrysql.New(sqltest.SQLite(t)).Models(t.Context(), "", 0)
	require.ErrorIs(t, err, registry.ErrUnavailable)
	require.ErrorContains(t, err, "call Migrate")
}

// What an administrator runs by hand leaves nothing to do.
func TestMigrationsCanBePrinted(t *testing.T) {
	for dialect, open := range map[sqlstore.Dialect]sqltest.Open{sqlstore.SQLite: sqltest.SQLite, sqlstore.PostgreSQL: sqltest.PostgreSQL} {
		t.Run(string(dialect), func(t *testing.T) {
			db := open(t)
			if db.Schema() != "" {
				_, err := db.Pool().ExecContext(t.Context(), `CREATE SCHEMA `+db.Schema())
				require.NoError(t, err)
			}
			steps, err := registrysql.Schema().Migrations(dialect, &sqlstore.Options{Prefix: "ml_", Schema: db.Schema()})
			require.NoError(t, err)
			require.Len(t, steps, 1)
			_, err = db.Pool().ExecContext(t.Context(), steps[0].SQL)
			require.NoError(t, err)
			s := registrysql.New(sqlstore.New(db.Pool(), dialect, &sqlstore.Options{Prefix: "ml_", Schema: db.Schema()}))
			require.NoError(t, s.Migrate(t.Context()))
			_, err = registry.New(s, artifact.Memory(), nil).Register(t.Context(), "m", registrytest.Bundle(t, "1"), nil)
			require.NoError(t, err)
		})
	}
}

// Whose database it is, closes it.
func TestCloseLeavesTheDatabaseOfNewOpen(t *testing.T) {
	db := sqltest.SQLite(t)
	s := registrysql.New(db)
	require.NoError(t, s.Migrate(t.Context()))
	require.NoError(t, s.Close())
	require.NoError(t, registrysql.New(db).Migrate(t.Context()))
}
