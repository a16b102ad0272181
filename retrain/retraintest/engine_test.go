package retraintest_test

import (
	"testing"

	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retraintest"
)

func TestEngine(t *testing.T) {
	retraintest.RunEngine(t, func(*testing.T) retrain.Engine { return retraintest.NewEngine() })
}
