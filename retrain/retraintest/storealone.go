package retraintest

import (
	"slices"
	"testing"

	"github.com/mlloop/mlloop/retrain"
)

// racing are the cases in which several goroutines use one store.
var racing = []string{"events from many goroutines", "racing leases", "racing writers"}

// RunStoreAlone is RunStore without the cases in which several goroutines use one
// store: for a store inside a transaction.
func RunStoreAlone(t *testing.T, newStore func(t *testing.T) retrain.Store) {
	t.Helper()
	for _, c := range storeCases {
		if !slices.Contains(racing, c.name) {
			t.Run(c.name, func(t *testing.T) {
				t.Log(c.why)
				c.check(t, newStore(t))
			})
		}
	}
}
