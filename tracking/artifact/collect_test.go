package artifact_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/tracking/artifact"
)

func TestCollect(t *testing.T) {
	s := artifact.Memory()
	named, unnamed := put(t, s, "named"), put(t, s, "unnamed!")
	keep := func(_ context.Context, digest string) (bool, error) { return digest == named, nil }
	done, err := artifact.Collect(t.Context(), s, time.Now().Add(-time.Hour), keep)
	require.NoError(t, err)
	require.Equal(t, artifact.Collected{Kept: 2}, done, "all are young")
	later := time.Now().Add(time.Hour)
	done, err = artifact.Collect(t.Context(), s, later, keep)
	require.NoError(t, err)
	require.Equal(t, artifact.Collected{Blobs: 1, Bytes: 8, Kept: 1}, done)
	_, err = s.Stat(t.Context(), unnamed)
	require.ErrorIs(t, err, artifact.ErrNotFound)

	boom := errors.New("boom")
	_, err = artifact.Collect(t.Context(), s, later, func(context.Context, string) (bool, error) { return false, boom })
	require.ErrorIs(t, err, boom)
	_, err = read(s, named)
	require.NoError(t, err, "who cannot tell removes nothing")
	_, err = artifact.Collect(t.Context(), artifact.UnimplementedStore{}, later, keep)
	require.ErrorIs(t, err, artifact.ErrUnsupported)
}

// Writers put and then name blobs, ever the same ones, and take the names away,
// while a collector with almost no grace runs all the time: no name is ever
// without its blob.
func TestCollectBesideWriters(t *testing.T) {
	const writers, rounds, grace = 4, 40, 200 * time.Millisecond
	for name, s := range map[string]artifact.Store{"memory": artifact.Memory(), "dir": artifact.Dir(filepath.Join(t.TempDir(), "a"))} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			names := map[string]int{}
			keep := func(_ context.Context, digest string) (bool, error) {
				mu.Lock()
				defer mu.Unlock()
				return names[digest] > 0, nil
			}
			count := func(digest string, by int) {
				mu.Lock()
				defer mu.Unlock()
				names[digest] += by
			}
			ctx, cancel := context.WithCancel(t.Context())
			var wg, collector sync.WaitGroup
			collector.Go(func() {
				for ctx.Err() == nil {
					if _, err := artifact.Collect(context.Background(), s, time.Now().Add(-grace), keep); err != nil {
						t.Error(err)
						return
					}
				}
			})
			for range writers {
				wg.Go(func() {
					for i := range rounds {
						digest, err := putAndName(s, fmt.Sprint(i%3), count)
						if err != nil {
							t.Error(err)
							return
						}
						count(digest, -1)
					}
				})
			}
			wg.Wait()
			cancel()
			collector.Wait()
		})
	}
}

// putAndName puts a blob, names it, and reads it by its name.
func putAndName(s artifact.Store, content string, count func(digest string, by int)) (string, error) {
	digest, _, err := s.Put(context.Background(), strings.NewReader(content), nil)
	if err != nil {
		return "", err
	}
	count(digest, 1)
	got, err := read(s, digest)
	if err == nil && got != content {
		err = errors.New("other bytes came back")
	}
	return digest, err
}
