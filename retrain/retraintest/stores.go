package retraintest

import (
	"github.com/mlloop/mlloop/drift/driftmem"
	"github.com/mlloop/mlloop/registry/registrymem"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/serve/servemem"
	"github.com/mlloop/mlloop/tracking/artifact"
	"github.com/mlloop/mlloop/tracking/trackingmem"
)

// NewStores returns everything that a loop keeps, in memory, for tests.
func NewStores() *retrain.Stores {
	return &retrain.Stores{
		Tracking:  trackingmem.New(),
		Artifacts: artifact.Memory(),
		Registry:  registrymem.New(),
		Serve:     servemem.New(),
		Drift:     driftmem.New(),
		Retrain:   new(Store),
		Engine:    NewEngine(),

		OwnsArtifacts: true,
	}
}
