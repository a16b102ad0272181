package migrate_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/internal/migrate"
	"github.com/mlloop/mlloop/internal/sqldb"
)

func files(texts ...string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for i, text := range texts {
		fsys["00"+string(rune('1'+i))+"_step.sql"] = &fstest.MapFile{Data: []byte(text)}
	}
	return fsys
}

func set(texts ...string) migrate.Set {
	return migrate.Set{Name: "toy", Files: files(texts...), Prefix: "p_"}
}

const (
	one = "CREATE TABLE {p}one (a INTEGER);\nCREATE INDEX {p}one_a ON {p}one (a);\n"
	two = "ALTER TABLE {p}one ADD COLUMN b TEXT NOT NULL DEFAULT '';\n"
)

func database(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, _, err := sqldb.Open(t.Context(), "sqlite:"+path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

func newDatabase(t *testing.T) *sql.DB { return database(t, filepath.Join(t.TempDir(), "x.db")) }

func versions(t *testing.T, db *sql.DB, table string) (n int) {
	t.Helper()
	require.NoError(t, db.QueryRow("SELECT count(*) FROM "+table).Scan(&n))
	return n
}

func TestUp(t *testing.T) {
	db := newDatabase(t)
	require.NoError(t, migrate.Up(t.Context(), db, set(one)))
	_, err := db.Exec("INSERT INTO p_one (a) VALUES (1)")
	require.NoError(t, err)
	require.NoError(t, migrate.Up(t.Context(), db, set(one)), "again is a no-op")
	require.NoError(t, migrate.Up(t.Context(), db, set(one, two)), "a later release adds its step")
	_, err = db.Exec("INSERT INTO p_one (a, b) VALUES (2, 'x')")
	require.NoError(t, err)
	require.Equal(t, 2, versions(t, db, "p_migration"))

	other := migrate.Set{Name: "other", Files: files("CREATE TABLE {p}other (a INTEGER)"), Prefix: "p_"}
	require.NoError(t, migrate.Up(t.Context(), db, other), "stores live side by side")
	aside := set(one)
	aside.Prefix = "q_"
	require.NoError(t, migrate.Up(t.Context(), db, aside), "prefixes too")
	require.Equal(t, 3, versions(t, db, "p_migration"))
	require.Equal(t, 1, versions(t, db, "q_migration"))
}

func TestUpRefusesADatabaseThatItDoesNotKnow(t *testing.T) {
	db := newDatabase(t)
	require.NoError(t, migrate.Up(t.Context(), db, set(one, two)))

	err := migrate.Up(t.Context(), db, set(one))
	require.ErrorIs(t, err, fault.Unsupported, "a newer release wrote it")
	require.ErrorContains(t, err, "the database has version 2 of the toy tables, this program knows 1: run the newer mlloop")

	err = migrate.Up(t.Context(), db, set(one, two+" "))
	require.ErrorIs(t, err, fault.Corrupt, "an applied step was changed")
	require.ErrorContains(t, err, "002_step.sql")

	require.NoError(t, migrate.Up(t.Context(), db, set(strings.ReplaceAll(one, "\n", "\r\n"), two)), "line ends do not count")

	_, err = db.Exec("DELETE FROM p_migration WHERE version = 1")
	require.NoError(t, err)
	err = migrate.Up(t.Context(), db, set(one, two))
	require.ErrorIs(t, err, fault.Corrupt, "a step is missing")
	require.ErrorContains(t, err, "lacks version 1")
}

func TestUpIsAllOrNothing(t *testing.T) {
	db := newDatabase(t)
	err := migrate.Up(t.Context(), db, set(one, "CREATE TABLE {p}two (a INTEGER); NONSENSE"))
	require.ErrorContains(t, err, "migration 002_step.sql of the toy tables")
	require.Zero(t, versions(t, db, "p_migration"))
	require.Zero(t, versions(t, db, "sqlite_master WHERE name LIKE 'p_one%' OR name LIKE 'p_two%'"))
	require.NoError(t, migrate.Up(t.Context(), db, set(one, two)), "the mended release starts")
}

func TestUpOnAFullDisk(t *testing.T) {
	db := newDatabase(t)
	db.SetMaxOpenConns(1) // the limit is the connection's
	_, err := db.Exec("PRAGMA max_page_count = 3")
	require.NoError(t, err)
	err = migrate.Up(t.Context(), db, set(one, "CREATE TABLE {p}two (a INTEGER)", "CREATE TABLE {p}three (a INTEGER)"))
	require.ErrorIs(t, err, fault.Unavailable)
	require.ErrorContains(t, err, "the disk is full")
	_, err = db.Exec("PRAGMA max_page_count = 1000")
	require.NoError(t, err)
	require.NoError(t, migrate.Up(t.Context(), db, set(one, two)), "with space again it works")
}

// Two programs, each with several goroutines, start on one new file at once.
func TestUpConcurrently(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	a, b := database(t, path), database(t, path)
	errs := make([]error, 16)
	var wg sync.WaitGroup
	for i := range errs {
		db := a
		if i%2 == 1 {
			db = b
		}
		wg.Go(func() { errs[i] = migrate.Up(context.Background(), db, set(one, two)) })
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
	require.Equal(t, 2, versions(t, a, "p_migration"))
}

func TestUpClosed(t *testing.T) {
	db, _, err := sqldb.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "x.db"))
	require.NoError(t, err)
	require.NoError(t, db.Close())
	require.ErrorIs(t, migrate.Up(t.Context(), db, set(one)), fault.Closed)
}

func TestMigrations(t *testing.T) {
	steps, err := set(one, two).Migrations()
	require.NoError(t, err)
	require.Len(t, steps, 2)
	require.Equal(t, 2, steps[1].Version)
	require.Equal(t, "002_step.sql", steps[1].Name)
	require.Contains(t, steps[0].SQL, "CREATE TABLE p_one")
	require.NotContains(t, steps[0].SQL, "{p}")
	require.NotContains(t, steps[1].SQL, "TABLE IF NOT EXISTS", "the first step makes the table of versions")
	// printf 'CREATE TABLE {p}one (a INTEGER);\nCREATE INDEX {p}one_a ON {p}one (a);\n' | sha256sum
	require.Equal(t, "fa57e356e1b66357a4ec6ff2268d5c14dc1902df61992cdc42f71bfbeb0b51e2", steps[0].Checksum)

	empty, err := set().Migrations()
	require.NoError(t, err)
	require.Empty(t, empty)
}

func TestMigrationsErrors(t *testing.T) {
	for _, prefix := range []string{"", "p", "1_", "P_", "a b_", "a;drop_", `a"_`, "_", "a-_", strings.Repeat("p", 30) + "_"} {
		s := set(one)
		s.Prefix = prefix
		_, err := s.Migrations()
		require.ErrorIs(t, err, fault.Invalid, prefix)
		require.ErrorContains(t, err, "table prefix", prefix)
	}
	for _, prefix := range []string{"p_", "mlloop_", "a1__", migrate.DefaultPrefix} {
		s := set(one)
		s.Prefix = prefix
		_, err := s.Migrations()
		require.NoError(t, err, prefix)
	}
	text := &fstest.MapFile{Data: []byte(one)}
	for why, fsys := range map[string]fstest.MapFS{
		"a gap":          {"001_a.sql": text, "003_c.sql": text},
		"not from 001":   {"002_a.sql": text},
		"from 000":       {"000_a.sql": text},
		"a number twice": {"001_a.sql": text, "001_b.sql": text},
		"no number":      {"first.sql": text},
		"two digits":     {"01_a.sql": text},
		"capitals":       {"001_A.sql": text},
	} {
		_, err := migrate.Set{Name: "toy", Files: fsys, Prefix: "p_"}.Migrations()
		require.ErrorIs(t, err, fault.Invalid, why)
		require.ErrorContains(t, err, "migration file", why)
	}
	_, err := migrate.Set{Name: "o'hara", Files: files(one), Prefix: "p_"}.Migrations()
	require.ErrorIs(t, err, fault.Invalid)
}

// What an administrator ran by hand is what Up would have done, from any version.
func TestMigrationsByHand(t *testing.T) {
	byHand, byUp := newDatabase(t), newDatabase(t)
	for _, known := range []migrate.Set{set(one), set(one, two)} {
		require.NoError(t, migrate.Up(t.Context(), byUp, known))
	}
	steps, err := set(one, two).Migrations()
	require.NoError(t, err)
	before := time.Now().Add(-2 * time.Second)
	for i, step := range steps {
		_, err = byHand.Exec(step.SQL)
		require.NoError(t, err)
		require.Equal(t, i+1, versions(t, byHand, "p_migration"))
	}
	require.NoError(t, migrate.Up(t.Context(), byHand, set(one, two)))
	require.Equal(t, schema(t, byUp), schema(t, byHand))
	require.Equal(t, applied(t, byUp), applied(t, byHand))

	var millis int64
	require.NoError(t, byHand.QueryRow("SELECT applied_at FROM p_migration WHERE version = 2").Scan(&millis))
	require.WithinRange(t, time.UnixMilli(millis), before, time.Now(), "in UTC milliseconds")
}

// applied lists the table of versions, without its times.
func applied(t *testing.T, db *sql.DB) (text string) {
	t.Helper()
	require.NoError(t, db.QueryRow("SELECT group_concat(store || version || name || checksum, ' ') FROM p_migration").Scan(&text))
	return text
}

func schema(t *testing.T, db *sql.DB) (texts []string) {
	t.Helper()
	rows, err := db.Query("SELECT name || ':' || coalesce(sql, '') FROM sqlite_master ORDER BY name")
	require.NoError(t, err)
	defer func() { require.NoError(t, rows.Close()) }()
	for rows.Next() {
		var text string
		require.NoError(t, rows.Scan(&text))
		texts = append(texts, text)
	}
	require.NoError(t, rows.Err())
	return texts
}
