// Package trackingsql keeps tracking data in a SQL database, SQLite or
// PostgreSQL.
//
//	store, err := trackingsql.Open(ctx, "sqlite:runs.db", nil) // or "postgres://…"
//	defer store.Close()
//	runs := tracking.New(store, nil)
//	defer runs.Close(ctx)
//
// A service that has a pool of its own gives it to [New] by sqlstore.New, and
// calls Migrate; the tables live beside its own, under a prefix or in a schema.
// To look at them:
//
//	sqlite3 runs.db "SELECT id, name, status FROM mlloop_tracking_run"
package trackingsql
