// Package sqlstore is what all SQL stores of mlloop stand on: a database, SQLite
// or PostgreSQL, that a URL names or whose pool the service owns already, and the
// tables that the stores keep in it.
//
//	db, err := sqlstore.Open(ctx, "postgres://ml@db/shop", &sqlstore.Options{Schema: "mlloop"})
//	defer db.Close()
//	runs := trackingsql.New(db)
//	err = runs.Migrate(ctx)
//
// New takes the service's own pool in the place of a URL; a store's WithTx does
// what it is asked inside the service's own transaction. retrainsql.Open opens
// every store of a loop at once.
//
// # Transactions
//
// What changes something and reads before runs in DB.Tx. On SQLite that takes
// the write lock first (BEGIN IMMEDIATE), so that no transaction finds out
// half-way that another one was quicker; writers of one DB queue up, and wait for
// those of other processes up to fifteen seconds, also where the pool sets no
// busy timeout. On PostgreSQL a transaction is read committed, and a store takes
// the locks that it needs; deadlocks and failed serializations begin anew, up to
// the same limit. Inside the service's own transaction nothing is begun anew: the
// error comes back, and the savepoint around the call is rolled back.
//
// DB.ReadTx reads one snapshot: WAL or journal on SQLite, repeatable read on
// PostgreSQL. Neither waits for a writer.
//
// # Pools
//
// Any driver of database/sql for SQLite 3.35 or later does (modernc.org/sqlite,
// github.com/mattn/go-sqlite3, github.com/ncruces/go-sqlite3), with foreign keys
// on (PRAGMA foreign_keys). PostgreSQL 13 or later is spoken to through pgx
// (github.com/jackc/pgx/v5/stdlib; a pgxpool comes in by stdlib.OpenDBFromPool).
// A pool of one connection does.
//
// Behind PgBouncer in transaction mode add default_query_exec_mode=exec to the
// URL: statements are prepared on connections otherwise. Migrations take a lock
// of their transaction (pg_advisory_xact_lock), which PgBouncer keeps.
package sqlstore
