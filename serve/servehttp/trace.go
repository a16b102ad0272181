package servehttp

import "strings"

// traceHeader is where W3C Trace Context (https://www.w3.org/TR/trace-context/)
// says which trace a request is part of.
const traceHeader = "Traceparent"

// traceID returns the trace-id of a traceparent, version-traceid-parentid-flags
// in lower-case hex, "" when it is none or all zeros. Later versions may have
// more fields.
func traceID(traceparent string) string {
	parts := strings.SplitN(traceparent, "-", 5)
	if len(parts) < 4 || (parts[0] == "00" && len(parts) > 4) || parts[0] == "ff" {
		return ""
	}
	for i, length := range []int{2, 32, 16, 2} {
		if len(parts[i]) != length || strings.Trim(parts[i], "0123456789abcdef") != "" {
			return ""
		}
	}
	if strings.Trim(parts[1], "0") == "" || strings.Trim(parts[2], "0") == "" {
		return ""
	}
	return strings.Clone(parts[1])
}
