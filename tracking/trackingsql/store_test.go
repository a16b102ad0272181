package trackingsql_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/tracking"
	"github.com/mlloop/mlloop/tracking/trackingsql"
	"github.com/mlloop/mlloop/tracking/trackingtest"
)

// quick is a database whose commits survive the process, not the machine.
func quick(t testing.TB) string {
	return "sqlite:" + filepath.Join(t.TempDir(), "runs.db") + "?synchronous=normal"
}

func TestStore(t *testing.T) {
	trackingtest.Run(t, func(t *testing.T) tracking.Store {
		s, err := trackingsql.Open(t.Context(), quick(t), nil)
		require.NoError(t, err)
		return s
	})
}
