package retraindbos_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retraindbos"
	"github.com/mlloop/mlloop/sqlstore"
)

func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "engine")
	must(err)
	db, err := sqlstore.Open(ctx, "sqlite:"+filepath.Join(dir, "engine.db"), nil) // or "postgres://…"
	must(err)
	engine := retraindbos.New(db, nil)
	must(engine.Register("greet", func(ctx context.Context, steps retrain.Steps, input []byte) ([]byte, error) {
		return steps.Do(ctx, "hello", func(context.Context) ([]byte, error) { return append([]byte("hello "), input...), nil }, nil)
	}))
	must(engine.Launch(ctx)) // resumes what an earlier life left unfinished
	must(engine.Start(ctx, "greet", "greet/7", []byte("you")))
	result, err := engine.Wait(ctx, "greet/7")
	fmt.Println(string(result.Output), result.Err, err)
	must(engine.Close(ctx))
	must(db.Close())
	// Output: hello you <nil> <nil>
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
