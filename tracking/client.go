package tracking

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/internal/id"
	"github.com/mlloop/mlloop/tracking/artifact"
)

// Options are a Client's settings. The zero value of each is its default.
type Options struct {
	Artifacts     artifact.Store   // where the bytes of artifacts live; nil: LogArtifact is Unsupported
	Now           func() time.Time // nil: time.Now
	Logger        *slog.Logger     // nil: silent
	QueueSize     int              // records that may wait for the store, over all runs; 0: 65,536
	QueueWait     time.Duration    // how long a record that finds the queue full waits for room; 0: it is dropped at once
	FlushInterval time.Duration    // how long a record waits at most while the store is well; 0: 1 s
}

// Client is the front of a tracking store: it starts runs, and reads them. It
// is safe for concurrent use.
type Client struct {
	store     Store
	artifacts artifact.Store
	now       func() time.Time
	log       *slog.Logger
	queueSize int64
	queueWait time.Duration
	interval  time.Duration

	queued     atomic.Int64   // records that wait, over all runs
	runs       atomic.Int64   // that have records waiting
	dropped    atomic.Int64   // records that are not stored
	room       room           // in the queue
	wake       chan struct{}  // holds a token when a batch or the queue is full
	slots      chan struct{}  // holds a token for each write in the background
	background sync.WaitGroup // writes that the flusher began

	mu       sync.Mutex
	waiting  map[*Run]struct{}     // runs with records that wait; the client holds no other
	troubled map[string][]*trouble // by run, of those that have not ended
	untold   int                   // runs in trouble that are too many to keep
	closed   bool
	stop     context.CancelFunc // ends the flusher; nil before the first run
	done     chan struct{}      // closed when the flusher has ended
}

// New returns a Client over the store and the files of its runs. It does no
// I/O, and owns neither: close the Client, which drains, and then the store.
func New(store Store, opts *Options) *Client {
	if opts == nil {
		opts = &Options{}
	}
	c := &Client{
		store:     store,
		artifacts: opts.Artifacts,
		now:       opts.Now,
		log:       opts.Logger,
		queueSize: int64(opts.QueueSize),
		queueWait: opts.QueueWait,
		interval:  opts.FlushInterval,
		wake:      make(chan struct{}, 1),
		slots:     make(chan struct{}, writesAtOnce),
		waiting:   map[*Run]struct{}{},
		troubled:  map[string][]*trouble{},
	}
	if c.artifacts == nil {
		c.artifacts = noArtifacts{}
	}
	if c.now == nil {
		c.now = time.Now
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if c.queueSize <= 0 {
		c.queueSize = 65_536
	}
	if c.interval <= 0 {
		c.interval = time.Second
	}
	return c
}

// RunOptions describe a new run. The zero value of each is its default.
type RunOptions struct {
	ID   string            // "": a new one. A running run of this ID is resumed
	Name string            // for readers; need not be unique
	Tags map[string]string // set before Start returns
}

// Start starts a run in the named experiment, which it creates if missing.
// With the ID of a run that is RUNNING it resumes that one, so that a step
// which is done again after a crash goes on in the same run; its name stays.
//
// Errors: Invalid; Conflict when the run of that ID has ended, or belongs to
// another experiment; Unavailable; Closed.
func (c *Client) Start(ctx context.Context, experiment string, opts *RunOptions) (*Run, error) {
	if opts == nil {
		opts = &RunOptions{}
	}
	run, err := c.start(ctx, experiment, opts)
	if err != nil {
		return nil, fmt.Errorf("tracking: start run in %q: %w", experiment, err)
	}
	return run, nil
}

func (c *Client) start(ctx context.Context, experiment string, opts *RunOptions) (*Run, error) {
	if err := checkStart(experiment, opts); err != nil {
		return nil, err
	}
	if err := c.checkOpen(); err != nil {
		return nil, err
	}
	e, err := c.ensureExperiment(ctx, experiment)
	if err != nil {
		return nil, err
	}
	info := RunInfo{
		ID:           cmp.Or(opts.ID, id.New()),
		ExperimentID: e.ID,
		Name:         opts.Name,
		Status:       Running,
		StartedAt:    c.timestamp(),
		Rev:          1,
	}
	err = c.store.CreateRun(ctx, info)
	if errors.Is(err, ErrAlreadyExists) {
		info, err = c.resume(ctx, info)
	}
	if err != nil {
		return nil, err
	}
	if len(opts.Tags) > 0 {
		if err := c.store.Log(ctx, info.ID, Batch{Tags: opts.Tags}); err != nil {
			return nil, err
		}
	}
	return c.track(info)
}

// resume returns the stored run of wanted.ID if it may go on.
func (c *Client) resume(ctx context.Context, wanted RunInfo) (RunInfo, error) {
	stored, err := c.store.Run(ctx, wanted.ID)
	if err != nil {
		return RunInfo{}, err
	}
	if stored.Status != Running {
		return RunInfo{}, fault.Errorf(ErrConflict, "run %s is %s: a run that has ended cannot go on, choose another id", wanted.ID, stored.Status)
	}
	if stored.ExperimentID != wanted.ExperimentID {
		return RunInfo{}, fault.Errorf(ErrConflict, "run %s belongs to another experiment: choose another id", wanted.ID)
	}
	return stored.RunInfo, nil
}

func (c *Client) ensureExperiment(ctx context.Context, name string) (Experiment, error) {
	e, err := c.store.Experiment(ctx, name)
	if !errors.Is(err, ErrNotFound) {
		return e, err
	}
	e = Experiment{ID: id.New(), Name: name, CreatedAt: c.timestamp()}
	err = c.store.CreateExperiment(ctx, e)
	if errors.Is(err, ErrAlreadyExists) { // another process was quicker
		return c.store.Experiment(ctx, name)
	}
	return e, err
}

// track makes the run's handle, and sees to it that the flusher runs.
func (c *Client) track(info RunInfo) (*Run, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, errClosed()
	}
	if c.stop == nil {
		ctx, stop := context.WithCancel(context.Background())
		c.stop, c.done = stop, make(chan struct{})
		go c.flushLoop(ctx, c.done)
	}
	return newRun(c, info), nil
}

// Dropped returns the number of records, over all runs, that were not stored
// because they found the queue full, came after their run's end, or were refused
// by the store.
func (c *Client) Dropped() int64 { return c.dropped.Load() }

// timestamp is now as stores keep it: UTC milliseconds.
func (c *Client) timestamp() time.Time { return time.UnixMilli(c.now().UnixMilli()).UTC() }
