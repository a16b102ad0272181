// Package registrysql keeps a registry in a SQL database: SQLite or PostgreSQL.
//
//	store, err := registrysql.Open(ctx, "sqlite:models.db", nil)
//	defer store.Close()
//	models := registry.New(store, artifact.Dir("artifacts"), nil)
//
// A service that has a database hands it over with [New] and calls
// [Store.Migrate] once; the tables stand beside its own, under a prefix or in a
// schema, and [Store.WithTx] changes a model inside a transaction of the
// service's own. See package sqlstore for URLs, pools and transactions.
//
// Changes of one model lock its row and happen one after the other, so that a
// model's events are numbered in the order in which they become visible; changes
// of different models do not wait for each other on PostgreSQL. The database
// itself refuses to change or delete a version or an event, by triggers. Whoever
// may drop a trigger may do so; registry.Client.VerifyAudit then finds what was
// changed.
package registrysql
