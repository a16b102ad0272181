package servehttp

import (
	"cmp"
	"encoding/json"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"

	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/serve"
)

// Options are a Handler's settings. The zero value of each is its default.
type Options struct {
	MaxBodyBytes int64        // of a request, unpacked; 0: 64 MiB
	Logger       *slog.Logger // internal errors at level Error, other refusals at Debug; nil: silent
}

// KeyHeader is the request header that keeps a caller on one side of a traffic split.
const KeyHeader = "X-Mlloop-Key"

// Handler answers for the models of a server. It is safe for concurrent use.
type Handler struct {
	srv      *serve.Server
	opts     Options
	release  string // of this module, as the program was built
	requests requests
	bodies   bodies
}

// New returns the handler of a server.
func New(srv *serve.Server, opts *Options) *Handler {
	h := &Handler{srv: srv, release: release()}
	if opts != nil {
		h.opts = *opts
	}
	h.opts.MaxBodyBytes = cmp.Or(h.opts.MaxBodyBytes, 64<<20)
	if h.opts.Logger == nil {
		h.opts.Logger = slog.New(slog.DiscardHandler)
	}
	return h
}

// release returns the version of this module in the running program.
func release() string {
	const self = "github.com/mlloop/mlloop"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, m := range append(info.Deps, &info.Main) {
		if m.Path == self {
			return cmp.Or(m.Version, "(devel)")
		}
	}
	return "unknown"
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	t, ok := parseTarget(r.URL.EscapedPath())
	if !ok {
		refuse(w, http.StatusNotFound, "unknown path "+r.URL.Path+": want /v2, /v2/health/live, /v2/health/ready, /v2/models, "+
			"or /v2/models/{model}[/versions/{version}][/ready|/infer|/feedback]")
		return
	}
	if t.wrong != "" {
		refuse(w, http.StatusNotFound, "version "+strconv.Quote(t.wrong)+" is unknown: versions are numbers from 1")
		return
	}
	method := http.MethodGet
	if t.call == infer || t.call == feedback {
		method = http.MethodPost
	}
	if r.Method != method && !(method == http.MethodGet && r.Method == http.MethodHead) {
		w.Header().Set("Allow", method)
		refuse(w, http.StatusMethodNotAllowed, "method "+r.Method+" on "+r.URL.Path+": want "+method)
		return
	}
	var err error
	switch t.call {
	case infer:
		err = h.infer(w, r, t)
	case feedback:
		err = h.feedback(w, r, t)
	case live:
		answer(w, map[string]bool{"live": true})
	case ready:
		if err = h.srv.Ready(); err == nil {
			answer(w, map[string]bool{"ready": true})
		}
	case list:
		answer(w, map[string][]string{"models": append([]string{}, h.srv.Models()...)})
	case server:
		answer(w, serverMetadata{Name: "mlloop", Version: h.release, Extensions: []string{"binary_tensor_data"}})
	case model, modelReady:
		err = h.model(w, t)
	}
	if err != nil {
		h.fail(w, r, err)
	}
}

type serverMetadata struct {
	Name       string   `json:"name"`
	Version    string   `json:"version"`
	Extensions []string `json:"extensions"`
}

type modelMetadata struct {
	Name     string              `json:"name"`
	Versions []string            `json:"versions"`
	Platform string              `json:"platform"`
	Inputs   []bundle.TensorSpec `json:"inputs"`
	Outputs  []bundle.TensorSpec `json:"outputs"`
}

// model answers for a model's metadata or readiness.
func (h *Handler) model(w http.ResponseWriter, t target) error {
	md, err := h.srv.Metadata(t.model, t.version)
	if err != nil {
		return err
	}
	if t.call == modelReady {
		answer(w, struct {
			Name  string `json:"name"`
			Ready bool   `json:"ready"`
		}{md.Model, true})
		return nil
	}
	out := modelMetadata{Name: md.Model, Platform: md.Platform, Inputs: md.Signature.Inputs, Outputs: md.Signature.Outputs}
	for _, v := range md.Versions {
		out.Versions = append(out.Versions, strconv.FormatInt(v, 10))
	}
	answer(w, out)
	return nil
}

// answer sends a small JSON object of plain fields, which always encodes.
func answer(w http.ResponseWriter, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	write(w, http.StatusOK, "application/json", body)
}
