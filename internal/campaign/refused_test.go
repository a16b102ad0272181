package campaign

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/internal/pgtest"
	"github.com/mlloop/mlloop/retrain/retrainsql"
)

// as returns the server's URL for another user.
func as(t *testing.T, server *pgtest.Server, user, password string) string {
	t.Helper()
	u, err := url.Parse(server.URL)
	require.NoError(t, err)
	u.User = url.UserPassword(user, password)
	return u.String()
}

func execute(t *testing.T, server *pgtest.Server, statements ...string) {
	t.Helper()
	db, err := sql.Open("pgx", server.URL)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	for _, s := range statements {
		_, err := db.ExecContext(t.Context(), s)
		require.NoError(t, err, s)
	}
}

// What PostgreSQL refuses is told with its kind and what to do, and nothing is lost.
func TestRefusedPostgreSQL(t *testing.T) {
	server := pgtest.StartServer(t)
	const secret = "s3cret/of a role"
	execute(t, server,
		`CREATE ROLE reader LOGIN PASSWORD '`+secret+`'`,
		`CREATE ROLE stranger LOGIN PASSWORD '`+secret+`'`,
		`CREATE ROLE narrow LOGIN PASSWORD '`+secret+`' CONNECTION LIMIT 2`)
	owner := task{URL: server.URL, Schema: "mlloop"}
	stores := openStores(t, owner)
	require.NoError(t, stores.Retrain.AppendEvent(t.Context(), eventOf("kept")))
	execute(t, server,
		`GRANT USAGE ON SCHEMA mlloop TO reader`, `GRANT SELECT ON ALL TABLES IN SCHEMA mlloop TO reader`,
		`GRANT CREATE ON DATABASE postgres TO narrow`)

	testNoLogin(t, server, secret)
	t.Run("a role that may only read", func(t *testing.T) {
		reads := openStores(t, task{URL: as(t, server, "reader", secret), Schema: "mlloop"})
		require.Equal(t, []string{"kept"}, eventTexts(t, reads))
		err := reads.Retrain.AppendEvent(t.Context(), eventOf("of a reader"))
		require.ErrorIs(t, err, fault.Denied)
		require.ErrorContains(t, err, "permission denied")
		require.Equal(t, []string{"kept"}, eventTexts(t, stores))
	})
	t.Run("a missing schema without the right to make it", func(t *testing.T) {
		_, err := task{URL: as(t, server, "stranger", secret), Schema: "elsewhere"}.open(t.Context())
		require.ErrorIs(t, err, fault.Denied)
		require.ErrorContains(t, err, "elsewhere")
	})
	t.Run("two connections", func(t *testing.T) {
		testTwoConnections(t, task{URL: as(t, server, "narrow", secret), Schema: "narrow"})
	})
	t.Run("a newer release", func(t *testing.T) {
		execute(t, server, `INSERT INTO mlloop.mlloop_migration (store, version, name, checksum, applied_at)
			SELECT store, max(version) + 1, 'later', 'x', 0 FROM mlloop.mlloop_migration WHERE store = 'serve' GROUP BY store`)
		_, err := owner.open(t.Context())
		require.ErrorIs(t, err, fault.Unsupported)
		require.ErrorContains(t, err, "run the newer mlloop")
		require.Equal(t, []string{"kept"}, eventTexts(t, stores), "what is open goes on")
	})
}

// testNoLogin tells why nobody gets in, without the password.
func testNoLogin(t *testing.T, server *pgtest.Server, secret string) {
	t.Run("a wrong password", func(t *testing.T) {
		_, err := task{URL: as(t, server, "mlloop", secret), Schema: "mlloop"}.open(t.Context())
		require.ErrorIs(t, err, fault.Denied)
		require.NotContains(t, err.Error(), "s3cret")
		require.ErrorContains(t, err, "password")
	})
	t.Run("no server there", func(t *testing.T) {
		away := pgtest.StartServer(t)
		away.Stop()
		_, err := task{URL: as(t, away, "mlloop", secret)}.open(t.Context())
		require.ErrorIs(t, err, fault.Unavailable)
		require.NotContains(t, err.Error(), "s3cret")
	})
}

// testTwoConnections writes with a role that may have two connections, from a
// pool that would have ten: each call is stored or refused, and both are said.
func testTwoConnections(t *testing.T, what task) {
	stores := openStores(t, what)
	const writers = 16
	errs := make([]error, writers)
	var work sync.WaitGroup
	for i := range writers {
		work.Go(func() { errs[i] = stores.Retrain.AppendEvent(context.Background(), eventOf(fmt.Sprint(i))) })
	}
	work.Wait()
	var stored []string
	for i, err := range errs {
		if err == nil {
			stored = append(stored, fmt.Sprint(i))
			continue
		}
		require.ErrorIs(t, err, fault.Unavailable)
		require.ErrorContains(t, err, "connection")
	}
	require.NotEmpty(t, stored)
	require.ElementsMatch(t, stored, eventTexts(t, stores))
	t.Logf("%d of %d writers had a connection", len(stored), writers)
	launching, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := stores.Engine.Launch(launching); err != nil { // the stores may hold both
		require.ErrorIs(t, err, fault.Unavailable)
		require.ErrorContains(t, err, "connection")
		t.Log(err)
	}
}

// TestFullDisk fills a SQLite file up to the pages that it may have, as a full
// disk would: what was stored stays, what was not is said not to be, and with
// more room it goes on.
func TestFullDisk(t *testing.T) {
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "loop.db")
	stores, err := retrainsql.Open(ctx, "sqlite:"+path, nil)
	require.NoError(t, err)
	require.NoError(t, stores.Close(ctx))
	narrow, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)&_pragma=foreign_keys(on)&_pragma=journal_mode(wal)&_pragma=max_page_count(1)")
	require.NoError(t, err)
	defer func() { require.NoError(t, narrow.Close()) }()
	full, err := retrainsql.OpenDB(ctx, narrow, retrainsql.SQLite, nil)
	require.NoError(t, err)
	var stored []string
	for i := 0; err == nil; i++ {
		key := fmt.Sprint(i)
		e := eventOf(key)
		e.Text += strings.Repeat(" ", 1000)
		if err = full.Retrain.AppendEvent(ctx, e); err == nil {
			stored = append(stored, e.Text)
		}
		require.Less(t, i, 10_000, "the file is never full")
	}
	require.ErrorIs(t, err, fault.Unavailable)
	require.ErrorContains(t, err, "full")
	require.Equal(t, stored, eventTexts(t, full), "what was stored can be read while the disk is full")
	require.NoError(t, full.Close(ctx))

	stores, err = retrainsql.Open(ctx, "sqlite:"+path, nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, stores.Close(ctx)) }()
	require.NoError(t, stores.Retrain.AppendEvent(ctx, eventOf("later")))
	require.Equal(t, append(stored, "later"), eventTexts(t, stores))
}
