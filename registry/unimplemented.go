package registry

import (
	"context"

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

// RenameModel is Unsupported.
func (UnimplementedStore) RenameModel(context.Context, string, string, Event) (Model, error) {
	return Model{}, unsupported("rename model")
}

// Model is Unsupported.
func (UnimplementedStore) Model(context.Context, string) (Model, error) {
	return Model{}, unsupported("get model")
}

// Models is Unsupported.
func (UnimplementedStore) Models(context.Context, string, int) ([]Model, error) {
	return nil, unsupported("list models")
}

// CreateVersion is Unsupported.
func (UnimplementedStore) CreateVersion(context.Context, Version, Event) (Version, bool, error) {
	return Version{}, false, unsupported("create version")
}

// Version is Unsupported.
func (UnimplementedStore) Version(context.Context, string, int64) (Version, error) {
	return Version{}, unsupported("get version")
}

// Versions is Unsupported.
func (UnimplementedStore) Versions(context.Context, string, int64, int) ([]Version, error) {
	return nil, unsupported("list versions")
}

// SetState is Unsupported.
func (UnimplementedStore) SetState(context.Context, string, int64, State, State, Event) (bool, error) {
	return false, unsupported("set state")
}

// SetAlias is Unsupported.
func (UnimplementedStore) SetAlias(context.Context, AliasMove) (Alias, bool, error) {
	return Alias{}, false, unsupported("set alias")
}

// Alias is Unsupported.
func (UnimplementedStore) Alias(context.Context, string, string) (Alias, Version, error) {
	return Alias{}, Version{}, unsupported("get alias")
}

// Aliases is Unsupported.
func (UnimplementedStore) Aliases(context.Context, string, string, int) ([]Alias, error) {
	return nil, unsupported("list aliases")
}

// Events is Unsupported.
func (UnimplementedStore) Events(context.Context, EventQuery) ([]Event, error) {
	return nil, unsupported("list events")
}

// Close does nothing.
func (UnimplementedStore) Close() error { return nil }

func (UnimplementedStore) mustEmbedUnimplementedStore() {}
