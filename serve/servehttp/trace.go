package servehttp

import "net/http"

// traceID returns the trace id of a request's traceparent header, 32
// hexadecimal digits, or "" when there is no valid one: a broken header starts
// a new trace, it breaks no request. The header is version-trace-parent-flags,
// in lower case; later versions may add further parts.
// https://www.w3.org/TR/trace-context/#traceparent-header
func traceID(r *http.Request) string {
	lines := r.Header["Traceparent"]
	if len(lines) != 1 {
		return ""
	}
	const size = len("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	h := lines[0]
	if len(h) < size || h[2] != '-' || h[35] != '-' || h[52] != '-' {
		return ""
	}
	version, trace, parent, flags := h[:2], h[3:35], h[36:52], h[53:55]
	if !hexDigits(version) || !hexDigits(trace) || !hexDigits(parent) || !hexDigits(flags) {
		return ""
	}
	if version == "ff" || zeros(trace) || zeros(parent) {
		return ""
	}
	if len(h) > size && (version == "00" || h[size] != '-') {
		return ""
	}
	return trace
}

// hexDigits reports whether s consists of lower-case hexadecimal digits.
func hexDigits(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func zeros(s string) bool {
	for i := range len(s) {
		if s[i] != '0' {
			return false
		}
	}
	return true
}
