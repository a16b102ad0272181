package artifactsql_test

import (
	"bytes"
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/sqlstore"
	"github.com/mlloop/mlloop/tracking/artifact/artifactsql"
)

// Eight goroutines put, delete and expire the same few blobs by two stores: in
// the end each upload is a blob's, or waits for its end.
func TestRacingPutsLeakNothing(t *testing.T) {
	const workers, rounds = 8, 12
	onBoth(t, func(t *testing.T, db *sqlstore.DB, s *artifactsql.Store) {
		stores := []*artifactsql.Store{s, artifactsql.New(db)}
		var wg sync.WaitGroup
		for w := range workers {
			wg.Go(func() {
				s := stores[w%2]
				for i := range rounds {
					content := bytes.Repeat([]byte{byte(i % 2)}, 600_000*(1+i%2))
					digest, _, err := s.Put(context.Background(), bytes.NewReader(content), nil)
					switch {
					case err != nil:
					case (w+i)%3 == 0:
						err = s.Delete(context.Background(), digest)
					case (w+i)%3 == 1:
						_, err = s.Expire(context.Background(), digest, time.Now().Add(time.Hour))
					}
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		count := func(query string) (n int) {
			require.NoError(t, db.QueryRow(t.Context(), query).Scan(&n))
			return n
		}
		require.Equal(t, rows(t, db, "blob"), count("SELECT count(*) FROM {p}artifact_upload WHERE expires_at IS NULL"))
		require.Equal(t, rows(t, db, "blob"), count("SELECT count(*) FROM {p}artifact_blob b JOIN {p}artifact_upload u ON u.id = b.upload WHERE u.expires_at IS NULL"))
		for info, err := range s.List(t.Context()) {
			require.NoError(t, err)
			_, err := read(t, s, info.Digest)
			require.NoError(t, err)
		}
		exec(t, db, "UPDATE {p}artifact_upload SET expires_at = 1 WHERE expires_at IS NOT NULL")
		_, err := s.Sweep(t.Context())
		require.NoError(t, err)
		require.Equal(t, rows(t, db, "blob"), rows(t, db, "upload"))
	})
}
