// Package registrysql keeps a registry in a SQL database.
//
//	store, err := registrysql.Open(ctx, "sqlite:models.db", nil)
//	defer store.Close()
//	models := registry.New(store, artifact.Dir("artifacts"), nil)
//
// A service that has a database hands it over with [New] and calls
// [Store.Migrate] once; the tables stand beside its own, under a prefix. The
// database itself refuses to change or delete a version or an event.
package registrysql
