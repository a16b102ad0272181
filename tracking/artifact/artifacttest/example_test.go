package artifacttest_test

import (
	"fmt"
	"testing"

	"github.com/mlloop/mlloop/internal/exampletest"
	"github.com/mlloop/mlloop/tracking/artifact"
	"github.com/mlloop/mlloop/tracking/artifact/artifacttest"
)

// The test of a store is one call.
func Example() {
	testStore := func(t *testing.T) {
		artifacttest.Run(t, func(t *testing.T) artifact.Store { return artifact.Dir(t.TempDir()) })
	}
	fmt.Println(exampletest.Passes(testStore))
	// Output: true
}
