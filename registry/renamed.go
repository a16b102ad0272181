package registry

import (
	"context"
	"errors"
)

// renamed is an error of rows that were read under one name and do not fit
// together, where the name went to another model between two reads. If it stays
// so, no name did, but a row was given to another model.
type renamed struct{ err error }

// Error implements error.
func (r renamed) Error() string { return r.err.Error() }

// Unwrap returns the error of the rows.
func (r renamed) Unwrap() error { return r.err }

// unlessRenamed returns err, marked when the name is no longer that of the model.
func (c *Client) unlessRenamed(ctx context.Context, err error, name, modelID string) error {
	now, other := c.store.Model(ctx, name)
	switch {
	case other != nil:
		return other
	case now.ID != modelID:
		return renamed{err}
	}
	return err
}

// settled reads again while the name that it reads by goes to another model. What
// does not fit together is read twice: the name may have gone and come back.
func settled[T any](read func() (T, error)) (got T, err error) {
	const attempts = 10
	doubted := false
	for range attempts {
		got, err = read()
		var moved renamed
		switch {
		case errors.As(err, &moved):
		case errors.Is(err, ErrCorrupt) && !doubted:
			doubted = true
		default:
			return got, err
		}
	}
	return got, err
}
