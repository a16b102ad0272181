package registrysql_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/registry/registrysql"
	"github.com/mlloop/mlloop/sqlstore"
	"github.com/mlloop/mlloop/tracking/artifact"
)

// Records in a database, bundles in a folder beside it.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "registrysql")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	b, err := bundle.New(bundle.Spec{Flavor: "example", CreatedAt: time.Unix(1e9, 0)}, map[string][]byte{bundle.WeightsPart: []byte("0.1 0.2")})
	if err != nil {
		log.Fatal(err)
	}

	store, err := registrysql.Open(ctx, "sqlite:"+filepath.Join(dir, "models.db"), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	models := registry.New(store, artifact.Dir(filepath.Join(dir, "artifacts")), nil)
	v, err := models.Register(ctx, "churn", b, nil)
	fmt.Println(v.Model, v.Number, v.State, err)
	// Output: churn 1 candidate <nil>
}

// The statements that a database administrator reviews and runs by hand.
func ExampleSchema() {
	steps, err := registrysql.Schema().Migrations(sqlstore.PostgreSQL, &sqlstore.Options{Schema: "mlloop"})
	if err != nil {
		log.Fatal(err)
	}
	for _, step := range steps {
		fmt.Println(step.Version, step.Name)
	}
	// Output:
	// 1 001_registry.sql
}
