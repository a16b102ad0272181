package registrysql_test

import (
	"database/sql"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/registry/registrysql"
	"github.com/mlloop/mlloop/registry/registrytest"
	"github.com/mlloop/mlloop/tracking/artifact"
)

// open opens a new file that need not survive a power cut.
func open(t *testing.T) *registrysql.Store {
	return openAt(t, "sqlite:"+filepath.Join(t.TempDir(), "r.db")+"?synchronous=normal")
}

func openAt(t *testing.T, url string) *registrysql.Store {
	s, err := registrysql.Open(t.Context(), url, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func TestStore(t *testing.T) {
	registrytest.Run(t, func(t *testing.T) registry.Store { return open(t) })
}

// Two handles of one file are what two processes have.
func TestTwoHandlesOnOneFile(t *testing.T) {
	url := "sqlite:" + filepath.Join(t.TempDir(), "r.db") + "?synchronous=normal"
	handles := []*registry.Client{
		registry.New(openAt(t, url), artifact.Memory(), nil), registry.New(openAt(t, url), artifact.Memory(), nil),
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
		})
	}
	wg.Wait()
	require.EqualValues(t, 1, promoted.Load(), "one promotion wins")
	newest, err := handles[0].Resolve(t.Context(), "m/latest")
	require.NoError(t, err)
	require.EqualValues(t, 20, newest.Number)
	registrytest.RequireConsistent(t, handles[1], "m")
}

// A service's own pool has its own settings: transactions begin as readers,
// and foreign keys are off.
func TestStoreOnTheServicesPool(t *testing.T) {
	registrytest.Run(t, func(t *testing.T) registry.Store {
		db := pool(t)
		s := registrysql.New(db, registrysql.SQLite, &registrysql.Options{Prefix: "ml_"})
		require.NoError(t, s.Migrate(t.Context()))
		t.Cleanup(func() {
			require.NoError(t, s.Close())
			require.NoError(t, db.Ping(), "Close leaves the service's database open")
		})
		return s
	})
}

func pool(t *testing.T) *sql.DB {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "app.db")+"?_pragma=busy_timeout(10000)&_pragma=journal_mode(wal)&_pragma=synchronous(normal)")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

func TestTheDatabaseRefusesToRewriteHistory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.db")
	models := registry.New(openAt(t, "sqlite:"+path), artifact.Memory(), nil)
	for _, content := range []string{"1", "2"} {
		_, err := models.Register(t.Context(), "m", registrytest.Bundle(t, content), nil)
		require.NoError(t, err)
	}
	db, err := sql.Open("sqlite", "file:"+path)
	require.NoError(t, err)
	defer db.Close()
	for _, attack := range []string{
		`UPDATE mlloop_registry_event SET actor = 'nobody'`,
		`DELETE FROM mlloop_registry_event`,
		`DELETE FROM mlloop_registry_event WHERE seq = 3`,
		`INSERT OR REPLACE INTO mlloop_registry_event SELECT model, seq, version, kind, alias, was, became, digest, content, 'nobody', reason, time, format, hash FROM mlloop_registry_event WHERE seq = 2`,
		`INSERT INTO mlloop_registry_event SELECT model, 9, version, kind, alias, was, became, digest, content, actor, reason, time, format, hash FROM mlloop_registry_event WHERE seq = 2`,
	} {
		_, err := db.Exec(attack)
		require.ErrorContains(t, err, "the audit trail is append-only", attack)
	}
	for _, attack := range []string{
		`UPDATE mlloop_registry_version SET digest = 'x'`,
		`UPDATE mlloop_registry_version SET data_to = NULL`,
		`UPDATE mlloop_registry_version SET number = 3 WHERE number = 2`,
		`DELETE FROM mlloop_registry_version`,
		`INSERT OR REPLACE INTO mlloop_registry_version SELECT model, number, seq, 'x', key, state, run_id, data_digest, parent, code, data_from, data_to, rows, created_at FROM mlloop_registry_version WHERE number = 1`,
	} {
		_, err := db.Exec(attack)
		require.ErrorContains(t, err, "model version", attack)
	}
	registrytest.RequireConsistent(t, models, "m")

	// Who takes the triggers away is found out by the hashes.
	for _, tamper := range []string{`DROP TRIGGER mlloop_registry_event_immutable`, `UPDATE mlloop_registry_event SET reason = 'forged' WHERE seq = 2`} {
		_, err := db.Exec(tamper)
		require.NoError(t, err)
	}
	err = models.VerifyAudit(t.Context(), "m", nil)
	require.ErrorIs(t, err, registry.ErrCorrupt)
	require.ErrorContains(t, err, "event 2 does not fit its hash")
}

func TestOpenTellsWhatIsWrong(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.db")
	s := openAt(t, "sqlite:"+path)
	db, err := sql.Open("sqlite", "file:"+path)
	require.NoError(t, err)
	defer db.Close()
	_, err = db.Exec(`INSERT INTO mlloop_migration (store, version, name, checksum, applied_at) VALUES ('registry', 2, '002_new.sql', 'x', 0)`)
	require.NoError(t, err)
	_, err = registrysql.Open(t.Context(), "sqlite:"+path, nil)
	require.ErrorIs(t, err, registry.ErrUnsupported)
	require.ErrorContains(t, err, "run the newer mlloop")

	_, err = registrysql.Open(t.Context(), "postgres://localhost/db", nil)
	require.ErrorIs(t, err, registry.ErrUnsupported)
	_, err = registrysql.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "no", "r.db"), nil)
	require.ErrorIs(t, err, registry.ErrUnavailable)
	_, err = registrysql.Open(t.Context(), "sqlite:"+path, &registrysql.Options{Prefix: "Bad-"})
	require.ErrorIs(t, err, registry.ErrInvalid)

	require.NoError(t, s.Close())
	_, err = s.Models(t.Context(), "", 0)
	require.ErrorIs(t, err, registry.ErrClosed)

	s = registrysql.New(pool(t), registrysql.SQLite, nil)
	_, err = s.Models(t.Context(), "", 0)
	require.ErrorIs(t, err, registry.ErrUnavailable)
	require.ErrorContains(t, err, "call Migrate")
	require.ErrorIs(t, registrysql.New(pool(t), "oracle", nil).Migrate(t.Context()), registry.ErrUnsupported)
}

func TestMigrationsCanBePrinted(t *testing.T) {
	steps, err := registrysql.Migrations(&registrysql.Options{Prefix: "ml_"})
	require.NoError(t, err)
	require.Len(t, steps, 1)
	require.Contains(t, steps[0].SQL, "CREATE TABLE ml_registry_event (")
	require.NotContains(t, steps[0].SQL, "{p}")
	db := pool(t)
	_, err = db.Exec(steps[0].SQL)
	require.NoError(t, err)
	require.NoError(t, registrysql.New(db, registrysql.SQLite, &registrysql.Options{Prefix: "ml_"}).Migrate(t.Context()), "nothing is left to do")
	_, err = registrysql.Migrations(&registrysql.Options{Prefix: "no"})
	require.ErrorIs(t, err, registry.ErrInvalid)
}
