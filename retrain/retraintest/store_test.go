package retraintest_test

import (
	"testing"

	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retraintest"
)

func TestStore(t *testing.T) {
	retraintest.RunStore(t, func(*testing.T) retrain.Store { return new(retraintest.Store) })
}
