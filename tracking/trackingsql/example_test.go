package trackingsql_test

import (
	"context"
	"database/sql"
	"fmt"
	"log"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite"

	"github.com/mlloop/mlloop/sqlstore"
	"github.com/mlloop/mlloop/tracking"
	"github.com/mlloop/mlloop/tracking/trackingsql"
)

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// serviceDB is the pool of a service, as it has it anyway.
func serviceDB() (db *sql.DB, done func()) {
	folder, err := os.MkdirTemp("", "service")
	check(err)
	db, err = sql.Open("sqlite", "file:"+filepath.Join(folder, "service.db")+"?_pragma=busy_timeout(10000)&_pragma=foreign_keys(on)")
	check(err)
	return db, func() {
		check(db.Close())
		check(os.RemoveAll(folder))
	}
}

// A service keeps its runs beside its own tables, in its own pool.
func ExampleNew() {
	ctx := context.Background()
	db, done := serviceDB()
	defer done()

	store := trackingsql.New(sqlstore.New(db, sqlstore.SQLite, &sqlstore.Options{Prefix: "ml_"}))
	check(store.Migrate(ctx))
	runs := tracking.New(store, nil)
	defer runs.Close(ctx)
	run, err := runs.Start(ctx, "churn", nil)
	check(err)
	check(run.Finish(ctx))

	var n int
	err = db.QueryRow("SELECT count(*) FROM ml_tracking_run WHERE status = 'FINISHED'").Scan(&n)
	fmt.Println(n, err)
	// Output: 1 <nil>
}

// What a store does inside the service's own transaction is committed with it,
// or not at all.
func ExampleStore_WithTx() {
	ctx := context.Background()
	db, done := serviceDB()
	defer done()
	store := trackingsql.New(sqlstore.New(db, sqlstore.SQLite, nil))
	check(store.Migrate(ctx))

	tx, err := db.BeginTx(ctx, nil)
	check(err)
	check(store.WithTx(tx).CreateExperiment(ctx, tracking.Experiment{ID: "1", Name: "churn"}))
	check(tx.Rollback())

	_, err = store.Experiment(ctx, "churn")
	fmt.Println(err)
	// Output: not found
}
