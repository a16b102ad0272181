package artifacttest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/tracking/artifact"
)

// testCase is one promise of artifact.Store.
type testCase struct {
	name, why string
	check     func(t *testing.T, s artifact.Store)
}

// Run checks that stores made by newStore keep the promises of artifact.Store.
// Each case has a new store.
func Run(t *testing.T, newStore func(t *testing.T) artifact.Store) {
	RunSequential(t, newStore)
	run(t, newStore, []testCase{
		{"ExpireRace", "a blob that is put while it expires is there when Put has returned", expireRace},
		{"Concurrent", "many may put and get the same and other blobs at once", concurrent},
	})
}

// RunSequential is Run without the cases that need several goroutines, for a
// store inside a transaction of the service's own.
func RunSequential(t *testing.T, newStore func(t *testing.T) artifact.Store) {
	run(t, newStore, []testCase{
		{"RoundTrip", "what was put comes back, whatever its size", roundTrip},
		{"KnownDigest", "the digest is SHA-256 in lower-case hex (FIPS 180-2, appendix B.1)", knownDigest},
		{"Again", "equal bytes have one digest and may be put again", again},
		{"OddReaders", "a reader may be slow, or give its last bytes together with io.EOF", oddReaders},
		{"FailingReader", "a reader's error comes back, and nothing partial is visible", failingReader},
		{"NotFound", "an unknown digest is NotFound", notFound},
		{"BadDigest", "what is no digest is Invalid and never becomes a path", badDigest},
		{"PartialRead", "a blob may be closed before its end", partialRead},
		{"Expected", "bytes that are not those expected are Corrupt, and nothing is stored", expected},
		{"Range", "a part comes alone, clipped at the blob's end", ranges},
		{"Stat", "size and time are known without the bytes", stat},
		{"List", "all blobs come by digest, and the caller may stop", list},
		{"Delete", "what is deleted is gone, may be deleted again, and may come again", deletion},
		{"DeleteWhileRead", "what is deleted while it is read is read to its end", deleteWhileRead},
		{"Expire", "only what was not put since goes", expire},
		{"Random", "any sequence of operations ends as it does in memory", random},
		{"Cancelled", "a context that is done ends every call", cancelled},
	})
}

func run(t *testing.T, newStore func(t *testing.T) artifact.Store, cases []testCase) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Log(c.why)
			c.check(t, newStore(t))
		})
	}
}

func digestOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func get(s artifact.Store, digest string) ([]byte, error) {
	rc, err := s.Get(context.Background(), digest)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(rc)
	return b, errors.Join(err, rc.Close())
}

// pattern returns n bytes that differ from one another, by seed.
func pattern(n int, seed byte) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7+i>>8) + seed
	}
	return b
}

func roundTrip(t *testing.T, s artifact.Store) {
	for _, n := range []int{0, 1, 31, 4096, 65535, 65536, 65537, 1 << 20} {
		want := pattern(n, 1)
		digest, size, err := s.Put(t.Context(), bytes.NewReader(want), nil)
		require.NoError(t, err)
		require.Equal(t, digestOf(want), digest)
		require.EqualValues(t, n, size)
		got, err := get(s, digest)
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, got), "%d bytes", n)
	}
}

func knownDigest(t *testing.T, s artifact.Store) {
	digest, size, err := s.Put(t.Context(), strings.NewReader("abc"), nil)
	require.NoError(t, err)
	require.EqualValues(t, 3, size)
	require.Equal(t, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", digest)
}

func again(t *testing.T, s artifact.Store) {
	for range 3 {
		digest, _, err := s.Put(t.Context(), strings.NewReader("same"), nil)
		require.NoError(t, err)
		require.Equal(t, digestOf([]byte("same")), digest)
	}
	got, err := get(s, digestOf([]byte("same")))
	require.NoError(t, err)
	require.Equal(t, "same", string(got))
}

func oddReaders(t *testing.T, s artifact.Store) {
	want := pattern(5000, 2)
	for _, wrap := range []func(io.Reader) io.Reader{iotest.OneByteReader, iotest.HalfReader, iotest.DataErrReader} {
		digest, size, err := s.Put(t.Context(), wrap(bytes.NewReader(want)), nil)
		require.NoError(t, err)
		require.Equal(t, digestOf(want), digest)
		require.EqualValues(t, len(want), size)
	}
}

func failingReader(t *testing.T, s artifact.Store) {
	boom := errors.New("boom")
	part := pattern(100_000, 3)
	_, _, err := s.Put(t.Context(), io.MultiReader(bytes.NewReader(part), iotest.ErrReader(boom)), nil)
	require.ErrorIs(t, err, boom)
	_, err = get(s, digestOf(part))
	require.ErrorIs(t, err, fault.NotFound)
}

func cancelled(t *testing.T, s artifact.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := s.Put(ctx, strings.NewReader("late"), nil)
	require.ErrorIs(t, err, context.Canceled)
	_, err = get(s, digestOf([]byte("late")))
	require.ErrorIs(t, err, fault.NotFound)

	digest, _, err := s.Put(t.Context(), strings.NewReader("early"), nil)
	require.NoError(t, err)
	_, err = s.Get(ctx, digest)
	require.ErrorIs(t, err, context.Canceled)
	_, err = s.GetRange(ctx, digest, 0, 1)
	require.ErrorIs(t, err, context.Canceled)
	_, err = s.Stat(ctx, digest)
	require.ErrorIs(t, err, context.Canceled)
	_, err = s.Expire(ctx, digest, time.Now().Add(time.Hour))
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, s.Delete(ctx, digest), context.Canceled)
	for _, err := range s.List(ctx) {
		require.ErrorIs(t, err, context.Canceled)
	}
	require.Equal(t, []string{digest}, digests(t, s), "nothing was removed")
}

func notFound(t *testing.T, s artifact.Store) {
	_, err := s.Get(t.Context(), digestOf([]byte("never put")))
	require.ErrorIs(t, err, fault.NotFound)
	_, _, err = s.Put(t.Context(), strings.NewReader("something"), nil)
	require.NoError(t, err)
	_, err = s.Get(t.Context(), digestOf([]byte("never put")))
	require.ErrorIs(t, err, fault.NotFound)
	_, err = s.GetRange(t.Context(), digestOf([]byte("never put")), 0, -1)
	require.ErrorIs(t, err, fault.NotFound)
	_, err = s.Stat(t.Context(), digestOf([]byte("never put")))
	require.ErrorIs(t, err, fault.NotFound)
}

func badDigest(t *testing.T, s artifact.Store) {
	good, _, err := s.Put(t.Context(), strings.NewReader("x"), nil)
	require.NoError(t, err)
	bad := []string{"", "..", "../../etc/passwd", good[:63], good + "0", strings.ToUpper(good), "g" + good[1:],
		good[:62] + "/a", strings.Repeat("../", 21) + "x", strings.Repeat("\x00", 64), "sha256:" + good}
	for _, digest := range bad {
		_, err := s.Get(t.Context(), digest)
		require.ErrorIs(t, err, fault.Invalid, "%q", digest)
		_, err = s.GetRange(t.Context(), digest, 0, -1)
		require.ErrorIs(t, err, fault.Invalid, "%q", digest)
		_, err = s.Stat(t.Context(), digest)
		require.ErrorIs(t, err, fault.Invalid, "%q", digest)
		require.ErrorIs(t, s.Delete(t.Context(), digest), fault.Invalid, "%q", digest)
		_, err = s.Expire(t.Context(), digest, time.Now())
		require.ErrorIs(t, err, fault.Invalid, "%q", digest)
		if digest != "" { // which expects nothing
			_, _, err = s.Put(t.Context(), strings.NewReader("x"), &artifact.PutOptions{Digest: digest})
			require.ErrorIs(t, err, fault.Invalid, "%q", digest)
		}
	}
}

func partialRead(t *testing.T, s artifact.Store) {
	digest, _, err := s.Put(t.Context(), bytes.NewReader(pattern(1000, 4)), nil)
	require.NoError(t, err)
	rc, err := s.Get(t.Context(), digest)
	require.NoError(t, err)
	_, err = io.ReadFull(rc, make([]byte, 10))
	require.NoError(t, err)
	require.NoError(t, rc.Close())
}

func concurrent(t *testing.T, s artifact.Store) {
	errs := make([]error, 8)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			for j := range byte(5) {
				b := pattern(3000, j)
				if _, _, err := s.Put(context.Background(), bytes.NewReader(b), nil); err != nil {
					errs[i] = err
					return
				}
				got, err := get(s, digestOf(b))
				if err == nil && !bytes.Equal(b, got) {
					err = errors.New("other bytes came back")
				}
				if err != nil {
					errs[i] = err
					return
				}
			}
		})
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
}
