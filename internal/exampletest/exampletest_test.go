package exampletest_test

import (
	"fmt"
	"testing"

	"github.com/mlloop/mlloop/internal/exampletest"
)

func ExamplePasses() {
	fmt.Println(exampletest.Passes(func(t *testing.T) { t.Log("nothing is wrong") }))
	// Output: true
}
