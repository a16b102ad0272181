// Command quickstart is a small shop service that keeps a churn model right with
// mlloop: what the loop does is in loop.go, what it is mounted on in run, and
// shop.go is the service as it was.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/mlloop/mlloop/retrain/retrainsql"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "where to listen")
	dir := flag.String("dir", "", "folder of the databases; a temporary one when empty")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *addr, *dir, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, addr, dir string, out io.Writer) (err error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("%w: choose another address with -addr", err)
	}
	defer func() { _ = listener.Close() }() // the server has, unless it never began
	if dir == "" {
		if dir, err = os.MkdirTemp("", "mlloop-quickstart-"); err != nil {
			return err
		}
	} else if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	shop, err := openShop(ctx, filepath.Join(dir, "shop.db"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, shop.db.Close()) }()
	if err := shop.seed(ctx, 4000, time.Now()); err != nil {
		return err
	}

	stores, err := retrainsql.Open(ctx, "sqlite:"+filepath.Join(dir, "loop.db"), nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stores.Close(context.Background())) }()
	loop, err := newLoop(shop.db, stores)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, loop.Close(context.Background())) }()
	if err := loop.Step(ctx, time.Now()); err != nil { // fits the first model, or goes on with the last one
		return err
	}

	mux := http.NewServeMux()
	mux.Handle("/", shop.Handler())
	mux.Handle("/v2/", loop.Handler())
	fmt.Fprintf(out, hint, listener.Addr(), dir)
	return serve(ctx, listener, mux, loop.Run)
}

// serve answers requests until background, which ends with ctx, has ended.
func serve(ctx context.Context, listener net.Listener, handler http.Handler, background func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	served := make(chan error, 1)
	go func() {
		defer cancel()
		served <- server.Serve(listener)
	}()
	err := errors.Join(background(ctx), server.Shutdown(context.WithoutCancel(ctx)))
	if failed := <-served; !errors.Is(failed, http.ErrServerClosed) {
		err = errors.Join(err, failed)
	}
	return err
}

const hint = `The shop and its churn model answer at http://%[1]s. In another terminal:

  curl http://%[1]s/customers/c3999
  curl http://%[1]s/v2/models/churn
  curl http://%[1]s/v2/models/churn/infer -d '{"id": "c3999", "inputs": [
    {"name": "plan",   "datatype": "BYTES", "shape": [1], "data": ["basic"]},
    {"name": "region", "datatype": "BYTES", "shape": [1], "data": ["north"]},
    {"name": "spend",  "datatype": "FP64",  "shape": [1], "data": [12.5]},
    {"name": "visits", "datatype": "INT64", "shape": [1], "data": [2]}]}'
  curl http://%[1]s/v2/models/churn/feedback -d '{"labels": [{"id": "c3999", "value": 1}]}'

Everything is in %[2]s: shop.db is the shop's, loop.db the loop's. Ctrl-C stops it;
-dir %[2]s goes on where it was.
`
