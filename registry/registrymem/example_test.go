package registrymem_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/registry/registrymem"
	"github.com/mlloop/mlloop/tracking/artifact"
)

func Example() {
	b, err := bundle.New(bundle.Spec{Flavor: "example", CreatedAt: time.Unix(1e9, 0)}, map[string][]byte{bundle.WeightsPart: []byte("0.1 0.2")})
	if err != nil {
		log.Fatal(err)
	}
	models := registry.New(registrymem.New(), artifact.Memory(), nil)
	v, err := models.Register(context.Background(), "churn", b, nil)
	fmt.Println(v.Model, v.Number, v.State, err)
	// Output: churn 1 candidate <nil>
}
