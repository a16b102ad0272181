package drift

import (
	"context"

	"github.com/mlloop/mlloop/internal/fault"
)

// UnimplementedStore is embedded by every Store. Each of its methods reports
// Unsupported, so that a method added to the interface leaves stores made
// outside this module compiling.
type UnimplementedStore struct{}

var _ Store = UnimplementedStore{}

func unsupported(method string) error {
	return fault.Errorf(fault.Unsupported, "drift: the store has no %s: use one that has, such as driftsql", method)
}

// Save reports Unsupported.
func (UnimplementedStore) Save(context.Context, Checkpoint, []Alert) error {
	return unsupported("Save")
}

// Checkpoint reports Unsupported.
func (UnimplementedStore) Checkpoint(context.Context, string) (Checkpoint, error) {
	return Checkpoint{}, unsupported("Checkpoint")
}

// Alerts reports Unsupported.
func (UnimplementedStore) Alerts(context.Context, AlertQuery) ([]Alert, error) {
	return nil, unsupported("Alerts")
}

// Close does nothing.
func (UnimplementedStore) Close() error { return nil }

func (UnimplementedStore) mustEmbedUnimplementedStore() {}
