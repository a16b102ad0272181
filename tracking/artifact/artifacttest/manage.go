package artifacttest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/tracking/artifact"
)

// put stores content and returns its digest.
func put(t *testing.T, s artifact.Store, content []byte) string {
	t.Helper()
	digest, _, err := s.Put(t.Context(), bytes.NewReader(content), nil)
	require.NoError(t, err)
	return digest
}

func digests(t *testing.T, s artifact.Store) []string {
	t.Helper()
	all := []string{}
	for info, err := range s.List(t.Context()) {
		require.NoError(t, err)
		all = append(all, info.Digest)
	}
	return all
}

func expected(t *testing.T, s artifact.Store) {
	good, other := pattern(2<<20, 5), pattern(100_000, 6)
	digest, size, err := s.Put(t.Context(), bytes.NewReader(good), &artifact.PutOptions{Digest: digestOf(good)})
	require.NoError(t, err)
	require.Equal(t, digestOf(good), digest)
	require.EqualValues(t, len(good), size)
	_, _, err = s.Put(t.Context(), bytes.NewReader(other), &artifact.PutOptions{Digest: digestOf(good)})
	require.ErrorIs(t, err, fault.Corrupt)
	require.Equal(t, fault.Corrupt, fault.Kind(err))
	require.ErrorContains(t, err, digestOf(good))
	require.ErrorContains(t, err, digestOf(other))
	require.Equal(t, []string{digest}, digests(t, s), "the other bytes were not stored")
	got, err := get(s, digest)
	require.NoError(t, err, "and did not replace the good ones")
	require.True(t, bytes.Equal(good, got))
}

func ranges(t *testing.T, s artifact.Store) {
	content := pattern(2<<20+777, 7)
	digest, size := put(t, s, content), int64(len(content))
	read := func(offset, length int64) []byte {
		r, err := s.GetRange(t.Context(), digest, offset, length)
		require.NoError(t, err)
		b, err := io.ReadAll(r)
		require.NoError(t, errors.Join(err, r.Close()))
		return b
	}
	const chunk = 1 << 20
	for _, offset := range []int64{0, chunk - 1, chunk, chunk + 1, size - 1, size} {
		for _, length := range []int64{0, 1, chunk + 1, size + 5} {
			want := content[offset:min(offset+length, size)]
			require.True(t, bytes.Equal(want, read(offset, length)), "%d bytes from %d", length, offset)
		}
		require.True(t, bytes.Equal(content[offset:], read(offset, -1)), "all from %d", offset)
	}
	for _, bad := range [][2]int64{{-1, 1}, {size + 1, 1}, {0, -2}} {
		_, err := s.GetRange(t.Context(), digest, bad[0], bad[1])
		require.ErrorIs(t, err, fault.Invalid, "%v", bad)
	}
	empty := put(t, s, nil)
	r, err := s.GetRange(t.Context(), empty, 0, -1)
	require.NoError(t, err)
	b, err := io.ReadAll(r)
	require.NoError(t, errors.Join(err, r.Close()))
	require.Empty(t, b)
}

// aMoment passes, so that times to the millisecond differ.
func aMoment() {
	for start := time.Now(); time.Since(start) < 3*time.Millisecond; {
		time.Sleep(time.Millisecond)
	}
}

func stat(t *testing.T, s artifact.Store) {
	start := time.Now().UTC().Truncate(time.Millisecond)
	digest := put(t, s, []byte("four"))
	info, err := s.Stat(t.Context(), digest)
	require.NoError(t, err)
	require.Equal(t, digest, info.Digest)
	require.EqualValues(t, 4, info.Size)
	require.Equal(t, time.UTC, info.ModTime.Location())
	require.Zero(t, info.ModTime.Nanosecond()%1e6)
	require.False(t, info.ModTime.Before(start), "%v: put at %v", info.ModTime, start)
	require.False(t, info.ModTime.After(time.Now()))

	aMoment()
	put(t, s, []byte("four"))
	again, err := s.Stat(t.Context(), digest)
	require.NoError(t, err)
	require.True(t, again.ModTime.After(info.ModTime), "to put again makes it new: %v, %v", info.ModTime, again.ModTime)
}

func list(t *testing.T, s artifact.Store) {
	require.Empty(t, digests(t, s))
	var want []string
	for i := range 12 {
		want = append(want, put(t, s, pattern(i, 8)))
	}
	slices.Sort(want)
	require.Equal(t, want, digests(t, s))
	for info, err := range s.List(t.Context()) {
		require.NoError(t, err)
		stat, err := s.Stat(t.Context(), info.Digest)
		require.NoError(t, err)
		require.Equal(t, stat, info)
	}
	seen := 0
	for range s.List(t.Context()) {
		if seen++; seen == 3 {
			break
		}
	}
	require.Equal(t, 3, seen)
	put(t, s, []byte("a list that was left holds nothing"))
}

func deletion(t *testing.T, s artifact.Store) {
	digest, other := put(t, s, []byte("go")), put(t, s, []byte("stay"))
	for range 2 {
		require.NoError(t, s.Delete(t.Context(), digest))
		_, err := s.Get(t.Context(), digest)
		require.ErrorIs(t, err, fault.NotFound)
		_, err = s.Stat(t.Context(), digest)
		require.ErrorIs(t, err, fault.NotFound)
		require.Equal(t, []string{other}, digests(t, s))
	}
	put(t, s, []byte("go"))
	got, err := get(s, digest)
	require.NoError(t, err)
	require.Equal(t, "go", string(got))
}

func deleteWhileRead(t *testing.T, s artifact.Store) {
	content := pattern(2<<20, 9)
	digest := put(t, s, content)
	for _, remove := range []func() error{
		func() error { return s.Delete(t.Context(), digest) },
		func() error { _, _, err := s.Put(t.Context(), bytes.NewReader(content), nil); return err },
		func() error { _, err := s.Expire(t.Context(), digest, time.Now().Add(time.Hour)); return err },
	} {
		put(t, s, content)
		r, err := s.Get(t.Context(), digest)
		require.NoError(t, err)
		head := make([]byte, 10)
		_, err = io.ReadFull(r, head)
		require.NoError(t, err)
		require.NoError(t, remove())
		rest, err := io.ReadAll(r)
		require.NoError(t, errors.Join(err, r.Close()))
		require.True(t, bytes.Equal(content, append(head, rest...)))
	}
}

func expire(t *testing.T, s artifact.Store) {
	digest := put(t, s, []byte("old"))
	info, err := s.Stat(t.Context(), digest)
	require.NoError(t, err)
	require.False(t, removed(t, s, digest, info.ModTime), "not before its own time")
	require.False(t, removed(t, s, digest, info.ModTime.Add(-time.Hour)))
	aMoment()
	before := time.Now()
	put(t, s, []byte("old"))
	require.False(t, removed(t, s, digest, before), "it was put again since")
	require.True(t, removed(t, s, digest, time.Now().Add(time.Hour)))
	require.Empty(t, digests(t, s))
	require.False(t, removed(t, s, digest, time.Now().Add(time.Hour)), "it was there no more")
}

func removed(t *testing.T, s artifact.Store, digest string, before time.Time) bool {
	t.Helper()
	ok, err := s.Expire(t.Context(), digest, before)
	require.NoError(t, err)
	return ok
}

// expireRace lets a collector race with writers: it takes away only what is
// older than its last look at the clock, and each writer looks for what it put.
func expireRace(t *testing.T, s artifact.Store) {
	content := pattern(5000, 10)
	digest := digestOf(content)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var mu sync.RWMutex // orders the clock before the Puts that begin after it
	var failed error
	var wg sync.WaitGroup
	wg.Go(func() {
		for ctx.Err() == nil {
			mu.Lock()
			before := time.Now()
			mu.Unlock()
			if _, err := s.Expire(t.Context(), digest, before); err != nil {
				failed = err
				return
			}
		}
	})
	for range 20 {
		mu.RLock() // no clock is read between Put and Get
		_, _, err := s.Put(t.Context(), bytes.NewReader(content), nil)
		if err == nil {
			_, err = get(s, digest)
		}
		mu.RUnlock()
		require.NoError(t, err)
	}
	cancel()
	wg.Wait()
	require.NoError(t, failed)
}
