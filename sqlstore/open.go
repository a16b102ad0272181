package sqlstore

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/mlloop/mlloop/internal/fault"
)

// Open opens the database at the URL, checks that it answers, brings the tables of
// the schemas up to date, see DB.Migrate, and returns it for Close to close. Without
// schemas no tables are made.
//
//	sqlite:PATH
//	postgres://USER:PASSWORD@HOST:PORT/DATABASE
//
// PATH is taken as it stands, relative or absolute, spaces and % included; only a
// ? it cannot hold. Its folder must exist. Behind it may stand
// ?synchronous=full (the default: a commit survives power loss),
// ?synchronous=normal (a commit survives the death of the process; the last ones
// may be lost with the machine) and ?mode=ro, which only reads, from media that
// cannot be written too; a file without the right to write it is opened so anyway.
//
// A PostgreSQL URL takes what pgx takes, key=value pairs in the place of a URL
// left aside, and pool_max_conns (10). A password may also come from PGPASSWORD
// or ~/.pgpass; it is in no error and no log.
//
// Errors: Unsupported for another scheme and a PostgreSQL that is too old,
// Invalid for bad options, Unavailable when it cannot be reached, Denied for a
// refused login, Corrupt when the file is no SQLite file; those of DB.Migrate.
func Open(ctx context.Context, url string, opts *Options, schemas ...Schema) (*DB, error) {
	open, dialect := openSQLite, SQLite
	switch scheme := schemeOf(url); scheme {
	case "sqlite":
	case "postgres", "postgresql":
		open, dialect = openPostgres, PostgreSQL
	default:
		return nil, fault.Errorf(fault.Unsupported, "database scheme %q: use sqlite:PATH or postgres://…", scheme)
	}
	if _, err := newNames(dialect, opts); err != nil {
		return nil, err
	}
	pool, err := open(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", Redacted(url), Fault(err))
	}
	db := New(pool, dialect, opts)
	db.owned = true
	for _, s := range schemas {
		if err := db.Migrate(ctx, s); err != nil {
			_ = db.Close() // the first error is the one to report
			return nil, fmt.Errorf("open %s: %w", Redacted(url), err)
		}
	}
	return db, nil
}

// answers checks that the database does, and closes the pool if not.
func answers(ctx context.Context, pool *sql.DB, check func() error) (*sql.DB, error) {
	if err := check(); err != nil {
		_ = pool.Close() // the first error is the one to report
		return nil, err
	}
	return pool, nil
}
