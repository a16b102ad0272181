package serve

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
	return fault.Errorf(fault.Unsupported, "the store has no %s: use one that has, such as servesql", method)
}

// AppendPredictions reports Unsupported.
func (UnimplementedStore) AppendPredictions(context.Context, []Prediction) error {
	return unsupported("AppendPredictions")
}

// AppendLabels reports Unsupported.
func (UnimplementedStore) AppendLabels(context.Context, []Label) ([]Label, error) {
	return nil, unsupported("AppendLabels")
}

// Predictions reports Unsupported.
func (UnimplementedStore) Predictions(context.Context, PredictionQuery) ([]Prediction, error) {
	return nil, unsupported("Predictions")
}

// Labels reports Unsupported.
func (UnimplementedStore) Labels(context.Context, LabelQuery) ([]LabelledPrediction, error) {
	return nil, unsupported("Labels")
}

// Lookup reports Unsupported.
func (UnimplementedStore) Lookup(context.Context, string, []string) ([]LabelledPrediction, error) {
	return nil, unsupported("Lookup")
}

// Counts reports Unsupported.
func (UnimplementedStore) Counts(context.Context, string) (Counts, error) {
	return Counts{}, unsupported("Counts")
}

// Erase reports Unsupported.
func (UnimplementedStore) Erase(context.Context, string, []string) (int64, error) {
	return 0, unsupported("Erase")
}

// Trim reports Unsupported.
func (UnimplementedStore) Trim(context.Context, Trim) (int64, error) { return 0, unsupported("Trim") }

// PutRoute reports Unsupported.
func (UnimplementedStore) PutRoute(context.Context, Route) error { return unsupported("PutRoute") }

// Route reports Unsupported.
func (UnimplementedStore) Route(context.Context, string) (Route, error) {
	return Route{}, unsupported("Route")
}

// WaitRoute reports Unsupported.
func (UnimplementedStore) WaitRoute(context.Context, string, int64) (Route, error) {
	return Route{}, unsupported("WaitRoute")
}

// Close does nothing.
func (UnimplementedStore) Close() error { return nil }

func (UnimplementedStore) mustEmbedUnimplementedStore() {}
