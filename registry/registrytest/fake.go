package registrytest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/registry/registrymem"
	"github.com/mlloop/mlloop/tracking/artifact"
)

// New returns an empty registry in memory, which acts as "test".
func New(t testing.TB) *registry.Client {
	t.Helper()
	store := registrymem.New()
	t.Cleanup(func() { _ = store.Close() }) // never fails
	return registry.New(store, artifact.Memory(), &registry.Options{Actor: "test"})
}

// Bundle returns a small sound bundle, the same for the same content. It
// takes x and gives probability, and no Predictor can be made of it.
func Bundle(t testing.TB, content string) *bundle.Bundle {
	t.Helper()
	b, err := bundle.New(bundle.Spec{
		Flavor:    "registrytest",
		CreatedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Signature: bundle.Signature{
			Inputs:  []bundle.TensorSpec{{Name: "x", Datatype: "FP64", Shape: []int64{-1}}},
			Outputs: []bundle.TensorSpec{{Name: "probability", Datatype: "FP64", Shape: []int64{-1, 2}}},
		},
	}, map[string][]byte{"content": []byte(content)})
	require.NoError(t, err)
	return b
}
