// Package pgtest gives tests a PostgreSQL database, where there is one.
//
// The environment variable MLLOOP_POSTGRES holds its URL; without it the test is
// skipped, and says so.
package pgtest

import (
	"context"
	"database/sql"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"
	_ "github.com/jackc/pgx/v5/stdlib" // registers the "pgx" driver
	"github.com/stretchr/testify/require"
)

// Variable names the environment variable with the URL.
const Variable = "MLLOOP_POSTGRES"

// URL returns the URL of the database, or skips the test.
func URL(t testing.TB) string {
	t.Helper()
	u := os.Getenv(Variable)
	if u == "" {
		t.Skip("PostgreSQL is left out: set " + Variable + " to a URL to test on it")
	}
	return u
}

// Schema returns the name of a schema that does not exist yet, which is dropped
// with everything in it when the test ends; so are those whose names begin with
// it and _, such as the engine's.
func Schema(t testing.TB) string {
	t.Helper()
	u := URL(t)
	id := uuid.New()
	name := "t" + id.String()[:8]
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		db, err := sql.Open("pgx", u)
		require.NoError(t, err)
		defer func() { _ = db.Close() }()
		// Again on an error: PgBouncer 1.18 was seen to give a new connection the
		// answer to another one's cancel request.
		for range 5 {
			_, err = db.ExecContext(ctx, `DO $$ DECLARE name text; BEGIN
				FOR name IN SELECT nspname FROM pg_namespace WHERE nspname = '`+name+`' OR starts_with(nspname, '`+name+`_')
				LOOP EXECUTE format('DROP SCHEMA %I CASCADE', name); END LOOP; END $$`)
			if err == nil {
				break
			}
		}
		require.NoError(t, err)
	})
	return name
}

// With returns the URL with an option set, such as pool_max_conns.
func With(t testing.TB, rawURL, option, value string) string {
	t.Helper()
	u, err := url.Parse(rawURL)
	require.NoError(t, err)
	values := u.Query()
	values.Set(option, value)
	u.RawQuery = values.Encode()
	return u.String()
}
