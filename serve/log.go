package serve

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
)

const (
	defaultQueueSize     = 65_536
	defaultFlushInterval = 200 * time.Millisecond

	// commitRows is how many predictions go into one transaction, and how many
	// waiting ones wake the writer before its interval is over.
	commitRows = 512

	firstBackoff = 100 * time.Millisecond
	lastBackoff  = 10 * time.Second
)

// predictionLog brings predictions to the store behind the requests' backs. Its one
// goroutine starts with the first prediction and ends with close.
type predictionLog struct {
	store    Store
	size     int
	interval time.Duration
	logger   *slog.Logger

	mu      sync.Mutex
	waiting []Prediction // answered, not yet being stored
	stuck   int          // len(storing)-next, readable under mu
	dropped int64
	failing int64
	started bool
	closed  bool

	wake chan struct{} // one token: something waits
	full chan struct{} // one token: commitRows wait
	quit chan struct{} // closed by close
	done chan struct{} // closed when the goroutine has ended

	stop context.CancelFunc // cuts off what the goroutine is storing

	commit  chan struct{} // one token: held while storing, by the goroutine or a flush
	storing []Prediction  // guarded by commit; stored up to next
	next    int
}

func newLog(store Store, opts *Options) *predictionLog {
	l := &predictionLog{
		store: store, size: opts.QueueSize, interval: opts.FlushInterval, logger: opts.Logger,
		wake: make(chan struct{}, 1), full: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{}),
		commit: make(chan struct{}, 1),
	}
	l.commit <- struct{}{}
	return l
}

// put queues predictions and returns at once. What does not fit is dropped and counted.
func (l *predictionLog) put(ps []Prediction) {
	l.mu.Lock()
	room := l.size - l.stuck - len(l.waiting)
	if l.closed {
		room = 0
	}
	lost := len(ps) - max(0, min(room, len(ps)))
	l.waiting = append(l.waiting, ps[:len(ps)-lost]...)
	first := lost > 0 && l.dropped == 0
	l.dropped += int64(lost)
	n := len(l.waiting)
	if !l.started && !l.closed {
		l.started = true
		ctx, cancel := context.WithCancel(context.Background())
		l.stop = cancel
		go l.run(ctx)
	}
	l.mu.Unlock()
	if first {
		l.logger.Error("serve: the prediction log's queue is full: predictions are answered but not logged", "queue_size", l.size)
	}
	signal(l.wake)
	if n >= commitRows {
		signal(l.full)
	}
}

// signal leaves a token unless there is one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// run stores what waits: an interval after the first prediction, or once there
// are many. After a failure it waits longer each time.
func (l *predictionLog) run(ctx context.Context) {
	defer close(l.done)
	backoff := time.Duration(0)
	for {
		select {
		case <-l.wake:
		case <-l.quit:
			return
		}
		if !l.pause(l.interval, l.full) {
			return
		}
		for {
			err := l.flush(ctx)
			if err == nil {
				backoff = 0
				break
			}
			backoff = min(max(firstBackoff, 2*backoff), lastBackoff)
			if !l.pause(backoff, nil) {
				return
			}
		}
	}
}

// pause waits for d, or for early; it reports false when the log is closing.
func (l *predictionLog) pause(d time.Duration, early <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-early:
	case <-l.quit:
		return false
	}
	return true
}

// flush stores everything that was put before the call. After an error it
// stays queued.
func (l *predictionLog) flush(ctx context.Context) error {
	select {
	case <-l.commit:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { l.commit <- struct{}{} }()
	// What waits now is stored in at most two rounds: what an earlier call left
	// behind, then the rest.
	for range 2 {
		l.mu.Lock()
		if l.next == len(l.storing) {
			clear(l.storing) // lets go of the rows stored last
			l.storing, l.waiting, l.next = l.waiting, l.storing[:0], 0
		}
		l.stuck = len(l.storing) - l.next
		l.mu.Unlock()
		if err := l.storeAll(ctx); err != nil {
			return err
		}
	}
	return nil
}

// storeAll stores l.storing in batches; what an error leaves stays in it.
func (l *predictionLog) storeAll(ctx context.Context) error {
	for l.next < len(l.storing) {
		ps := l.storing[l.next:min(l.next+commitRows, len(l.storing))]
		err := l.store.AppendPredictions(ctx, ps)
		if errors.Is(err, fault.Invalid) {
			err = l.storeSingly(ctx, ps)
		}
		if err != nil {
			if ctx.Err() == nil {
				l.failed(err)
			}
			return err
		}
		l.next += len(ps)
		l.stored(len(ps))
	}
	return nil
}

func (l *predictionLog) failed(err error) {
	l.mu.Lock()
	l.failing++
	first := l.failing == 1
	l.mu.Unlock()
	if first {
		l.logger.Error("serve: predictions cannot be stored: they are kept and tried again", "error", err)
	}
}

func (l *predictionLog) stored(n int) {
	l.mu.Lock()
	attempts := l.failing
	l.failing = 0
	l.stuck -= n
	l.mu.Unlock()
	if attempts > 0 {
		l.logger.Info("serve: predictions are stored again", "failed_attempts", attempts)
	}
}

// storeSingly finds the predictions that the store will never take and drops
// them, lest they hold up the others for ever.
func (l *predictionLog) storeSingly(ctx context.Context, ps []Prediction) error {
	for i := range ps {
		err := l.store.AppendPredictions(ctx, ps[i:i+1])
		switch {
		case errors.Is(err, fault.Invalid):
			l.mu.Lock()
			l.dropped++
			l.mu.Unlock()
			l.logger.Error("serve: the store refuses a prediction: it is not logged", "model", ps[i].Model, "id", ps[i].ID, "error", err)
		case err != nil:
			return err // those before are stored; storing them again changes nothing
		}
	}
	return nil
}

// close takes no more predictions, stores those that wait and ends the
// goroutine. What ctx cuts off is counted as dropped.
func (l *predictionLog) close(ctx context.Context) error {
	l.mu.Lock()
	started, first := l.started, !l.closed
	l.closed = true
	l.mu.Unlock()
	if first {
		close(l.quit)
	}
	if started {
		stop := context.AfterFunc(ctx, l.stop)
		<-l.done
		stop()
		l.stop()
	}
	err := l.flush(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	if lost := l.stuck + len(l.waiting); err != nil && lost > 0 {
		l.dropped += int64(lost)
		l.stuck, l.waiting = 0, nil
		return fault.Errorf(fault.Unavailable, "%d predictions could not be logged: %w", lost, err)
	}
	return err
}

// backlog returns how many predictions wait and how many were dropped.
func (l *predictionLog) backlog() (queued int, dropped int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stuck + len(l.waiting), l.dropped
}
