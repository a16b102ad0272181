// Command replicas shows a service that runs in several processes on one
// database: all of them answer, one of them leads the loop, and when that one is
// killed another takes over.
//
//	go run ./examples/replicas -db postgres://user:password@host/name
//
// Without -db it does so on a SQLite file. It ends by itself, with what was seen.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retrainsql"
)

// options are the command line.
type options struct {
	db, schema string
	replicas   int
	replica    int // 0: start the others
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "replicas:", err)
		os.Exit(1) //nolint:gocritic // nothing is left to stop
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var o options
	flags := flag.NewFlagSet("replicas", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.db, "db", "", "database that the replicas share, such as postgres://user@host/name (default: a SQLite file in a temporary folder)")
	flags.StringVar(&o.schema, "schema", "mlloop_replicas", "schema of a PostgreSQL database that keeps the example apart from what else is there")
	flags.IntVar(&o.replicas, "n", 3, "number of replicas")
	flags.IntVar(&o.replica, "replica", 0, "be this replica: what the command starts its replicas with")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%q is no flag: see -help", flags.Arg(0))
	}
	if o.replicas < 2 {
		return fmt.Errorf("-n %d: want 2 or more, since one is killed", o.replicas)
	}
	if o.replica > 0 {
		return serveReplica(ctx, o, stdout)
	}
	if o.db == "" {
		dir, err := os.MkdirTemp("", "mlloop-replicas-")
		if err != nil {
			return err
		}
		o.db = "sqlite:" + filepath.Join(dir, "loop.db")
	}
	return supervise(ctx, o, stdout)
}

// open opens the stores that all replicas share, artifacts included.
func (o options) open(ctx context.Context) (*retrain.Stores, error) {
	if strings.HasPrefix(o.db, "sqlite:") {
		return retrainsql.Open(ctx, o.db, nil)
	}
	return retrainsql.Open(ctx, o.db, &retrainsql.Options{Schema: o.schema})
}
