// Command quickstart is a small shop service that keeps a churn model right with
// mlloop: what the loop does is in loop.go, what it is mounted on in serveShop, and
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
	"sync"
	"syscall"
	"time"

	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retrainsql"
	"github.com/mlloop/mlloop/serve/servehttp"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "where to listen")
	dir := flag.String("dir", "", "folder of the databases; a temporary one when empty")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *addr, *dir, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, addr, dir string, out io.Writer) (err error) {
	listener, err := servehttp.Listen(ctx, addr)
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
	fmt.Fprintln(out, "The first model is fitted, or the last one taken up: a few seconds.")
	if err := loop.FitFirst(ctx, time.Now(), nil); err != nil {
		return err
	}

	fmt.Fprintf(out, hint, listener.Addr(), dir)
	return serveShop(ctx, listener, shop, loop)
}

// serveShop answers requests, keeps the shop's books and steps the loop until ctx is done.
func serveShop(ctx context.Context, listener net.Listener, shop *shop, loop *retrain.Loop) error {
	mux := http.NewServeMux()
	mux.Handle("/", shop.Handler())
	mux.Handle("/v2/", loop.Handler())
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var work sync.WaitGroup
	var served, booked error
	work.Go(func() {
		defer stop()
		served = servehttp.Serve(ctx, listener, mux, &servehttp.ServeOptions{Drain: loop.Handler().Drain})
	})
	work.Go(func() {
		defer stop()
		booked = shop.bookkeeping(ctx)
	})
	stepped := loop.Run(ctx)
	stop()
	work.Wait()
	return errors.Join(stepped, served, booked)
}

const hint = `The shop and its churn model answer at http://%[1]s. In another terminal:

  curl http://%[1]s/customers/c3999
  curl http://%[1]s/v2/models/churn
  curl http://%[1]s/v2/models/churn/infer -H 'X-Mlloop-Key: c3999' -d '{"id": "c3999", "inputs": [
    {"name": "plan",   "datatype": "BYTES", "shape": [1], "data": ["basic"]},
    {"name": "region", "datatype": "BYTES", "shape": [1], "data": ["north"]},
    {"name": "spend",  "datatype": "FP64",  "shape": [1], "data": [12.5]},
    {"name": "visits", "datatype": "INT64", "shape": [1], "data": [2]}]}'

The id names the prediction: its label comes under it, from the shop's outcomes 30
days later, or at once from whoever knows better. The key keeps a customer on one side
of a canary; without it, the id does.

  curl http://%[1]s/v2/models/churn/feedback -d '{"labels": [{"id": "c3999", "value": 1}]}'

Everything is in %[2]s: shop.db is the shop's, loop.db the loop's. Ctrl-C stops it;
-dir %[2]s goes on where it was.
`
