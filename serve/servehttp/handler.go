package servehttp

import (
	"cmp"
	"encoding/json"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/serve"
)

// Options are a Handler's settings. The zero value of each is its default.
type Options struct {
	MaxBodyBytes int64         // of a request, unpacked; 0: 64 MiB
	StallTimeout time.Duration // longest pause of a client that sends a body or takes an answer; 0: 10 s, negative: none
	MinBodyRate  int64         // bytes a second that a body must come at on average, after the first StallTimeout; 0: 4096, negative: any
	Logger       *slog.Logger  // internal errors at level Error, other refusals at Debug; nil: silent
}

// KeyHeader is the request header that keeps a caller on one side of a traffic split.
const KeyHeader = "X-Mlloop-Key"

// Handler answers for the models of a server. It limits by itself how large a
// body is and how slowly it comes, whatever the http.Server around it does. It
// is safe for concurrent use.
type Handler struct {
	srv      *serve.Server
	opts     Options
	pace     pace
	draining atomic.Bool
	release  string // of this module, as the program was built
	requests requests
	bodies   bodies
}

// New returns the handler of a server.
func New(srv *serve.Server, opts *Options) *Handler {
	h := &Handler{srv: srv, release: release(), requests: requests{maxRows: int64(srv.MaxBatchRows())}}
	if opts != nil {
		h.opts = *opts
	}
	h.opts.MaxBodyBytes = cmp.Or(h.opts.MaxBodyBytes, 64<<20)
	h.pace = pace{h.opts.StallTimeout, h.opts.MinBodyRate}.withDefaults()
	if h.opts.Logger == nil {
		h.opts.Logger = slog.New(slog.DiscardHandler)
	}
	return h
}

// Drain makes the readiness endpoints of the server and its models answer 503
// from now on, so that load balancers send new requests elsewhere. Requests
// that come all the same are answered as before.
func (h *Handler) Drain() { h.draining.Store(true) }

// ready reports whether more requests are welcome. Errors: Unavailable, Closed.
func (h *Handler) ready() error {
	if h.draining.Load() {
		return fault.Errorf(fault.Unavailable, "the server is shutting down: ask another one")
	}
	return h.srv.Ready()
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
	r, _ = guard(w, r, h.pace)
	paced := newPacedWriter(w, h.pace.stall)
	defer paced.finish()
	h.serve(paced, r)
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request) {
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
	if err := h.dispatch(w, r, t); err != nil {
		h.fail(w, r, err)
	}
}

// dispatch answers, or returns why it did not.
func (h *Handler) dispatch(w http.ResponseWriter, r *http.Request, t target) error {
	switch t.call {
	case infer:
		return h.infer(w, r, t)
	case feedback:
		return h.feedback(w, r, t)
	case live:
		answer(w, map[string]bool{"live": true})
	case ready:
		if err := h.ready(); err != nil {
			return err
		}
		answer(w, map[string]bool{"ready": true})
	case list:
		answer(w, map[string][]string{"models": append([]string{}, h.srv.Models()...)})
	case server:
		answer(w, serverMetadata{Name: "mlloop", Version: h.release, Extensions: []string{"binary_tensor_data"}})
	case model, modelReady:
		return h.model(w, t)
	}
	return nil
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
		if err := h.ready(); err != nil {
			return err
		}
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
