package tracking

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

// CreateExperiment is Unsupported.
func (UnimplementedStore) CreateExperiment(context.Context, Experiment) error {
	return unsupported("create experiment")
}

// Experiment is Unsupported.
func (UnimplementedStore) Experiment(context.Context, string) (Experiment, error) {
	return Experiment{}, unsupported("get experiment")
}

// Experiments is Unsupported.
func (UnimplementedStore) Experiments(context.Context) ([]Experiment, error) {
	return nil, unsupported("list experiments")
}

// CreateRun is Unsupported.
func (UnimplementedStore) CreateRun(context.Context, RunInfo) error {
	return unsupported("create run")
}

// UpdateRun is Unsupported.
func (UnimplementedStore) UpdateRun(context.Context, RunPatch) (RunInfo, error) {
	return RunInfo{}, unsupported("update run")
}

// Run is Unsupported.
func (UnimplementedStore) Run(context.Context, string) (RunRecord, error) {
	return RunRecord{}, unsupported("get run")
}

// Runs is Unsupported.
func (UnimplementedStore) Runs(context.Context, RunQuery) ([]RunRecord, string, error) {
	return nil, "", unsupported("list runs")
}

// Log is Unsupported.
func (UnimplementedStore) Log(context.Context, string, Batch) error {
	return unsupported("log to run")
}

// MetricHistory is Unsupported.
func (UnimplementedStore) MetricHistory(context.Context, string, string) ([]Metric, error) {
	return nil, unsupported("get metric history")
}

// Close does nothing.
func (UnimplementedStore) Close() error { return nil }

func (UnimplementedStore) mustEmbedUnimplementedStore() {}
