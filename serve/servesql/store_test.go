package servesql_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/serve/servesql"
	"github.com/mlloop/mlloop/serve/servetest"
)

func open(t testing.TB, path string) *servesql.Store {
	t.Helper()
	s, err := servesql.Open(context.Background(), "sqlite:"+path+"?synchronous=normal", nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestConformance(t *testing.T) {
	servetest.Run(t, func(t *testing.T) serve.Store { return open(t, filepath.Join(t.TempDir(), "serve.db")) })
}
