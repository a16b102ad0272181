package servehttp

import (
	"net/url"
	"strconv"
	"strings"
)

// call is what a path asks for.
type call int

const (
	server call = iota
	live
	ready
	list
	model
	modelReady
	infer
	feedback
)

// target is a parsed path.
type target struct {
	call    call
	model   string
	version int64  // 0: the route decides
	wrong   string // version that is no number
}

// parseTarget reads an escaped path. A model's name may hold escaped slashes.
func parseTarget(path string) (target, bool) {
	path = strings.TrimSuffix(path, "/")
	switch path {
	case "/v2":
		return target{call: server}, true
	case "/v2/health/live":
		return target{call: live}, true
	case "/v2/health/ready":
		return target{call: ready}, true
	case "/v2/models":
		return target{call: list}, true
	}
	rest, ok := strings.CutPrefix(path, "/v2/models/")
	if !ok {
		return target{}, false
	}
	name, rest, _ := strings.Cut(rest, "/")
	t := target{call: model}
	var err error
	if t.model, err = url.PathUnescape(name); err != nil || t.model == "" {
		return target{}, false
	}
	if after, ok := strings.CutPrefix(rest, "versions/"); ok {
		var version string
		version, rest, _ = strings.Cut(after, "/")
		if t.version, err = strconv.ParseInt(version, 10, 64); err != nil || t.version <= 0 {
			t.version, t.wrong = 0, version
		}
	}
	switch rest {
	case "":
	case "ready":
		t.call = modelReady
	case "infer":
		t.call = infer
	case "feedback":
		t.call = feedback
		return t, t.version == 0 && t.wrong == "" // a label belongs to a prediction, not to a version
	default:
		return target{}, false
	}
	return t, true
}
