package traintest_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/mlloop/mlloop/train/traintest"
)

// What a test of code that fits models looks like; t is the test's own.
func ExampleFake() {
	t := &testing.T{}
	var trainer traintest.Fake

	b, err := trainer.Fit(context.Background(), traintest.NewJob(t, 200, 1))
	if err != nil {
		panic(err)
	}
	fmt.Println(b.Manifest().Flavor, len(trainer.Jobs()))
	// Output: mlloop.classifier 1
}
