package registry

import (
	"context"
	"iter"

	"github.com/mlloop/mlloop/internal/fault"
)

// Models returns all models, by name in byte order. It reads a page at a time;
// an error ends it.
func (c *Client) Models(ctx context.Context) iter.Seq2[Model, error] {
	return pages(nil, "list models", func(last Model) ([]Model, error) { return c.store.Models(ctx, last.Name, 0) },
		func(a, b Model) bool { return a.Name > b.Name })
}

// Versions returns a model's versions, newest first. It reads a page at a time;
// an error ends it. Errors: Invalid, NotFound for the model.
func (c *Client) Versions(ctx context.Context, model string) iter.Seq2[Version, error] {
	var problems fault.Problems
	checkModel(&problems, model)
	return pages(problems, "list versions of "+model, func(last Version) ([]Version, error) {
		if last.ModelID != "" && last.Number <= 1 { // before 0 would begin anew
			return nil, nil
		}
		return c.store.Versions(ctx, model, last.Number, 0)
	}, func(a, b Version) bool { return a.Number < b.Number })
}

// Aliases returns a model's aliases, by name in byte order. It reads a page at a
// time; an error ends it. Errors: Invalid, NotFound for the model.
func (c *Client) Aliases(ctx context.Context, model string) iter.Seq2[Alias, error] {
	var problems fault.Problems
	checkModel(&problems, model)
	return pages(problems, "list aliases of "+model, func(last Alias) ([]Alias, error) { return c.store.Aliases(ctx, model, last.Name, 0) },
		func(a, b Alias) bool { return a.Name > b.Name })
}

// Events returns a model's audit trail from after the given Seq (0: from the
// beginning), oldest first. It reads a page at a time; an error ends it. Errors:
// Invalid; NotFound for the model.
func (c *Client) Events(ctx context.Context, model string, after int64) iter.Seq2[Event, error] {
	var problems fault.Problems
	checkModel(&problems, model)
	checkNumber(&problems, "after", after, 0)
	next := func(last Event) ([]Event, error) {
		return c.store.Events(ctx, EventQuery{Model: model, After: max(after, last.Seq)})
	}
	return pages(problems, "list events of "+model, next, func(a, b Event) bool { return a.Seq > b.Seq })
}

// pages returns the rows of one page after the other, until one is empty. next
// returns the page that follows a row, the first for the zero value. A row that
// does not come after the one before ends it: a damaged index would have it go on
// for ever.
func pages[T any](problems fault.Problems, what string, next func(last T) ([]T, error), after func(a, b T) bool) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var last, zero T
		for first := true; ; {
			page, err := ask(problems, func() ([]T, error) { return next(last) }, what)
			if err != nil {
				yield(zero, err)
				return
			}
			for _, row := range page {
				if !first && !after(row, last) {
					yield(zero, fault.Errorf(ErrCorrupt, "registry: %s: the store returns rows out of order, or twice: check the database's indexes", what))
					return
				}
				if !yield(row, nil) {
					return
				}
				last, first = row, false
			}
			if len(page) == 0 {
				return
			}
		}
	}
}
