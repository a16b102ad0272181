package artifacttest_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/mlloop/mlloop/tracking/artifact"
	"github.com/mlloop/mlloop/tracking/artifact/artifacttest"
)

// The test of a store is one call.
func Example() {
	testStore := func(t *testing.T) {
		artifacttest.Run(t, func(t *testing.T) artifact.Store { return artifact.Dir(t.TempDir()) })
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
