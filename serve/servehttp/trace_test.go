package servehttp

import (
	"testing"

	"github.com/stretchr/testify/require"
)

const trace = "0af7651916cd43dd8448eb211c80319c"

func TestTraceID(t *testing.T) {
	for header, want := range map[string]string{
		"00-" + trace + "-b7ad6b7169203331-01":                    trace,
		"cc-" + trace + "-b7ad6b7169203331-01-more":               trace,
		"00-" + trace + "-b7ad6b7169203331-01-more":               "",
		"ff-" + trace + "-b7ad6b7169203331-01":                    "",
		"00-" + trace + "-0000000000000000-01":                    "",
		"00-00000000000000000000000000000000-b7ad6b7169203331-01": "",
		"00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01": "",
		"00-" + trace + "-b7ad6b7169203331":                       "",
		trace:                                                     "",
		"":                                                        "",
	} {
		require.Equal(t, want, traceID(header), header)
	}
}

// FuzzTraceID: what is taken is 32 hex digits, whatever comes.
func FuzzTraceID(f *testing.F) {
	f.Add("00-" + trace + "-b7ad6b7169203331-01")
	f.Add("00---")
	f.Fuzz(func(t *testing.T, header string) {
		if id := traceID(header); id != "" {
			require.Regexp(t, "^[0-9a-f]{32}$", id)
		}
	})
}
