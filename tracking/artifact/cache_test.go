package artifact_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/tracking/artifact"
)

// counting is a store that counts how often bytes were fetched, and may wait
// before it answers.
type counting struct {
	artifact.Store
	mu      sync.Mutex
	fetched int
	wait    func(ctx context.Context, fetched int) error
}

func (c *counting) GetRange(ctx context.Context, digest string, offset, length int64) (io.ReadCloser, error) {
	c.mu.Lock()
	c.fetched++
	n := c.fetched
	c.mu.Unlock()
	if c.wait != nil {
		if err := c.wait(ctx, n); err != nil {
			return nil, err
		}
	}
	return c.Store.GetRange(ctx, digest, offset, length)
}

// requireOpen opens a blob by the cache and checks its bytes.
func requireOpen(t *testing.T, c *artifact.Cache, s artifact.Store, digest, want string) {
	t.Helper()
	got, err := openAll(t.Context(), c, s, digest)
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func openAll(ctx context.Context, c *artifact.Cache, s artifact.Store, digest string) (string, error) {
	r, err := c.Open(ctx, s, digest)
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(r)
	return string(b), errors.Join(err, r.Close())
}

// names lists a folder; a cache's files are named by their digests.
func names(t *testing.T, dir string) map[string]bool {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	all := map[string]bool{}
	for _, e := range entries {
		all[e.Name()] = true
	}
	return all
}

func TestCacheFetchesAndVerifiesOnce(t *testing.T) {
	s := &counting{Store: artifact.Memory()}
	digest := put(t, s, "weights")
	dir := filepath.Join(t.TempDir(), "a", "cache")
	c := artifact.NewCache(dir, nil)
	for range 3 {
		requireOpen(t, c, s, digest, "weights")
	}
	require.Equal(t, artifact.CacheStats{Fetched: 1, Hits: 2}, c.Stats())

	next := artifact.NewCache(dir, nil) // another process
	require.NoError(t, s.Delete(t.Context(), digest), "which needs the store no more")
	for range 3 {
		requireOpen(t, next, s, digest, "weights")
	}
	require.Equal(t, artifact.CacheStats{Verified: 1, Hits: 2}, next.Stats())
	require.Equal(t, 1, s.fetched)
	require.Equal(t, map[string]bool{digest: true}, names(t, dir), "nothing temporary is left")
}

func TestCacheFindsDamage(t *testing.T) {
	s := artifact.Memory()
	digest := put(t, s, "weights")
	dir := t.TempDir()
	file := filepath.Join(dir, digest)
	require.NoError(t, os.WriteFile(file, []byte("weightz"), 0o600)) // torn by a crash
	c := artifact.NewCache(dir, nil)
	requireOpen(t, c, s, digest, "weights")
	require.Equal(t, artifact.CacheStats{Damaged: 1, Fetched: 1}, c.Stats())

	require.NoError(t, os.WriteFile(file, []byte("weightz, and more"), 0o600))
	requireOpen(t, c, s, digest, "weights")
	require.Equal(t, artifact.CacheStats{Damaged: 2, Fetched: 2}, c.Stats(), "its size has changed")

	later := time.Now().Add(time.Hour)
	require.NoError(t, os.Chtimes(file, later, later))
	requireOpen(t, c, s, digest, "weights")
	require.Equal(t, artifact.CacheStats{Damaged: 2, Fetched: 2, Verified: 1}, c.Stats(), "its time has changed")

	require.NoError(t, os.RemoveAll(dir))
	requireOpen(t, c, s, digest, "weights")
	require.EqualValues(t, 3, c.Stats().Fetched, "the folder may be removed at any time")
}

func TestCacheTrustsNoStore(t *testing.T) {
	s := artifact.Memory()
	digest, other := put(t, s, "weights"), put(t, s, "weightz")
	dir := t.TempDir()
	c := artifact.NewCache(dir, nil)
	_, err := openAll(t.Context(), c, swapped{s, other}, digest)
	require.ErrorIs(t, err, artifact.ErrCorrupt)
	require.Empty(t, names(t, dir))
	requireOpen(t, c, s, digest, "weights")

	tiny := artifact.NewCache(t.TempDir(), &artifact.CacheOptions{MaxBytes: 1})
	_, err = openAll(t.Context(), tiny, swapped{s, other}, digest)
	require.ErrorIs(t, err, artifact.ErrCorrupt, "what is streamed is verified, too")
	_, err = openAll(t.Context(), c, s, strings.Repeat("0", 64))
	require.ErrorIs(t, err, artifact.ErrNotFound)
	_, err = openAll(t.Context(), c, s, "../x")
	require.ErrorIs(t, err, artifact.ErrInvalid)
}

// swapped is a store that yields another blob.
type swapped struct {
	artifact.Store
	other string
}

func (s swapped) GetRange(ctx context.Context, _ string, offset, length int64) (io.ReadCloser, error) {
	return s.Store.GetRange(ctx, s.other, offset, length)
}

func TestCacheIsBounded(t *testing.T) {
	s := artifact.Memory()
	var blobs [5]string
	content := func(i int) string { return strings.Repeat(string(rune('a'+i)), 100) }
	for i := range blobs {
		blobs[i] = put(t, s, content(i))
	}
	dir := t.TempDir()
	old := artifact.NewCache(dir, &artifact.CacheOptions{MaxBytes: 300})
	requireOpen(t, old, s, blobs[0], content(0)) // by another process, which is gone
	c := artifact.NewCache(dir, &artifact.CacheOptions{MaxBytes: 300})
	requireOpen(t, c, s, blobs[1], content(1))
	requireOpen(t, c, s, blobs[2], content(2))
	requireOpen(t, c, s, blobs[3], content(3))
	require.Equal(t, map[string]bool{blobs[1]: true, blobs[2]: true, blobs[3]: true}, names(t, dir), "what it had not used went first")
	held, err := c.Open(t.Context(), s, blobs[2])
	require.NoError(t, err)
	requireOpen(t, c, s, blobs[1], content(1))
	requireOpen(t, c, s, blobs[4], content(4))
	require.Equal(t, map[string]bool{blobs[1]: true, blobs[2]: true, blobs[4]: true}, names(t, dir), "then what was used longest ago")
	requireOpen(t, c, s, blobs[3], content(3))
	require.False(t, names(t, dir)[blobs[2]])
	got, err := io.ReadAll(held)
	require.NoError(t, errors.Join(err, held.Close()))
	require.Equal(t, content(2), string(got), "what is open stays readable")
	require.EqualValues(t, 3, c.Stats().Evicted)

	huge := put(t, s, strings.Repeat("x", 301))
	requireOpen(t, c, s, huge, strings.Repeat("x", 301))
	require.Len(t, names(t, dir), 3, "what is larger than the folder is streamed, and nothing goes for it")
	require.EqualValues(t, 1, c.Stats().Streamed)
	require.NoError(t, c.Stats().LastError)
}

func TestCacheThatCannotWrite(t *testing.T) {
	s := artifact.Memory()
	digest := put(t, s, "weights")
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	c := artifact.NewCache(filepath.Join(file, "cache"), nil)
	requireOpen(t, c, s, digest, "weights")
	require.EqualValues(t, 1, c.Stats().Streamed)
	require.ErrorContains(t, c.Stats().LastError, "not a directory")
}

func TestCacheSweepsWhatDiedInIt(t *testing.T) {
	s := artifact.Memory()
	dir := t.TempDir()
	dead, live := filepath.Join(dir, ".dead.tmp-1"), filepath.Join(dir, ".live.tmp-2")
	for _, name := range []string{dead, live} {
		require.NoError(t, os.WriteFile(name, []byte("part"), 0o600))
	}
	old := time.Now().Add(-25 * time.Hour)
	require.NoError(t, os.Chtimes(dead, old, old))
	c := artifact.NewCache(dir, &artifact.CacheOptions{MaxBytes: 10})
	requireOpen(t, c, s, put(t, s, "123456"), "123456")
	require.NoFileExists(t, dead)
	requireOpen(t, c, s, put(t, s, "1234567"), "1234567")
	require.EqualValues(t, 1, c.Stats().Streamed, "what others fetch takes room")
	require.FileExists(t, live)
}

// Eight who open one blob at once cause one fetch.
func TestCacheFetchesOnceForMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &counting{Store: artifact.Memory(), wait: func(context.Context, int) error {
			time.Sleep(time.Second)
			return nil
		}}
		content := strings.Repeat("w", 100_000)
		digest := put(t, s, content)
		c := artifact.NewCache(t.TempDir(), nil)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				got, err := openAll(t.Context(), c, s, digest)
				if err != nil || got != content {
					t.Errorf("%d bytes, %v", len(got), err)
				}
			})
		}
		wg.Wait()
		require.Equal(t, 1, s.fetched)
		require.Equal(t, artifact.CacheStats{Fetched: 1, Hits: 7}, c.Stats())
	})
}

// Who fetches gives up, or fails; the others do not fail with it unless the
// store does.
func TestCacheWhenTheFirstGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &counting{Store: artifact.Memory(), wait: func(ctx context.Context, _ int) error {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Minute):
				return nil
			}
		}}
		digest := put(t, s, "weights")
		c := artifact.NewCache(t.TempDir(), nil)
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		first, second := make(chan error), make(chan error)
		go func() { _, err := openAll(short, c, s, digest); first <- err }()
		synctest.Wait()
		go func() { _, err := openAll(t.Context(), c, s, digest); second <- err }()
		require.ErrorIs(t, <-first, context.DeadlineExceeded)
		require.NoError(t, <-second)
		require.Equal(t, 2, s.fetched)

		s.wait = func(context.Context, int) error { return fault.Errorf(fault.Unavailable, "the network is down") }
		other := put(t, s, "more")
		_, err := openAll(t.Context(), c, s, other)
		require.ErrorIs(t, err, artifact.ErrUnavailable)
		s.wait = nil
		requireOpen(t, c, s, other, "more")
	})
}

// Many goroutines and two caches on one folder that holds a fraction of what
// they read: each gets the bytes it asked for.
func TestCacheUnderPressure(t *testing.T) {
	s, dir := artifact.Memory(), t.TempDir()
	var blobs [20]string
	content := func(i int) string { return strings.Repeat(string(rune('a'+i)), 1000+i) }
	for i := range blobs {
		blobs[i] = put(t, s, content(i))
	}
	caches := []*artifact.Cache{
		artifact.NewCache(dir, &artifact.CacheOptions{MaxBytes: 5500}), artifact.NewCache(dir, &artifact.CacheOptions{MaxBytes: 5500}),
	}
	var wg sync.WaitGroup
	for worker := range 6 {
		wg.Go(func() {
			for i := range 200 {
				n := (i*7 + worker*3) % len(blobs)
				got, err := openAll(context.Background(), caches[worker%2], s, blobs[n])
				if err != nil || got != content(n) {
					t.Errorf("blob %d: %d bytes, %v", n, len(got), err)
				}
			}
		})
	}
	wg.Wait()
	var total int64
	require.NoError(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			b, err := os.ReadFile(path)
			require.NoError(t, err)
			total += int64(len(b))
			require.Equal(t, put(t, artifact.Memory(), string(bytes.Clone(b))), filepath.Base(path))
		}
		return err
	}))
	require.LessOrEqual(t, total, int64(2*5500))
}
