package servehttp

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func traced(lines ...string) *http.Request {
	r := &http.Request{Header: http.Header{}}
	for _, line := range lines {
		r.Header.Add("traceparent", line)
	}
	return r
}

func TestTraceID(t *testing.T) {
	const trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	for _, c := range []struct{ why, header, want string }{
		{"the standard's example", "00-" + trace + "-" + parent + "-01", trace},
		{"not sampled", "00-" + trace + "-" + parent + "-00", trace},
		{"a later version", "01-" + trace + "-" + parent + "-01", trace},
		{"a later version with more parts", "cc-" + trace + "-" + parent + "-01-what-the-future-brings", trace},
		{"a later version that goes on without a dash", "cc-" + trace + "-" + parent + "-01.what", ""},
		{"more parts in version 00", "00-" + trace + "-" + parent + "-01-x", ""},
		{"version ff", "ff-" + trace + "-" + parent + "-01", ""},
		{"no trace", "00-" + strings.Repeat("0", 32) + "-" + parent + "-01", ""},
		{"no parent", "00-" + trace + "-" + strings.Repeat("0", 16) + "-01", ""},
		{"upper case", "00-" + strings.ToUpper(trace) + "-" + parent + "-01", ""},
		{"no hexadecimal digit in the version", "0x-" + trace + "-" + parent + "-01", ""},
		{"no hexadecimal digit in the trace", "00-" + trace[:31] + "g-" + parent + "-01", ""},
		{"no hexadecimal digit in the parent", "00-" + trace + "-" + parent[:15] + "g-01", ""},
		{"no hexadecimal digit in the flags", "00-" + trace + "-" + parent + "-0g", ""},
		{"short", "00-" + trace + "-" + parent + "-1", ""},
		{"other separators", "00_" + trace + "_" + parent + "_01", ""},
		{"empty", "", ""},
	} {
		require.Equal(t, c.want, traceID(traced(c.header)), c.why)
	}
	require.Empty(t, traceID(traced()))
	require.Empty(t, traceID(traced("00-"+trace+"-"+parent+"-01", "00-"+trace+"-"+parent+"-01")), "given twice: nobody knows which")
}

// FuzzTraceID: what comes out is a trace id that stands in the header.
func FuzzTraceID(f *testing.F) {
	f.Add("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	f.Add("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x")
	f.Fuzz(func(t *testing.T, header string) {
		id := traceID(traced(header))
		if id == "" {
			return
		}
		require.Regexp(t, "^[0-9a-f]{32}$", id)
		require.NotEqual(t, strings.Repeat("0", 32), id)
		require.Equal(t, id, header[3:35])
	})
}
