package servehttp_test

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"io"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/serve/servehttp"
	"github.com/mlloop/mlloop/serve/servetest"
)

func zipped(w io.Writer) io.WriteCloser   { return gzip.NewWriter(w) }
func deflated(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) }

func pack(t *testing.T, wrap func(io.Writer) io.WriteCloser, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := wrap(&b)
	_, err := io.WriteString(w, text)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.String()
}

func TestCompressedBodies(t *testing.T) {
	s := servetest.New(t, "churn", servetest.Constant("stays"), nil)
	for _, c := range []struct {
		encoding, body string
		code           int
	}{
		{"gzip", pack(t, zipped, inferX), 200},
		{"deflate", pack(t, deflated, inferX), 200},
		{"identity", inferX, 200},
		{"gzip", inferX, 400},
		{"gzip", pack(t, zipped, inferX)[:20], 400},
		{"deflate", pack(t, deflated, inferX) + "x", 400},
		{"GZIP", pack(t, zipped, inferX), 200},
		{"x-gzip", pack(t, zipped, inferX), 200},
		{" identity , gzip", pack(t, zipped, inferX), 200},
		{"", inferX, 200},
		{"br", inferX, 415},
		{"gzip, br", inferX, 415},
		{"gzip, gzip", pack(t, zipped, pack(t, zipped, inferX)), 415},
		{"deflate,gzip", pack(t, zipped, pack(t, deflated, inferX)), 415},
		{"gzip", pack(t, zipped, strings.Repeat(" ", 2000)+inferX), 413},
	} {
		code, body, header := call(t, s, &servehttp.Options{MaxBodyBytes: 1000}, "POST", "/v2/models/churn/infer", c.body, "Content-Encoding", c.encoding)
		require.Equal(t, c.code, code, "%s: %s", c.encoding, body)
		if code == 415 {
			require.Equal(t, "gzip, deflate, identity", header.Get("Accept-Encoding"))
			require.Contains(t, body, c.encoding, "it says what is not taken")
		}
	}
}

// TestStackedHeaders: two header lines are as one with a comma.
func TestStackedHeaders(t *testing.T) {
	s := servetest.New(t, "churn", servetest.Constant("stays"), nil)
	r := httptest.NewRequestWithContext(t.Context(), "POST", "/v2/models/churn/infer", strings.NewReader(pack(t, zipped, pack(t, zipped, inferX))))
	r.Header["Content-Encoding"] = []string{"gzip", "gzip"}
	w := httptest.NewRecorder()
	servehttp.New(s.Server, nil).ServeHTTP(w, r)
	require.Equal(t, 415, w.Code, w.Body.String())
}
