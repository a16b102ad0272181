package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retrainsql"
	"github.com/mlloop/mlloop/sqlstore"
)

// makeDir makes the folder of the state, which a run on PostgreSQL does not need.
func (o *options) makeDir() (err error) {
	switch {
	case o.db != "":
		return nil
	case o.dir == "":
		o.dir, err = os.MkdirTemp("", "mlloop-electricity-")
		return err
	}
	return os.MkdirAll(o.dir, 0o755)
}

// file is the database of a run without -db.
func (o options) file() string { return filepath.Join(o.dir, "loop.db") }

func (o options) open(ctx context.Context) (*retrain.Stores, error) {
	switch {
	case strings.HasPrefix(o.db, "sqlite:"):
		return retrainsql.Open(ctx, o.db, nil)
	case o.db != "":
		return retrainsql.Open(ctx, o.db, &retrainsql.Options{Schema: o.schema})
	}
	// Kill -9 loses nothing at synchronous=normal; only the machine's own fall
	// could lose the last rows, and a replay can be run again.
	return retrainsql.Open(ctx, "sqlite:"+o.file()+"?synchronous=normal", nil)
}

// look is where everything is, and a command that shows some of it.
func (o options) look() (where, command string) {
	switch {
	case o.db == "":
		return o.file(), "sqlite3 " + o.file() + ` 'SELECT datetime(time/1000, "unixepoch"), kind, text FROM mlloop_retrain_event'`
	case strings.HasPrefix(o.db, "sqlite:"):
		return o.db, ""
	}
	url := sqlstore.Redacted(o.db)
	return "schema " + o.schema + " of " + url, "psql " + url + ` -c 'SELECT to_timestamp(time/1000), kind, text FROM ` + o.schema + `.mlloop_retrain_event'`
}

// checkSeed refuses a state that another seed was begun in: its rows cannot be
// continued.
func checkSeed(ctx context.Context, stores *retrain.Stores, o options) error {
	const sender = "example/seed" // no sender of alerts: a place of the example's own
	want := fmt.Sprintf("-seed %d", o.seed)
	have, err := stores.Retrain.Cursor(ctx, model, sender)
	if errors.Is(err, retrain.ErrNotFound) {
		return stores.Retrain.PutCursor(ctx, retrain.Cursor{Model: model, Sender: sender, Rev: 1, Data: []byte(want)})
	}
	if err != nil {
		return err
	}
	if string(have.Data) != want {
		return fmt.Errorf("the state was begun with %s, this is %s: give the same -seed, or another -dir, -db or -schema", have.Data, want)
	}
	return nil
}
