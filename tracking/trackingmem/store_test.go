package trackingmem_test

import (
	"testing"

	"github.com/mlloop/mlloop/tracking"
	"github.com/mlloop/mlloop/tracking/trackingmem"
	"github.com/mlloop/mlloop/tracking/trackingtest"
)

func TestStore(t *testing.T) {
	trackingtest.Run(t, func(*testing.T) tracking.Store { return trackingmem.New() })
}
