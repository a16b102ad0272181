package tracking

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/mlloop/mlloop/internal/fault"
)

// The most that one batch holds: MLflow's limits of a log-batch request.
const (
	batchMetrics = 1000
	batchPairs   = 100
)

type pair struct{ key, value string }

// records are what waits to be written, each list in the order of logging.
type records struct {
	metrics []Metric
	params  []pair
	tags    []pair
	inputs  []Input
}

func (w *records) len() int {
	return len(w.metrics) + len(w.params) + len(w.tags) + len(w.inputs)
}

// batch returns the first batch of w, and what remains. A batch has a param
// key once, so that another value of it is judged by the store.
func (w *records) batch() (Batch, records) {
	var b Batch
	rest := *w
	b.Params, rest.params = cutPairs(rest.params, func(seen, value string) bool { return seen == value })
	b.Tags, rest.tags = cutPairs(rest.tags, func(string, string) bool { return true })
	b.Inputs, rest.inputs = cut(rest.inputs, batchPairs)
	b.Metrics, rest.metrics = cut(rest.metrics, batchMetrics-len(b.Params)-len(b.Tags)-len(b.Inputs))
	return b, rest
}

func cut[T any](list []T, n int) (head, tail []T) {
	n = min(n, len(list))
	return list[:n:n], list[n:]
}

// cutPairs takes pairs into a map until it is full, or holds the key of the
// next pair with a value that may not be replaced.
func cutPairs(pairs []pair, replace func(seen, value string) bool) (map[string]string, []pair) {
	if len(pairs) == 0 {
		return nil, nil
	}
	taken := map[string]string{}
	for i, p := range pairs {
		seen, again := taken[p.key]
		if len(taken) == batchPairs && !again || again && !replace(seen, p.value) {
			return taken, pairs[i:]
		}
		taken[p.key] = p.value
	}
	return taken, nil
}

func (r *Run) lockWriting(ctx context.Context) error {
	select {
	case r.writing <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *Run) unlockWriting() { <-r.writing }

// flush writes what waited when it was called.
func (r *Run) flush(ctx context.Context) error {
	if err := r.lockWriting(ctx); err != nil {
		return err
	}
	defer r.unlockWriting()
	return r.write(ctx)
}

// flushInBackground is flush for the flusher: it says once that the store is
// out of reach, and once that it is back.
func (r *Run) flushInBackground(ctx context.Context) {
	err := r.flush(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	if failing := err != nil && ctx.Err() == nil; failing != r.failing {
		r.failing = failing
		if failing {
			r.client.log.Warn("tracking: records wait for the store", "run", r.info.ID, "error", err)
		} else {
			r.client.log.Info("tracking: the store takes records again", "run", r.info.ID)
		}
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
	return r.writeOut(ctx)
}

func (r *Run) writeOut(ctx context.Context) error {
	all := r.out.metrics
	for r.out.len() > 0 {
		b, rest := r.out.batch()
		written := int64(r.out.len() - rest.len())
		switch err := r.writeBatch(ctx, b); {
		case err == nil:
		case permanent(err):
			r.drop(written)
			r.reject(err)
		default:
			return err
		}
		r.out = rest
		r.client.queued.Add(-written)
	}
	r.out.metrics = all[:0]
	return nil
}

// permanent reports whether trying again cannot help.
func permanent(err error) bool {
	kind := fault.Kind(err)
	return kind != nil && kind != ErrUnavailable && kind != ErrClosed
}

// writeBatch writes one batch. A param whose stored value is another one would
// keep all of the batch out: then the params go one at a time.
func (r *Run) writeBatch(ctx context.Context, b Batch) error {
	err := r.client.store.Log(ctx, r.info.ID, b)
	if !errors.Is(err, ErrAlreadyExists) || len(b.Params) == 0 {
		return err
	}
	params := b.Params
	b.Params = nil
	if err := r.client.store.Log(ctx, r.info.ID, b); err != nil {
		return err
	}
	for _, key := range sortedKeys(params) {
		err := r.client.store.Log(ctx, r.info.ID, Batch{Params: map[string]string{key: params[key]}})
		if errors.Is(err, ErrAlreadyExists) {
			r.reject(err)
		} else if err != nil {
			return err
		}
	}
	return nil
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

// joinedErrors prints its errors on one line.
type joinedErrors []error

func (es joinedErrors) Error() string {
	texts := make([]string, len(es))
	for i, e := range es {
		texts[i] = e.Error()
	}
	return strings.Join(texts, "; ")
}

func (es joinedErrors) Unwrap() []error { return es }

// joined returns nil without errors, else one that holds them all.
func joined(errs []error) error {
	errs = slices.DeleteFunc(slices.Clone(errs), func(err error) bool { return err == nil })
	if len(errs) == 0 {
		return nil
	}
	return joinedErrors(errs)
}
