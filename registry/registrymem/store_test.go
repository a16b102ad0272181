package registrymem_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/registry/registrymem"
	"github.com/mlloop/mlloop/registry/registrytest"
)

func TestStore(t *testing.T) {
	registrytest.Run(t, func(*testing.T) registry.Store { return registrymem.New() })
}

func TestClosed(t *testing.T) {
	s := registrymem.New()
	require.NoError(t, s.Close())
	require.NoError(t, s.Close())
	_, err := s.Models(t.Context(), "", 0)
	require.ErrorIs(t, err, registry.ErrClosed)
	_, err = s.Versions(t.Context(), "m", 0, 0)
	require.ErrorIs(t, err, registry.ErrClosed)
}
