package tracking

import (
	"context"
	"fmt"
	"iter"
)

// Reading shows what the store holds: records that wait in the queue are seen
// once they are written, at the latest after Flush or Finish.

// Experiments returns all experiments, by name.
func (c *Client) Experiments(ctx context.Context) ([]Experiment, error) {
	es, err := reading(c, nil, func() ([]Experiment, error) { return c.store.Experiments(ctx) })
	if err != nil {
		return nil, fmt.Errorf("tracking: list experiments: %w", err)
	}
	return es, nil
}

// Experiment returns the named experiment. Errors: NotFound; Invalid for a name
// that no experiment can have.
func (c *Client) Experiment(ctx context.Context, name string) (Experiment, error) {
	e, err := reading(c, CheckText(name), func() (Experiment, error) { return c.store.Experiment(ctx, name) })
	if err != nil {
		return Experiment{}, fmt.Errorf("tracking: get experiment %q: %w", name, err)
	}
	return e, nil
}

// Run returns a run with its data. Errors: NotFound; Invalid for an id that no
// run can have.
func (c *Client) Run(ctx context.Context, id string) (RunRecord, error) {
	run, err := reading(c, CheckText(id), func() (RunRecord, error) { return c.store.Run(ctx, id) })
	if err != nil {
		return RunRecord{}, fmt.Errorf("tracking: get run %s: %w", id, err)
	}
	return run, nil
}

// Runs returns one page of the runs that q selects, newest first, and the
// token of the next page: set q.Page to it. It is "" at the end. Errors:
// Invalid, for a limit, a status or a page token.
func (c *Client) Runs(ctx context.Context, q RunQuery) (runs []RunRecord, next string, err error) {
	if err := checkQuery(q); err != nil {
		return nil, "", fmt.Errorf("tracking: list runs: %w", err)
	}
	runs, err = reading(c, nil, func() (page []RunRecord, err error) {
		page, next, err = c.store.Runs(ctx, q)
		return page, err
	})
	if err != nil {
		return nil, "", fmt.Errorf("tracking: list runs: %w", err)
	}
	return runs, next, nil
}

// AllRuns yields every run that q selects, newest first, page by page of
// q.Limit. After an error it yields nothing more.
func (c *Client) AllRuns(ctx context.Context, q RunQuery) iter.Seq2[RunRecord, error] {
	return func(yield func(RunRecord, error) bool) {
		for {
			page, next, err := c.Runs(ctx, q)
			if err != nil {
				yield(RunRecord{}, err)
				return
			}
			for _, run := range page {
				if !yield(run, nil) {
					return
				}
			}
			if next == "" {
				return
			}
			q.Page = next
		}
	}
}

// Metrics returns every point of a run's metric, by step, then time, then
// value. A key without points is no error. Errors: NotFound for the run.
func (c *Client) Metrics(ctx context.Context, runID, key string) ([]Metric, error) {
	points, err := reading(c, CheckText(runID, key), func() ([]Metric, error) { return c.store.MetricHistory(ctx, runID, key) })
	if err != nil {
		return nil, fmt.Errorf("tracking: get metric %q of run %s: %w", key, runID, err)
	}
	return points, nil
}

// reading calls read unless the question is invalid or the client closed.
func reading[T any](c *Client, invalid error, read func() (T, error)) (T, error) {
	err := invalid
	if err == nil {
		err = c.checkOpen()
	}
	if err != nil {
		var zero T
		return zero, err
	}
	return read()
}
