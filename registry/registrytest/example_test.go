package registrytest_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

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
	return models.Promote(ctx, model, newest.Number, 0, registry.Change{Reason: "newest"})
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
	fmt.Println(passes(testPromoteNewest))
	// Output: true
}

// The test of a store is one call.
func ExampleRun() {
	testStore := func(t *testing.T) {
		registrytest.Run(t, func(*testing.T) registry.Store { return registrymem.New() })
	}
	fmt.Println(passes(testStore))
	// Output: true
}

// passes runs a test as go test does and says whether it passed. What it prints
// under -v stays out of the example's output.
func passes(test func(t *testing.T)) bool {
	stdout := os.Stdout
	defer func() { os.Stdout = stdout }()
	os.Stdout, _ = os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	defer os.Stdout.Close()
	all := func(string, string) (bool, error) { return true, nil }
	return testing.RunTests(all, []testing.InternalTest{{Name: "Test", F: test}})
}
