package retrainsql_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/retrain/retrainsql"
	"github.com/mlloop/mlloop/sqlstore"
)

// TestTamperedManifest restores backups whose files somebody changed so that
// their digests hold: what a name says is no SQL and no path.
func TestTamperedManifest(t *testing.T) {
	s := newPlace(t, "sqlite").open(t)
	require.NoError(t, write(t.Context(), t, s, 0))
	good := filepath.Join(t.TempDir(), "backup")
	_, err := s.Backup(t.Context(), good)
	require.NoError(t, err)
	outside := filepath.Join(t.TempDir(), "outside")
	require.NoError(t, os.WriteFile(outside, []byte("secret"), 0o600))

	const quote = `x') c; CREATE TABLE tampered (n INTEGER); SELECT 'a', 'TEXT', 0, 0 --`
	for name, c := range map[string]struct {
		manifest func(m map[string]any)
		rows     func(text []byte) []byte
		kind     error
		text     string
	}{
		"a table's name": {manifest: func(m map[string]any) {
			m["tables"] = append(m["tables"].([]any), map[string]any{"name": quote})
		}, kind: fault.Unsupported, text: "the database has no table"},
		"a version": {manifest: func(m map[string]any) { m["schemas"].(map[string]any)["drift"] = -1 }, kind: fault.Corrupt, text: "version -1 of the drift tables"},
		"an artifact's path": {rows: func(text []byte) []byte {
			return bytes.Replace(text, []byte(`{"artifact":"`), []byte(`{"artifact":"../../../`), 1)
		}, kind: fault.Invalid, text: "artifact ../../../"},
		"an artifact outside": {rows: func(text []byte) []byte {
			return bytes.Replace(text, []byte(`{"end":true}`), []byte(`{"artifact":"`+outside+`"}`+"\n"+`{"end":true}`), 1)
		}, kind: fault.Invalid, text: "artifact " + outside},
		"a table of another": {rows: func(text []byte) []byte {
			return bytes.Replace(text, []byte(`{"table":"tracking_run"`), []byte(`{"table":"sqlite_master"`), 1)
		}, kind: fault.Corrupt, text: "the manifest none"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "tampered")
			require.NoError(t, os.CopyFS(dir, os.DirFS(good)))
			tamper(t, dir, c.manifest, c.rows)
			to := newPlace(t, "sqlite")
			_, err := retrainsql.Restore(t.Context(), to.url, dir, &to.opts)
			require.ErrorContains(t, err, c.text)
			require.ErrorIs(t, err, c.kind)
			requireNoTable(t, to.url, "tampered")
		})
	}
}

// tamper changes the files of a backup, and the digests in the manifest with them.
func tamper(t *testing.T, dir string, manifest func(m map[string]any), rows func(text []byte) []byte) {
	t.Helper()
	path := filepath.Join(dir, "manifest.json")
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	var m map[string]any
	require.NoError(t, json.Unmarshal(raw, &m))
	if rows != nil {
		file := filepath.Join(dir, "rows.jsonl.gz")
		packed, err := os.ReadFile(file)
		require.NoError(t, err)
		zip, err := gzip.NewReader(bytes.NewReader(packed))
		require.NoError(t, err)
		text, err := io.ReadAll(zip)
		require.NoError(t, err)
		changed := rows(text)
		require.NotEqual(t, text, changed)
		var out bytes.Buffer
		w := gzip.NewWriter(&out)
		_, err = w.Write(changed)
		require.NoError(t, err)
		require.NoError(t, w.Close())
		require.NoError(t, os.WriteFile(file, out.Bytes(), 0o600))
		sum := sha256.Sum256(out.Bytes())
		m["rows_sha256"] = hex.EncodeToString(sum[:])
	}
	if manifest != nil {
		manifest(m)
	}
	raw, err = json.Marshal(m)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, raw, 0o600))
}

func requireNoTable(t *testing.T, url, name string) {
	t.Helper()
	db, err := sqlstore.Open(t.Context(), url, nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	var n int
	require.NoError(t, db.QueryRow(t.Context(), `SELECT COUNT(*) FROM sqlite_master WHERE name = ?`, name).Scan(&n))
	require.Zero(t, n)
}
