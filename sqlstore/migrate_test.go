package sqlstore_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/internal/pgtest"
	"github.com/mlloop/mlloop/internal/sqltest"
	"github.com/mlloop/mlloop/sqlstore"
)

// steps are a store's migrations, the same for both dialects.
func steps(texts ...string) sqlstore.Schema {
	files := fstest.MapFS{}
	for i, text := range texts {
		for _, dialect := range []string{"sqlite", "postgres"} {
			files[fmt.Sprintf("migration/%s/%03d_step.sql", dialect, i+1)] = &fstest.MapFile{Data: []byte(text)}
		}
	}
	return sqlstore.Schema{Domain: "toy", Files: files}
}

const (
	one = "CREATE TABLE {p}one (a INTEGER);\nCREATE INDEX {n}one_a ON {p}one (a);\n"
	two = "ALTER TABLE {p}one ADD COLUMN b TEXT NOT NULL DEFAULT '';\n"
)

// onBoth runs test on an empty database of each dialect.
func onBoth(t *testing.T, test func(t *testing.T, db *sqlstore.DB)) {
	for name, open := range map[string]sqltest.Open{"sqlite": sqltest.SQLite, "postgresql": sqltest.PostgreSQL} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func versions(t *testing.T, db *sqlstore.DB) (n int) {
	t.Helper()
	require.NoError(t, db.QueryRow(t.Context(), "SELECT count(*) FROM {p}migration").Scan(&n))
	return n
}

func exec(t *testing.T, db *sqlstore.DB, query string) {
	t.Helper()
	_, err := db.Exec(t.Context(), query)
	require.NoError(t, err)
}

func TestMigrate(t *testing.T) {
	onBoth(t, func(t *testing.T, db *sqlstore.DB) {
		require.NoError(t, db.Migrate(t.Context(), steps(one)))
		exec(t, db, "INSERT INTO {p}one (a) VALUES (1)")
		require.NoError(t, db.Migrate(t.Context(), steps(one)), "again is a no-op")
		require.NoError(t, db.Migrate(t.Context(), steps(one, two)), "a later release adds its step")
		exec(t, db, "INSERT INTO {p}one (a, b) VALUES (2, 'x')")
		require.Equal(t, 2, versions(t, db))
		other := steps("CREATE TABLE {p}other (a INTEGER)")
		other.Domain = "other"
		require.NoError(t, db.Migrate(t.Context(), other), "stores live side by side")
		aside := sqlstore.New(db.Pool(), db.Dialect(), &sqlstore.Options{Prefix: "q_", Schema: db.Schema()})
		require.NoError(t, aside.Migrate(t.Context(), steps(one)), "prefixes too")
		require.Equal(t, 3, versions(t, db))
		require.Equal(t, 1, versions(t, aside))
	})
}

func TestMigrateRefusesADatabaseThatItDoesNotKnow(t *testing.T) {
	onBoth(t, func(t *testing.T, db *sqlstore.DB) {
		require.NoError(t, db.Migrate(t.Context(), steps(one, two)))
		err := db.Migrate(t.Context(), steps(one))
		require.ErrorIs(t, err, fault.Unsupported, "a newer release wrote it")
		require.ErrorContains(t, err, "the database has version 2 of the toy tables, this program knows 1: run the newer mlloop")
		err = db.Migrate(t.Context(), steps(one, two+" "))
		require.ErrorIs(t, err, fault.Corrupt, "an applied step was changed")
		require.ErrorContains(t, err, "002_step.sql")
		require.NoError(t, db.Migrate(t.Context(), steps(strings.ReplaceAll(one, "\n", "\r\n"), two)), "line ends do not count")
		exec(t, db, "DELETE FROM {p}migration WHERE version = 1")
		err = db.Migrate(t.Context(), steps(one, two))
		require.ErrorIs(t, err, fault.Corrupt, "a step is missing")
		require.ErrorContains(t, err, "lacks version 1")
	})
}

func TestMigrateIsAllOrNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, db *sqlstore.DB) {
		err := db.Migrate(t.Context(), steps(one, "CREATE TABLE {p}two (a INTEGER); NONSENSE"))
		require.ErrorContains(t, err, "migration 002_step.sql of the toy tables")
		_, err = db.Query(t.Context(), "SELECT * FROM {p}one")
		require.ErrorIs(t, err, fault.Unavailable)
		require.NoError(t, db.Migrate(t.Context(), steps(one, two)), "the mended release starts")
	})
}

// Many processes start on one new database at once.
func TestMigrateConcurrently(t *testing.T) {
	sqltest.Each(t, toys(), func(t *testing.T, open sqltest.Open) {
		db := open(t)
		errs := make([]error, 60)
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() {
				aside := sqlstore.New(db.Pool(), db.Dialect(), &sqlstore.Options{Prefix: "q_", Schema: db.Schema()})
				errs[i] = errors.Join(aside.Migrate(context.Background(), steps(one, two)), aside.Close())
			})
		}
		wg.Wait()
		require.NoError(t, errors.Join(errs...))
	})
}

func TestMigrateMakesTheSchemaOnce(t *testing.T) {
	// As through PgBouncer, too: each statement is then read anew.
	for _, url := range []string{pgtest.URL(t), pgtest.With(t, pgtest.URL(t), "default_query_exec_mode", "exec")} {
		schema, errs := pgtest.Schema(t), make([]error, 12)
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() {
				db, err := sqlstore.Open(context.Background(), url, &sqlstore.Options{Schema: schema})
				if err == nil {
					err = errors.Join(db.Migrate(context.Background(), steps(one, two)), db.Close())
				}
				errs[i] = err
			})
		}
		wg.Wait()
		require.NoError(t, errors.Join(errs...))
	}
}

func TestMigrations(t *testing.T) {
	list, err := steps(one, two).Migrations(sqlstore.PostgreSQL, &sqlstore.Options{Prefix: "p_", Schema: "ml"})
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.Equal(t, 2, list[1].Version)
	require.Equal(t, "002_step.sql", list[1].Name)
	require.Contains(t, list[0].SQL, `CREATE TABLE "ml".p_one`)
	require.Contains(t, list[0].SQL, `CREATE INDEX p_one_a ON "ml".p_one`)
	require.NotContains(t, list[1].SQL, "TABLE IF NOT EXISTS", "the first step makes the table of versions")
	// printf 'CREATE TABLE {p}one (a INTEGER);\nCREATE INDEX {n}one_a ON {p}one (a);\n' | sha256sum
	require.Equal(t, "2470dcbd0cf65006d490d8bb5f9f8c01ade6e2e07d69fbe6b37c934d2f17aed3", list[0].Checksum)
	_, err = steps().Migrations(sqlstore.SQLite, nil)
	require.ErrorIs(t, err, fault.Unsupported, "no files for the dialect")
	_, err = steps(one).Migrations("mysql", nil)
	require.ErrorIs(t, err, fault.Unsupported)
}

func TestMigrationsErrors(t *testing.T) {
	for _, prefix := range []string{"p", "1_", "P_", "a b_", "a;drop_", `a"_`, "_", "a-_", strings.Repeat("p", 30) + "_"} {
		_, err := steps(one).Migrations(sqlstore.SQLite, &sqlstore.Options{Prefix: prefix})
		require.ErrorIs(t, err, fault.Invalid, prefix)
		require.ErrorContains(t, err, "table prefix", prefix)
	}
	for _, prefix := range []string{"", "p_", "mlloop_", "a1__", sqlstore.DefaultPrefix} {
		_, err := steps(one).Migrations(sqlstore.SQLite, &sqlstore.Options{Prefix: prefix})
		require.NoError(t, err, prefix)
	}
	text := &fstest.MapFile{Data: []byte(one)}
	for why, names := range map[string][]string{
		"a gap": {"001_a.sql", "003_c.sql"}, "not from 001": {"002_a.sql"}, "from 000": {"000_a.sql"}, "a number twice": {"001_a.sql", "001_b.sql"},
		"no number": {"first.sql"}, "two digits": {"01_a.sql"}, "capitals": {"001_A.sql"},
	} {
		files := fstest.MapFS{}
		for _, name := range names {
			files["migration/sqlite/"+name] = text
		}
		_, err := sqlstore.Schema{Domain: "toy", Files: files}.Migrations(sqlstore.SQLite, nil)
		require.ErrorIs(t, err, fault.Invalid, why)
		require.ErrorContains(t, err, "migration file", why)
	}
	wrong := steps(one)
	wrong.Domain = "o'hara"
	_, err := wrong.Migrations(sqlstore.SQLite, nil)
	require.ErrorIs(t, err, fault.Invalid)
}

// What an administrator ran by hand is what Migrate would have done.
func TestMigrationsByHand(t *testing.T) {
	onBoth(t, func(t *testing.T, db *sqlstore.DB) {
		if schema := db.Schema(); schema != "" {
			exec(t, db, `CREATE SCHEMA "`+schema+`"`)
		}
		list, err := steps(one, two).Migrations(db.Dialect(), &sqlstore.Options{Schema: db.Schema()})
		require.NoError(t, err)
		before := time.Now().Add(-2 * time.Second)
		for i, step := range list {
			_, err := db.Pool().Exec(step.SQL)
			require.NoError(t, err)
			require.Equal(t, i+1, versions(t, db))
		}
		require.NoError(t, db.Migrate(t.Context(), steps(one, two)))
		require.Equal(t, 2, versions(t, db))
		var at time.Time
		require.NoError(t, db.QueryRow(t.Context(), "SELECT applied_at FROM {p}migration WHERE version = 2").Scan(sqlstore.Millis(&at)))
		require.WithinRange(t, at, before, time.Now().Add(time.Second), "in UTC milliseconds")
	})
}
