package trackingsql

import (
	"context"
	"fmt"
	"iter"

	"github.com/mlloop/mlloop/sqlstore"
)

// artifactPage is how many digests are read at once.
const artifactPage = 10_000

type artifactKey struct {
	run    int64
	path   string
	digest string
}

// ArtifactDigests yields the digests of all runs' files, some several times, and
// an error last when there is one. It is what collecting garbage asks for, and
// holds no connection between two pages.
func (s *Store) ArtifactDigests(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		var last artifactKey
		for {
			page, err := sqlstore.Select(ctx, s.db, func(row sqlstore.Scanner) (k artifactKey, err error) {
				err = row.Scan(&k.run, &k.path, &k.digest)
				return k, err
			}, `SELECT run, path, digest FROM {p}tracking_artifact WHERE (run, path) > (?, ?) ORDER BY run, path LIMIT ?`, last.run, last.path, artifactPage)
			if err != nil {
				yield("", fmt.Errorf("trackingsql: digests of artifacts: %w", err))
				return
			}
			for _, last = range page {
				if !yield(last.digest, nil) {
					return
				}
			}
			if len(page) < artifactPage {
				return
			}
		}
	}
}
