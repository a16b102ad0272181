package servesql

import (
	"context"
	"database/sql"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/sqlstore"
)

// routeChanges wakes those who wait for a model's route. While somebody waits on
// PostgreSQL it listens for other processes' changes, on a connection beside the
// pool: one of the pool's would be missed in a small pool.
type routeChanges struct {
	db *sqlstore.DB

	mu      sync.Mutex
	closed  bool
	waited  map[string]chan struct{} // by model: closed with the next change
	waiting int                      // calls of listen that have not ended
	stop    context.CancelFunc       // ends the goroutine that listens; nil: none runs
	ended   chan struct{}            // closed when the latest one has ended
}

func newRouteChanges(db *sqlstore.DB) *routeChanges {
	return &routeChanges{db: db, waited: map[string]chan struct{}{}}
}

// change returns what is closed when the model's route changes.
func (c *routeChanges) change(model string) <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	changed, ok := c.waited[model]
	if !ok {
		changed = make(chan struct{})
		c.waited[model] = changed
	}
	return changed
}

// changed wakes those who wait for the model's route to look again.
func (c *routeChanges) changed(model string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if changed, ok := c.waited[model]; ok {
		close(changed)
		delete(c.waited, model)
	}
}

// changedAll wakes all: what changed meanwhile is not known.
func (c *routeChanges) changedAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, changed := range c.waited {
		close(changed)
	}
	clear(c.waited)
}

// channel is what PostgreSQL's notifications are sent to: one a prefix, since
// names of schemas are too long for it. A change in another schema wakes for
// nothing.
func (c *routeChanges) channel() string { return c.db.Prefix() + "serve_route" }

// maxPayload is what a notification carries at most.
const maxPayload = 7000

// notify has PostgreSQL tell other processes of a change when tx is committed,
// unless err says that there was none.
func (c *routeChanges) notify(ctx context.Context, tx *sqlstore.Tx, model string, err error) error {
	if err != nil || tx.Dialect() != sqlstore.PostgreSQL {
		return err
	}
	if len(model) > maxPayload {
		model = "" // all are woken
	}
	_, err = tx.Exec(ctx, `SELECT pg_notify(?, ?)`, c.channel(), model)
	return err
}

// listen has PostgreSQL tell of changes until leave is called.
func (c *routeChanges) listen() (leave func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting++; c.stop == nil {
		ctx, cancel := context.WithCancel(context.Background())
		before, ended := c.ended, make(chan struct{})
		c.stop, c.ended = cancel, ended
		go func() {
			defer close(ended)
			if before != nil {
				<-before
			}
			c.hear(ctx)
		}()
	}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.waiting--; c.waiting == 0 {
			c.stop()
			c.stop = nil
		}
	}
}

// open returns nil until close. Errors: Closed.
func (c *routeChanges) open() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return fault.Errorf(fault.Closed, "the store is closed")
	}
	return nil
}

// close wakes all who wait, and returns when nothing listens any more.
func (c *routeChanges) close() {
	c.mu.Lock()
	c.closed = true
	stop, ended := c.stop, c.ended
	c.mu.Unlock()
	if stop != nil {
		stop()
	}
	if ended != nil {
		<-ended
	}
	c.changedAll()
}

// relisten is how long after a failure a connection is tried again. Those who
// wait look by themselves meanwhile.
const relisten = 5 * time.Second

// hear listens until ctx is done.
func (c *routeChanges) hear(ctx context.Context) {
	for ctx.Err() == nil {
		if c.hearOnce(ctx) == nil || ctx.Err() != nil {
			return
		}
		timer := time.NewTimer(relisten)
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

func (c *routeChanges) hearOnce(ctx context.Context) error {
	config, err := connConfig(ctx, c.db.Pool())
	if err != nil {
		return err
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(closing) // nothing was written
	}()
	if _, err := conn.Exec(ctx, `LISTEN `+pgx.Identifier{c.channel()}.Sanitize()); err != nil {
		return err
	}
	c.changedAll() // what changed before
	for {
		told, err := conn.WaitForNotification(ctx)
		switch {
		case err != nil:
			return err
		case told.Payload == "":
			c.changedAll()
		default:
			c.changed(told.Payload)
		}
	}
}

// connConfig returns how the pool's connections are made. Errors: Unsupported
// for a driver that is not pgx.
func connConfig(ctx context.Context, pool *sql.DB) (config *pgx.ConnConfig, err error) {
	conn, err := pool.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }() // back to the pool
	err = conn.Raw(func(driver any) error {
		c, ok := driver.(*stdlib.Conn)
		if !ok {
			return fault.Errorf(fault.Unsupported, "the pool's driver is not pgx's")
		}
		config = c.Conn().Config()
		config.OnNotification = nil // the pooled connection's own, which would get what is told to this one
		return nil
	})
	return config, err
}
