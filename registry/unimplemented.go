package registry

import (
	"context"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
)

// UnimplementedStore answers every call with Unsupported. Backends embed it.
// It is safe for concurrent use.
type UnimplementedStore struct{}

var _ Store = UnimplementedStore{}

func unsupported(what string) error {
	return fault.Errorf(ErrUnsupported, "%s: unsupported by this store", what)
}

// CreateModel is Unsupported.
func (UnimplementedStore) CreateModel(context.Context, Model, Event) error {
	return unsupported("create model")
}

// Models is Unsupported.
func (UnimplementedStore) Models(context.Context) ([]Model, error) {
	return nil, unsupported("list models")
}

// CreateVersion is Unsupported.
func (UnimplementedStore) CreateVersion(context.Context, Version, Event) (Version, error) {
	return Version{}, unsupported("create version")
}

// Version is Unsupported.
func (UnimplementedStore) Version(context.Context, string, int64) (Version, error) {
	return Version{}, unsupported("get version")
}

// Versions is Unsupported.
func (UnimplementedStore) Versions(context.Context, string) ([]Version, error) {
	return nil, unsupported("list versions")
}

// SetState is Unsupported.
func (UnimplementedStore) SetState(context.Context, string, int64, State, State, Event) error {
	return unsupported("set state")
}

// SetAlias is Unsupported.
func (UnimplementedStore) SetAlias(context.Context, string, string, int64, int64, time.Time, Event) error {
	return unsupported("set alias")
}

// Alias is Unsupported.
func (UnimplementedStore) Alias(context.Context, string, string) (Alias, error) {
	return Alias{}, unsupported("get alias")
}

// Aliases is Unsupported.
func (UnimplementedStore) Aliases(context.Context, string) ([]Alias, error) {
	return nil, unsupported("list aliases")
}

// Events is Unsupported.
func (UnimplementedStore) Events(context.Context, string, int64, int) ([]Event, error) {
	return nil, unsupported("list events")
}

// Close does nothing.
func (UnimplementedStore) Close() error { return nil }

func (UnimplementedStore) mustEmbedUnimplementedStore() {}
