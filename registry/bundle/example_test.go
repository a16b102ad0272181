package bundle_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/mlloop/mlloop/registry/bundle"
)

func Example() {
	b, err := bundle.New(bundle.Spec{
		Flavor:    "mlloop.classifier",
		CreatedAt: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
		Signature: bundle.Signature{
			Inputs:  []bundle.TensorSpec{{Name: "age", Datatype: "FP64", Shape: []int64{-1}}},
			Outputs: []bundle.TensorSpec{{Name: "probability", Datatype: "FP64", Shape: []int64{-1, 2}}},
		},
	}, map[string][]byte{bundle.WeightsPart: []byte("0.1 0.2")})
	if err != nil {
		panic(err)
	}

	folder, err := os.MkdirTemp("", "bundle")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(folder)
	dir := filepath.Join(folder, "model")
	fmt.Println(b.WriteDir(context.Background(), dir))

	b, err = bundle.OpenDir(dir) // reads and verifies every byte
	if err != nil {
		panic(err)
	}
	for _, f := range b.Files() {
		fmt.Println(f.Path, f.Size)
	}
	fmt.Println(b.Signature().Inputs)
	// Output:
	// <nil>
	// MLmodel 395
	// weights.safetensors 7
	// [{age FP64 [-1]}]
}
