package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/mlloop/mlloop/retrain"
)

// options are the command line.
type options struct {
	dir        string
	db, schema string // URL, "": loop.db in dir; and schema on PostgreSQL
	seed       uint64
	rows       int
	json       bool

	change func(*retrain.Config) // what a test tries instead; nil: nothing
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return
		}
		fmt.Fprintln(os.Stderr, "electricity:", err)
		os.Exit(1) //nolint:gocritic // nothing is left to stop
	}
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("electricity", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.dir, "dir", "", "folder of the state; a run that was cut off goes on there (default: a temporary one)")
	flags.StringVar(&o.db, "db", "", "database, such as postgres://user@host/name; a run that was cut off goes on there (default: loop.db in -dir)")
	flags.StringVar(&o.schema, "schema", "mlloop_electricity", "schema of a PostgreSQL database that keeps the example apart from what else is there")
	flags.Uint64Var(&o.seed, "seed", 1, "seed of every random choice")
	flags.IntVar(&o.rows, "rows", 0, "rows to replay (default: all 36,600)")
	flags.BoolVar(&o.json, "json", false, "print the figures as one JSON object")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("%q is no flag: see -help", flags.Arg(0))
	}
	return o, nil
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	start := time.Now()
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	m, err := loadMarket()
	if err != nil {
		return err
	}
	most := m.table.NumRows() - m.history
	if o.rows == 0 {
		o.rows = most
	}
	if o.rows < 1 || o.rows > most {
		return fmt.Errorf("-rows %d: there are 1 to %d rows to replay", o.rows, most)
	}
	if err := o.makeDir(); err != nil {
		return err
	}
	f, err := replayAll(ctx, o, m, stderr)
	if err != nil {
		return err
	}
	f.where, f.command = o.look()
	f.Seconds, f.PeakRSSMB = time.Since(start).Seconds(), peakRSS()
	if o.json {
		return f.writeJSON(stdout)
	}
	return f.writeTable(stdout)
}

// replayAll runs the loop over the stream and gathers the figures.
func replayAll(ctx context.Context, o options, m *market, stderr io.Writer) (figures, error) {
	stores, err := o.open(ctx)
	if err != nil {
		return figures{}, err
	}
	defer func() { _ = stores.Close(context.WithoutCancel(ctx)) }() // all is durable: the figures were read from it
	if err := checkSeed(ctx, stores, o); err != nil {
		return figures{}, err
	}
	end := m.history + o.rows
	baselines := startBaselines(ctx, m, o.seed, end)
	var now clock
	now.set(rowTime(m.history))
	config := configure(m, stores, &now, o.seed)
	if o.change != nil {
		o.change(&config)
	}
	loop, err := retrain.New(config)
	if err != nil {
		return figures{}, err
	}
	p := newProgress(stderr, o.rows)
	if err := replayLoop(ctx, m, loop, stores, &now, end, p); err != nil {
		return figures{}, err
	}
	p.done()
	return gather(ctx, m, loop, stores, o.seed, end, baselines)
}

func replayLoop(ctx context.Context, m *market, loop *retrain.Loop, stores *retrain.Stores, now *clock, end int, p *progress) error {
	if err := loop.Lead(ctx); err != nil { // its steps alone count
		return err
	}
	if err := loop.FitFirst(ctx, rowTime(m.history), m.table.Slice(0, m.history)); err != nil {
		return err
	}
	url, stop, err := listen(ctx, loop.Handler())
	if err != nil {
		return err
	}
	client := &http.Client{Timeout: 30 * time.Second}
	r := &replay{market: m, loop: loop, clock: now, url: url, client: client, end: end}
	watch := &watcher{market: m, loop: loop, log: stores.Serve, progress: p}
	err = r.resume(ctx, stores.Serve)
	if err == nil && r.row > m.history {
		err = watch.skipEvents(ctx)
	}
	if err == nil {
		err = r.run(ctx, func(row int) error { return watch.update(ctx, row) })
	}
	client.CloseIdleConnections() // or the server would wait for them
	return errors.Join(err, stop(), loop.Close(context.WithoutCancel(ctx)))
}
