package retrain

import (
	"context"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
)

// UnimplementedStore answers every call with an Unsupported error. Backends
// embed it, so that a method that is added to Store does not break them.
type UnimplementedStore struct{}

var errUnimplemented = fault.Errorf(fault.Unsupported, "the store does not support this call")

// PutRetraining implements Store.
func (UnimplementedStore) PutRetraining(context.Context, Retraining) error { return errUnimplemented }

// Retrainings implements Store.
func (UnimplementedStore) Retrainings(context.Context, RetrainingQuery) ([]Retraining, error) {
	return nil, errUnimplemented
}

// AppendEvent implements Store.
func (UnimplementedStore) AppendEvent(context.Context, Event) error { return errUnimplemented }

// Events implements Store.
func (UnimplementedStore) Events(context.Context, EventQuery) ([]Event, error) {
	return nil, errUnimplemented
}

// PutState implements Store.
func (UnimplementedStore) PutState(context.Context, State) error { return errUnimplemented }

// State implements Store.
func (UnimplementedStore) State(context.Context, string) (State, error) {
	return State{}, errUnimplemented
}

// PutCursor implements Store.
func (UnimplementedStore) PutCursor(context.Context, Cursor) error { return errUnimplemented }

// Cursor implements Store.
func (UnimplementedStore) Cursor(context.Context, string, string) (Cursor, error) {
	return Cursor{}, errUnimplemented
}

// PutConfig implements Store.
func (UnimplementedStore) PutConfig(context.Context, string, []byte) error { return errUnimplemented }

// Config implements Store.
func (UnimplementedStore) Config(context.Context, string) ([]byte, error) {
	return nil, errUnimplemented
}

// AcquireLease implements Store.
func (UnimplementedStore) AcquireLease(context.Context, string, string, time.Duration) (Lease, error) {
	return Lease{}, errUnimplemented
}

// ReleaseLease implements Store.
func (UnimplementedStore) ReleaseLease(context.Context, string, string) error {
	return errUnimplemented
}

// Close implements Store.
func (UnimplementedStore) Close() error { return nil }

func (UnimplementedStore) mustEmbedUnimplementedStore() {}
