package artifactsql_test

import (
	"bytes"
	"errors"
	"io"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/internal/sqltest"
	"github.com/mlloop/mlloop/sqlstore"
	"github.com/mlloop/mlloop/tracking/artifact"
	"github.com/mlloop/mlloop/tracking/artifact/artifactsql"
	"github.com/mlloop/mlloop/tracking/artifact/artifacttest"
)

func TestStore(t *testing.T) {
	sqltest.Each(t, artifactsql.Schema(), func(t *testing.T, open sqltest.Open) {
		artifacttest.Run(t, func(t *testing.T) artifact.Store { return artifactsql.New(open(t)) })
	})
}

func TestStoreInATransaction(t *testing.T) {
	sqltest.EachTx(t, artifactsql.Schema(), func(t *testing.T, open sqltest.Open) {
		artifacttest.RunSequential(t, func(t *testing.T) artifact.Store { return artifactsql.New(open(t)) })
	})
}

// onBoth runs a test on SQLite and on PostgreSQL.
func onBoth(t *testing.T, test func(t *testing.T, db *sqlstore.DB, s *artifactsql.Store)) {
	for name, open := range map[string]sqltest.Open{"sqlite": sqltest.SQLite, "postgresql": sqltest.PostgreSQL} {
		t.Run(name, func(t *testing.T) {
			db := open(t)
			s := artifactsql.New(db)
			require.NoError(t, s.Migrate(t.Context()))
			test(t, db, s)
		})
	}
}

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>9)
	}
	return b
}

func put(t *testing.T, s artifact.Store, content []byte) string {
	t.Helper()
	digest, _, err := s.Put(t.Context(), bytes.NewReader(content), nil)
	require.NoError(t, err)
	return digest
}

func read(t *testing.T, s artifact.Store, digest string) ([]byte, error) {
	t.Helper()
	r, err := s.Get(t.Context(), digest)
	require.NoError(t, err)
	b, err := io.ReadAll(r)
	return b, errors.Join(err, r.Close())
}

// rows counts the rows of a table.
func rows(t *testing.T, db *sqlstore.DB, table string) (n int) {
	t.Helper()
	require.NoError(t, db.QueryRow(t.Context(), "SELECT count(*) FROM {p}artifact_"+table).Scan(&n))
	return n
}

// exec changes a table behind the store's back.
func exec(t *testing.T, db *sqlstore.DB, query string, args ...any) {
	t.Helper()
	_, err := db.Exec(t.Context(), query, args...)
	require.NoError(t, err)
}

func TestChunks(t *testing.T) {
	onBoth(t, func(t *testing.T, db *sqlstore.DB, s *artifactsql.Store) {
		for size, chunks := range map[int]int{0: 0, 1: 1, 1 << 20: 1, 1<<20 + 1: 2, 3 << 20: 3} {
			digest := put(t, s, pattern(size))
			require.Equal(t, chunks, rows(t, db, "chunk"), "%d bytes", size)
			require.NoError(t, s.Delete(t.Context(), digest))
			exec(t, db, "UPDATE {p}artifact_upload SET expires_at = 1")
			removed, err := s.Sweep(t.Context())
			require.NoError(t, err)
			require.Equal(t, 1, removed)
			require.Zero(t, rows(t, db, "chunk"))
			require.Zero(t, rows(t, db, "upload"))
		}
	})
}

func TestFailedPutLeavesNoRow(t *testing.T) {
	boom := errors.New("boom")
	onBoth(t, func(t *testing.T, db *sqlstore.DB, s *artifactsql.Store) {
		_, _, err := s.Put(t.Context(), io.MultiReader(bytes.NewReader(pattern(3<<20)), iotest.ErrReader(boom)), nil)
		require.ErrorIs(t, err, boom)
		_, _, err = s.Put(t.Context(), bytes.NewReader(pattern(3<<20)), &artifact.PutOptions{Digest: strings.Repeat("0", 64)})
		require.ErrorIs(t, err, fault.Corrupt)
		for _, table := range []string{"blob", "chunk", "upload"} {
			require.Zero(t, rows(t, db, table), table)
		}
	})
}

// A Put that was left alone for a day, and whose chunks were removed, does not
// end as if nothing had happened.
func TestPutThatWasSwept(t *testing.T) {
	onBoth(t, func(t *testing.T, db *sqlstore.DB, s *artifactsql.Store) {
		step := 0
		slow := readFunc(func(p []byte) (int, error) {
			if step++; step == 10 {
				require.NotZero(t, rows(t, db, "chunk"))
				exec(t, db, "UPDATE {p}artifact_upload SET expires_at = 1")
				_, err := s.Sweep(t.Context())
				require.NoError(t, err)
			}
			if step == 12 {
				return 0, io.EOF
			}
			return len(p), nil
		})
		_, _, err := s.Put(t.Context(), slow, nil)
		require.ErrorIs(t, err, fault.Unavailable)
		require.ErrorContains(t, err, "put it again")
		require.Zero(t, rows(t, db, "chunk"))
		require.Zero(t, rows(t, db, "blob"))
	})
}

type readFunc func(p []byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

func TestSweepLeavesWhatIsInUse(t *testing.T) {
	onBoth(t, func(t *testing.T, db *sqlstore.DB, s *artifactsql.Store) {
		content := pattern(2<<20 + 5)
		digest := put(t, s, content)
		put(t, s, content)
		require.Equal(t, 6, rows(t, db, "chunk"), "the first three may still be read")
		removed, err := s.Sweep(t.Context())
		require.NoError(t, err)
		require.Zero(t, removed)
		exec(t, db, "UPDATE {p}artifact_upload SET expires_at = 1 WHERE expires_at IS NOT NULL")
		removed, err = s.Sweep(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, removed)
		require.Equal(t, 3, rows(t, db, "chunk"))
		got, err := read(t, s, digest)
		require.NoError(t, err)
		require.True(t, bytes.Equal(content, got))
	})
}

// Another store on the database sweeps with its first Put, what a dead process
// left there.
func TestPutSweeps(t *testing.T) {
	onBoth(t, func(t *testing.T, db *sqlstore.DB, s *artifactsql.Store) {
		exec(t, db, "INSERT INTO {p}artifact_upload (id, expires_at) VALUES ('dead', ?)", time.Now().Add(-time.Minute).UnixMilli())
		exec(t, db, "INSERT INTO {p}artifact_chunk (upload, number, content) VALUES ('dead', 0, ?)", []byte("part"))
		put(t, s, []byte("new"))
		require.Equal(t, 1, rows(t, db, "chunk"))
		require.Equal(t, 1, rows(t, db, "upload"))
	})
}

func TestDamage(t *testing.T) {
	onBoth(t, func(t *testing.T, db *sqlstore.DB, s *artifactsql.Store) {
		content := pattern(2<<20 + 5)
		for why, query := range map[string]string{
			"a chunk is missing": "DELETE FROM {p}artifact_chunk WHERE number = 1",
			"a chunk is shorter": "UPDATE {p}artifact_chunk SET content = ? WHERE number = 1",
			"another byte":       "UPDATE {p}artifact_chunk SET content = ? WHERE number = 2",
		} {
			digest := put(t, s, content)
			if strings.Contains(query, "?") {
				exec(t, db, query, []byte("12345"))
			} else {
				exec(t, db, query)
			}
			_, err := read(t, s, digest)
			require.ErrorIs(t, err, fault.Corrupt, why)
			require.ErrorContains(t, err, "restore it", why)
			put(t, s, content)
			got, err := read(t, s, digest)
			require.NoError(t, err, "putting it again mends it")
			require.True(t, bytes.Equal(content, got))
		}
	})
}

// Whoever reads a blob more than an hour after it was deleted is told so.
func TestReadAfterTheChunksHaveGone(t *testing.T) {
	onBoth(t, func(t *testing.T, db *sqlstore.DB, s *artifactsql.Store) {
		digest := put(t, s, pattern(3<<20))
		r, err := s.Get(t.Context(), digest)
		require.NoError(t, err)
		_, err = io.ReadFull(r, make([]byte, 10))
		require.NoError(t, err)
		require.NoError(t, s.Delete(t.Context(), digest))
		exec(t, db, "UPDATE {p}artifact_upload SET expires_at = 1")
		_, err = s.Sweep(t.Context())
		require.NoError(t, err)
		_, err = io.ReadAll(r)
		require.ErrorIs(t, err, fault.NotFound)
		require.ErrorContains(t, err, "was deleted")
		require.NoError(t, r.Close())
		_, err = r.Read(make([]byte, 1))
		require.ErrorIs(t, err, fault.Closed)
	})
}

// What is live while a large blob goes in and out is a few chunks.
func TestMemoryIsBounded(t *testing.T) {
	const size, bound = 32 << 20, 12 << 20
	onBoth(t, func(t *testing.T, _ *sqlstore.DB, s *artifactsql.Store) {
		start, peak := live(), uint64(0)
		left := size
		source := readFunc(func(p []byte) (int, error) {
			if left == 0 {
				return 0, io.EOF
			}
			n := min(len(p), left)
			if left -= n; left%(8<<20) < len(p) {
				peak = max(peak, live())
			}
			return n, nil
		})
		digest, _, err := s.Put(t.Context(), source, nil)
		require.NoError(t, err)
		require.Less(t, int64(peak)-int64(start), int64(bound), "put")
		r, err := s.Get(t.Context(), digest)
		require.NoError(t, err)
		for range size / (8 << 20) {
			_, err := io.CopyN(io.Discard, r, 8<<20)
			require.NoError(t, err)
			require.Less(t, int64(live())-int64(start), int64(bound), "get")
		}
		require.NoError(t, r.Close())
	})
}

// live returns how much of the heap is in use.
func live() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestOpen(t *testing.T) {
	url := "sqlite:" + filepath.Join(t.TempDir(), "x.db")
	s, err := artifactsql.Open(t.Context(), url, nil)
	require.NoError(t, err)
	digest := put(t, s, []byte("x"))
	require.NoError(t, s.Close())
	s, err = artifactsql.Open(t.Context(), url, nil)
	require.NoError(t, err)
	got, err := read(t, s, digest)
	require.NoError(t, err)
	require.Equal(t, "x", string(got))
	require.NoError(t, s.Close())
	_, err = artifactsql.Open(t.Context(), "mysql:x", nil)
	require.ErrorIs(t, err, fault.Unsupported)
	require.ErrorContains(t, err, "artifactsql: ")
}

// A Put inside the service's own transaction is there when that commits, and
// not otherwise.
func TestWithTx(t *testing.T) {
	onBoth(t, func(t *testing.T, db *sqlstore.DB, s *artifactsql.Store) {
		content := pattern(2 << 20)
		for _, commit := range []bool{false, true} {
			tx, err := db.Pool().BeginTx(t.Context(), nil)
			require.NoError(t, err)
			digest := put(t, s.WithTx(tx), content)
			if commit {
				require.NoError(t, tx.Commit())
			} else {
				require.NoError(t, tx.Rollback())
			}
			_, err = s.Stat(t.Context(), digest)
			require.Equal(t, commit, err == nil)
		}
		require.Equal(t, 2, rows(t, db, "chunk"))
	})
}
