package artifactsql_test

import (
	"bytes"
	"io"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/pgtest"
	"github.com/mlloop/mlloop/sqlstore"
	"github.com/mlloop/mlloop/tracking/artifact"
	"github.com/mlloop/mlloop/tracking/artifact/artifactsql"
)

// BenchmarkPut puts 32 MiB, durably, and BenchmarkGet reads them, verified. The
// named baseline is artifact.Dir with the same bytes in the same run: the metric
// dir/sql is the part of its speed that the database has.
func BenchmarkPut(b *testing.B) {
	content := pattern(32 << 20)
	compare(b, func(b *testing.B, s artifact.Store) { putContent(b, s, content) })
}

func BenchmarkGet(b *testing.B) {
	content := pattern(32 << 20)
	digests := map[artifact.Store]string{}
	compare(b, func(b *testing.B, s artifact.Store) {
		if digests[s] == "" {
			b.StopTimer()
			digests[s] = putContent(b, s, content)
			b.StartTimer()
		}
		r, err := s.Get(b.Context(), digests[s])
		require.NoError(b, err)
		n, err := io.Copy(io.Discard, r)
		require.NoError(b, err)
		require.EqualValues(b, len(content), n)
		require.NoError(b, r.Close())
	})
}

func putContent(b *testing.B, s artifact.Store, content []byte) string {
	b.Helper()
	digest, _, err := s.Put(b.Context(), bytes.NewReader(content), nil)
	require.NoError(b, err)
	return digest
}

func compare(b *testing.B, do func(b *testing.B, s artifact.Store)) {
	for name, where := range map[string]func(b *testing.B) (url, schema string){
		"sqlite":     func(b *testing.B) (string, string) { return "sqlite:" + filepath.Join(b.TempDir(), "x.db"), "" },
		"postgresql": func(b *testing.B) (string, string) { return pgtest.URL(b), pgtest.Schema(b) },
	} {
		b.Run(name, func(b *testing.B) {
			url, schema := where(b)
			s, err := artifactsql.Open(b.Context(), url, &sqlstore.Options{Schema: schema})
			require.NoError(b, err)
			defer func() { require.NoError(b, s.Close()) }()
			dir := artifact.Dir(b.TempDir())
			b.SetBytes(32 << 20)
			var baseline time.Duration
			do(b, dir) // makes what the first time makes
			do(b, s)
			b.ResetTimer()
			for b.Loop() {
				do(b, s)
				b.StopTimer()
				start := time.Now()
				do(b, dir)
				baseline += time.Since(start)
				b.StartTimer()
			}
			b.ReportMetric(baseline.Seconds()/b.Elapsed().Seconds(), "dir/sql")
		})
	}
}
