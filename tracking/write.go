package tracking

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
)

// alone calls op while it holds the run's token, which one holds at a time. It
// returns op's error, or ctx's as soon as ctx is done: if the store hangs, op
// keeps the token until the store answers.
func (r *Run) alone(ctx context.Context, op func(ctx context.Context) error) error {
	select {
	case r.writing <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	done := make(chan error, 1)
	go func() {
		err := op(ctx)
		<-r.writing
		r.tell()
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// write writes what an earlier call had to leave, then what waits. The token
// is held. After an error the rest stays, for the next call.
func (r *Run) write(ctx context.Context) error {
	if err := r.writeOut(ctx); err != nil {
		return err
	}
	spare := r.out // empty now: its memory is used again
	r.mu.Lock()
	r.out, r.waiting = r.waiting, records{metrics: spare.metrics[:0]}
	r.mu.Unlock()
	if err := r.writeOut(ctx); err != nil {
		return err
	}
	r.unlist()
	return nil
}

func (r *Run) writeOut(ctx context.Context) error {
	all := r.out.metrics
	for r.part.len() > 0 || r.out.len() > 0 {
		if r.part.len() == 0 {
			r.part, r.out = r.out.cut(batchMetrics)
			r.search = search{}
		}
		if err := r.writePart(ctx); err != nil {
			return err
		}
	}
	r.out.metrics = all[:0]
	return nil
}

// search is for the wrong records of a part.
type search struct {
	suspects int  // the first records of the part, one of which at least is wrong; 0: none is known to be
	tries    int  // how often the store refused the first record without saying why
	refused  int  // records that were dropped
	runTakes bool // the store takes records of the run, if they are right
}

// strangeTries is how often a record is tried that the store refuses without
// saying why, though it takes others.
const strangeTries = 3

// maxSearched is how many wrong records of a batch are told apart.
const maxSearched = 50

// strangeTime is how long a store is tried that fails without saying why.
const strangeTime = time.Minute

// writePart writes r.part. Of a batch that the store refuses only the records
// that are wrong are dropped: it is halved until one is alone.
func (r *Run) writePart(ctx context.Context) error {
	for r.part.len() > 0 {
		n := r.part.len()
		if r.search.suspects > 0 {
			n = (r.search.suspects + 1) / 2
		}
		head, rest := r.part.cut(n)
		err := r.client.store.Log(ctx, r.info.ID, head.batch())
		if err == nil {
			r.strangeSince = time.Time{}
			r.search.suspects = max(0, r.search.suspects-n)
			r.part = rest
			r.leave(n)
			continue
		}
		switch verdict, err := r.judge(ctx, n, err); verdict {
		case tryLater:
			return err
		case wrongRun:
			n = r.part.len()
			r.dropPart(records{}, n, fmt.Errorf("%d records: %w", n, err))
		case wrongRecord:
			if err := r.narrow(ctx, n, rest, head.first(), err); err != nil {
				return err
			}
		}
	}
	return nil
}

// narrow goes on after the store refused the first n records of the part. Its
// error is one to try again after.
func (r *Run) narrow(ctx context.Context, n int, rest records, first string, err error) error {
	kind := fault.Kind(err)
	switch {
	case n > 1 && r.search.refused < maxSearched:
		r.search.suspects = n
	case n > 1: // too many to look for each
		r.dropPart(rest, n, fmt.Errorf("%d records: %w", n, err))
	case kind == nil && r.search.tries+1 < strangeTries:
		r.search.suspects = 1
		r.search.tries++
	case kind == nil && !r.takesOther(ctx, rest) && !r.strangeForLong():
		return err
	case kind == ErrAlreadyExists: // which names the param
		r.dropPart(rest, 1, err)
	default:
		r.dropPart(rest, 1, fmt.Errorf("%s: %w", first, err))
	}
	return nil
}

// takesOther reports whether the store takes another record of the run, so that
// it is the record that is wrong, not the store. A point, or an input, may be
// written again, and before its turn.
func (r *Run) takesOther(ctx context.Context, rest records) bool {
	r.mu.Lock()
	waiting := r.waiting
	r.mu.Unlock()
	for _, others := range []records{r.out, rest, waiting} {
		if n := len(others.metrics); n > 0 {
			return r.client.store.Log(ctx, r.info.ID, Batch{Metrics: others.metrics[n-1 : n : n]}) == nil
		}
		if n := len(others.inputs); n > 0 {
			return r.client.store.Log(ctx, r.info.ID, Batch{Inputs: others.inputs[n-1 : n : n]}) == nil
		}
	}
	return false
}

// strangeForLong reports whether the store has failed for long without saying
// why: then neither lose what may soon be stored, nor try for ever.
func (r *Run) strangeForLong() bool {
	if r.strangeSince.IsZero() {
		r.strangeSince = time.Now()
	}
	return time.Since(r.strangeSince) >= strangeTime
}

// dropPart drops the first n records of the part; rest are the others.
func (r *Run) dropPart(rest records, n int, err error) {
	r.part = rest
	r.search = search{refused: r.search.refused + n, runTakes: r.search.runTakes}
	r.leave(n)
	r.dropNoted(n, err)
}

// verdict is what an error of the store is taken for.
type verdict int

const (
	tryLater    verdict = iota // the store is out of reach
	wrongRecord                // one of the records, at least
	wrongRun                   // the store takes no record of this run
)

// judge says what the error of n records means. An empty batch, which holds no
// wrong record, shows whether the store takes any; the error that matters comes
// back.
func (r *Run) judge(ctx context.Context, n int, err error) (verdict, error) {
	if outOfReach(ctx, err) {
		return tryLater, err
	}
	if fault.Kind(err) != nil && (n == 1 || r.search.runTakes) {
		return wrongRecord, err
	}
	switch empty := r.client.store.Log(ctx, r.info.ID, Batch{}); {
	case empty == nil:
		r.search.runTakes = true
		return wrongRecord, err
	case outOfReach(ctx, empty):
		return tryLater, empty
	case fault.Kind(empty) != nil:
		return wrongRun, empty
	}
	if !r.strangeForLong() {
		return tryLater, err
	}
	return wrongRun, fmt.Errorf("given up after %v: %w", strangeTime, err)
}

// outOfReach reports whether the error says that trying again may help; a right
// that is missing may be granted.
func outOfReach(ctx context.Context, err error) bool {
	if ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return true
	}
	kind := fault.Kind(err)
	return kind == ErrUnavailable || kind == ErrClosed || kind == ErrDenied
}
