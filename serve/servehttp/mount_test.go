package servehttp_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/serve/servehttp"
	"github.com/mlloop/mlloop/serve/servetest"
)

// exchangeOver asks a server over a socket, following redirects.
func exchangeOver(t *testing.T, url, method, path, body string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url+path, strings.NewReader(body))
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer func() { require.NoError(t, resp.Body.Close()) }()
	answer, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(answer)
}

// TestMounts: every endpoint answers under each way of mounting the handler.
func TestMounts(t *testing.T) {
	s := servetest.New(t, "a/b c", servetest.Constant("stays"), nil)
	h := servehttp.New(s.Server, nil)
	for name, patterns := range map[string][]string{"all": {"/"}, "the subtree": {"/v2/"}, "both": {"/v2", "/v2/"}} {
		t.Run(name, func(t *testing.T) {
			mux := http.NewServeMux()
			for _, p := range patterns {
				mux.Handle(p, h)
			}
			server := httptest.NewServer(mux)
			defer server.Close()
			for _, path := range []string{"/v2", "/v2/"} {
				code, body := exchangeOver(t, server.URL, "GET", path, "")
				require.Equal(t, 200, code, "%s: %s", path, body)
				require.Contains(t, body, `"name":"mlloop"`)
			}
			for _, path := range []string{"/v2/health/live", "/v2/health/ready", "/v2/models", "/v2/models/", "/v2/models/a%2Fb%20c", "/v2/models/a%2Fb%20c/ready"} {
				code, body := exchangeOver(t, server.URL, "GET", path, "")
				require.Equal(t, 200, code, "%s: %s", path, body)
			}
			code, body := exchangeOver(t, server.URL, "POST", "/v2/models/a%2Fb%20c/infer", inferX)
			require.Equal(t, 200, code, body)
		})
	}
}

// TestListedVersionsAnswer: what metadata lists, or calls ready, can be
// inferred; what cannot, such as the shadow, is neither.
func TestListedVersionsAnswer(t *testing.T) {
	s := servetest.New(t, "m", servetest.Constant("stays"), nil)
	for v := int64(2); v <= 4; v++ {
		require.NoError(t, s.Add("m", v, servetest.Constant("goes")))
	}
	require.NoError(t, s.SetRoute(t.Context(), serve.Route{Model: "m", Primary: 1, Canary: 2, Shadow: 3, Rev: 1}))
	_, body, _ := call(t, s, nil, "GET", "/v2/models/m", "")
	var md struct{ Versions []string }
	require.NoError(t, json.Unmarshal([]byte(body), &md))
	require.Equal(t, []string{"1", "2"}, md.Versions)
	for _, v := range []string{"1", "2", "3", "4", "5"} {
		inferred, _, _ := call(t, s, nil, "POST", "/v2/models/m/versions/"+v+"/infer", inferX)
		ready, _, _ := call(t, s, nil, "GET", "/v2/models/m/versions/"+v+"/ready", "")
		described, _, _ := call(t, s, nil, "GET", "/v2/models/m/versions/"+v, "")
		require.Equal(t, inferred, ready, "version %s", v)
		require.Equal(t, inferred, described, "version %s", v)
	}
}

// TestDrain: readiness goes, liveness and answers stay.
func TestDrain(t *testing.T) {
	s := servetest.New(t, "m", servetest.Constant("stays"), nil)
	h := servehttp.New(s.Server, nil)
	ask := func(method, path, body string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body)))
		return w
	}
	require.Equal(t, 200, ask("GET", "/v2/health/ready", "").Code)
	h.Drain()
	for _, path := range []string{"/v2/health/ready", "/v2/models/m/ready", "/v2/models/m/versions/1/ready"} {
		w := ask("GET", path, "")
		require.Equal(t, 503, w.Code)
		require.Equal(t, `{"error":"the server is shutting down: ask another one"}`, w.Body.String())
		require.Equal(t, "1", w.Header().Get("Retry-After"))
	}
	require.Equal(t, 200, ask("GET", "/v2/health/live", "").Code)
	require.Equal(t, 200, ask("GET", "/v2/models/m", "").Code)
	require.Equal(t, 200, ask("POST", "/v2/models/m/infer", inferX).Code)
}
