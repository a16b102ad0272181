package retrainsql_test

import (
	"crypto/ed25519"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/retrain/retrainsql"
)

// TestBackupWithoutAHead takes the heads out of a signed backup's manifest, which
// is not signed itself: what nobody signed for is not restored.
func TestBackupWithoutAHead(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	from, to := newPlace(t, "sqlite"), newPlace(t, "sqlite")
	from.opts.Signer, to.opts.Trusted = private, public
	dir := filepath.Join(t.TempDir(), "b")
	s := from.open(t)
	require.NoError(t, write(t.Context(), t, s, 0))
	_, err = s.Backup(t.Context(), dir)
	require.NoError(t, err)

	path := filepath.Join(dir, "manifest.json")
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	var m map[string]any
	require.NoError(t, json.Unmarshal(raw, &m))
	require.NotEmpty(t, m["heads"])
	for _, heads := range []any{nil, []any{}} {
		m["heads"] = heads
		raw, err = json.Marshal(m)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, raw, 0o600))
		_, err = retrainsql.Restore(t.Context(), to.url, dir, &to.opts)
		require.ErrorIs(t, err, fault.Corrupt)
		require.ErrorContains(t, err, "no head for the audit trail of model churn")
	}
}
