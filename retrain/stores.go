package retrain

import (
	"context"
	"errors"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/tracking"
	"github.com/mlloop/mlloop/tracking/artifact"
)

// Stores is all that a loop keeps, and the engine that runs its workflows.
// retrainsql.Open puts all of it on one database, retraintest.NewStores in
// memory. Loops of several models may share one.
type Stores struct {
	Tracking  tracking.Store
	Artifacts artifact.Store
	Registry  registry.Store
	Serve     serve.Store
	Drift     drift.Store
	Retrain   Store
	Engine    Engine

	// Cache keeps the files of the models that are served on this machine, so that
	// a restart or a roll-back reads none of Artifacts again. Nil: there is none.
	Cache *artifact.Cache
	// OwnsArtifacts says that nothing but these stores puts anything into Artifacts,
	// so that Collect may remove what none of them names.
	OwnsArtifacts bool
	// Archive backs the stores up; nil: nothing does.
	Archive Archive
	// Release, when not nil, is called last by Close: it frees what the stores share.
	Release func() error
}

// Close closes the engine, then every store.
func (s *Stores) Close(ctx context.Context) error {
	errs := []error{s.Engine.Close(ctx), s.Retrain.Close(), s.Drift.Close(), s.Serve.Close(), s.Registry.Close(), s.Tracking.Close()}
	if s.Release != nil {
		errs = append(errs, s.Release())
	}
	return errors.Join(errs...)
}

func (s *Stores) validate(p *fault.Problems) {
	if s == nil {
		p.Addf("Stores is nil: use retrainsql.Open or retraintest.NewStores")
		return
	}
	needParts(p, []storePart{
		{"Tracking", s.Tracking == nil}, {"Artifacts", s.Artifacts == nil}, {"Registry", s.Registry == nil},
		{"Serve", s.Serve == nil}, {"Drift", s.Drift == nil}, {"Retrain", s.Retrain == nil}, {"Engine", s.Engine == nil},
	})
}

// storePart is one of the Stores that is needed.
type storePart struct {
	name    string
	missing bool
}

func needParts(p *fault.Problems, parts []storePart) {
	for _, part := range parts {
		if part.missing {
			p.Addf("Stores.%s is nil", part.name)
		}
	}
}
