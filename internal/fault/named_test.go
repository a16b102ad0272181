package fault_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
)

func TestNamed(t *testing.T) {
	require.Equal(t, fault.NotFound, fault.Named(fault.NotFound.Error()))
	require.NoError(t, fault.Named("no kind at all"))
}
