package blob_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/blob"
	"github.com/mlloop/mlloop/internal/fault"
)

// abc is the digest of "abc": FIPS 180-2, appendix B.1.
const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

func asIs(err error) error { return err }

func TestCopy(t *testing.T) {
	var out bytes.Buffer
	digest, size, err := blob.Copy(t.Context(), &out, iotest.OneByteReader(strings.NewReader("abc")), asIs)
	require.NoError(t, err)
	require.Equal(t, abc, digest)
	require.EqualValues(t, 3, size)
	require.Equal(t, "abc", out.String())

	boom := errors.New("boom")
	_, _, err = blob.Copy(t.Context(), &out, iotest.ErrReader(boom), asIs)
	require.ErrorIs(t, err, boom)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err = blob.Copy(ctx, &out, strings.NewReader("abc"), asIs)
	require.ErrorIs(t, err, context.Canceled)
}

func TestVerify(t *testing.T) {
	for content, ok := range map[string]bool{"abc": true, "abd": false, "ab": false, "abcd": false, "": false} {
		for _, wrap := range []func(io.Reader) io.Reader{iotest.DataErrReader, iotest.OneByteReader} {
			_, err := io.ReadAll(blob.Verify(io.NopCloser(wrap(strings.NewReader(content))), abc))
			require.Equal(t, ok, err == nil, content)
			require.Equal(t, !ok, errors.Is(err, fault.Corrupt), content)
		}
	}
}

func TestChecks(t *testing.T) {
	require.NoError(t, blob.CheckDigest(abc))
	for _, bad := range []string{"", abc[1:], abc + "0", strings.ToUpper(abc), "../" + abc[3:]} {
		require.ErrorIs(t, blob.Check(t.Context(), bad), fault.Invalid, bad)
	}
	require.NoError(t, blob.Expect("", abc))
	require.NoError(t, blob.Expect(abc, abc))
	require.ErrorIs(t, blob.Expect(abc, strings.Repeat("0", 64)), fault.Corrupt)
	require.Equal(t, time.Date(2026, 1, 1, 11, 0, 0, 5e6, time.UTC), blob.Millis(time.Date(2026, 1, 1, 12, 0, 0, 5999999, time.FixedZone("CET", 3600))))
}

func TestClip(t *testing.T) {
	for _, c := range []struct{ size, offset, length, want int64 }{
		{10, 0, -1, 10}, {10, 3, -1, 7}, {10, 10, -1, 0}, {10, 10, 5, 0}, {10, 8, 5, 2}, {10, 0, 0, 0}, {0, 0, 9, 0}, {10, 1, 1<<63 - 1, 9},
	} {
		got, err := blob.Clip(c.size, c.offset, c.length)
		require.NoError(t, err)
		require.Equal(t, c.want, got, "%+v", c)
	}
	for _, c := range [][2]int64{{-1, 1}, {11, 0}, {0, -2}} {
		_, err := blob.Clip(10, c[0], c[1])
		require.ErrorIs(t, err, fault.Invalid, "%v", c)
	}
}
