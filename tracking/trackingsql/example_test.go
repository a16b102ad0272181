package trackingsql_test

import (
	"context"
	"database/sql"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/mlloop/mlloop/tracking"
	"github.com/mlloop/mlloop/tracking/trackingsql"
)

// A service keeps its runs beside its own tables, in its own pool.
func ExampleNew() {
	ctx := context.Background()
	folder, err := os.MkdirTemp("", "service")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	db, err := sql.Open("sqlite", "file:"+filepath.Join(folder, "service.db")+"?_pragma=busy_timeout(10000)&_pragma=foreign_keys(on)")
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()

	store := trackingsql.New(db, trackingsql.SQLite, &trackingsql.Options{Prefix: "ml_"})
	if err := store.Migrate(ctx); err != nil {
		log.Fatal(err)
	}
	runs := tracking.New(store, nil)
	defer runs.Close(ctx) // leaves db open
	run, err := runs.Start(ctx, "churn", nil)
	if err != nil {
		log.Fatal(err)
	}
	if err := run.Finish(ctx); err != nil {
		log.Fatal(err)
	}
	var n int
	err = db.QueryRow("SELECT count(*) FROM ml_tracking_run WHERE status = 'FINISHED'").Scan(&n)
	fmt.Println(n, err)
	// Output: 1 <nil>
}
