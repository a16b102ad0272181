// Package driftsql keeps a monitor's checkpoints and alerts in a SQL database,
// SQLite or PostgreSQL, of its own or the service's.
//
//	store, err := driftsql.Open(ctx, "sqlite:drift.db", nil)
//	defer store.Close()
//	err = store.Save(ctx, checkpoint, monitor.Check(now))
package driftsql
