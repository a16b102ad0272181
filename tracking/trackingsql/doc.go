// Package trackingsql keeps tracking data in a SQL database.
//
//	store, err := trackingsql.Open(ctx, "sqlite:runs.db", nil)
//	runs := tracking.New(store, nil)
//	defer runs.Close(ctx)
//
// A service that has a SQLite pool of its own gives it to [New] and calls
// Migrate; the tables live beside its own, under a prefix. To look at them:
//
//	sqlite3 runs.db "SELECT id, name, status FROM mlloop_tracking_run"
package trackingsql
