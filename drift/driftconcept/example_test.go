package driftconcept_test

import (
	"fmt"
	"math/rand/v2"

	"github.com/mlloop/mlloop/drift/driftconcept"
)

func Example() {
	rng := rand.New(rand.NewPCG(1, 1))
	d := driftconcept.NewADWIN(nil)
	for i := range 4000 {
		rate := 0.1
		if i >= 2000 {
			rate = 0.3 // the model begins to err more
		}
		wrong := 0.0
		if rng.Float64() < rate {
			wrong = 1
		}
		if d.Update(wrong) == driftconcept.Drift {
			fmt.Println("drift within 500 items:", i < 2500)
			break
		}
	}
	// Output: drift within 500 items: true
}

func ExamplePageHinkley_MarshalBinary() {
	d := driftconcept.NewPageHinkley(&driftconcept.PageHinkleyOptions{Lambda: 20})
	for range 100 {
		d.Update(0)
	}
	state, _ := d.MarshalBinary()

	var restored driftconcept.PageHinkley // in another process
	err := restored.UnmarshalBinary(state)
	rows := 0
	for restored.Update(1) != driftconcept.Drift {
		rows++
	}
	fmt.Println(rows, err)
	// Output: 22 <nil>
}
