package registrytest_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/exampletest"
	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/registry/registrymem"
	"github.com/mlloop/mlloop/registry/registrytest"
)

// promoteNewest is the code under test: it makes the newest version champion.
func promoteNewest(ctx context.Context, models *registry.Client, model string) error {
	newest, err := models.Resolve(ctx, model+"@latest")
	if err != nil {
		return err
	}
	_, err = models.Promote(ctx, model, newest.Number, 0, registry.Change{Reason: "newest"})
	return err
}

// A consumer's unit test: no database, no files.
func TestPromoteNewest(t *testing.T) {
	models := registrytest.New(t)
	for _, content := range []string{"first", "second"} {
		_, err := models.Register(t.Context(), "churn", registrytest.Bundle(t, content), nil)
		require.NoError(t, err)
	}
	require.NoError(t, promoteNewest(t.Context(), models, "churn"))
	registrytest.RequireChampion(t, models, "churn", 2)
}

func Example() {
	testPromoteNewest := func(t *testing.T) {
		models := registrytest.New(t) // in memory
		_, err := models.Register(t.Context(), "churn", registrytest.Bundle(t, "first"), nil)
		require.NoError(t, err)
		require.NoError(t, promoteNewest(t.Context(), models, "churn"))
		registrytest.RequireChampion(t, models, "churn", 1)
	}
	fmt.Println(exampletest.Passes(testPromoteNewest))
	// Output: true
}

// The test of a store is one call.
func ExampleRun() {
	testStore := func(t *testing.T) {
		registrytest.Run(t, func(*testing.T) registry.Store { return registrymem.New() })
	}
	fmt.Println(exampletest.Passes(testStore))
	// Output: true
}
