package servemem

import (
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train/frame"
)

// attempts are the stored predictions of one row of one request, in the order
// of Seq.
type attempts []*prediction

// place returns the attempt that p belongs to; 0: it is passed over.
func (a attempts) place(p *serve.Prediction) int {
	last := 0
	for _, r := range a {
		if r.Variant == p.Variant && r.Status == p.Status && r.Digest == p.Digest && r.Time.Equal(p.Time) {
			return 0 // the same record once more
		}
		if p.Variant != serve.Shadow && r.Variant != serve.Shadow && r.Status.OK() && r.Digest == p.Digest {
			return 0 // the same request once more
		}
		last = max(last, r.Attempt)
	}
	switch {
	case p.Variant == serve.Shadow:
		return a.beside(p)
	case p.Variant == serve.Primary && a.canaryFailed(last, p):
		return last
	}
	return last + 1
}

// beside returns the attempt that a shadow's row belongs to; 0: none, or it has one.
func (a attempts) beside(p *serve.Prediction) int {
	attempt, taken := 0, 0
	for _, r := range a {
		if r.Variant != serve.Shadow && r.Digest == p.Digest {
			attempt = max(attempt, r.Attempt)
		}
	}
	for _, r := range a {
		if r.Variant == serve.Shadow && r.Attempt == attempt {
			taken = attempt
		}
	}
	return attempt - taken
}

// canaryFailed reports whether the attempt is so far no more than the failure
// of a canary, in whose place the primary's p comes.
func (a attempts) canaryFailed(attempt int, p *serve.Prediction) bool {
	failed := false
	for _, r := range a {
		switch {
		case r.Attempt != attempt || r.Variant == serve.Shadow:
		case r.Variant == serve.Primary:
			return false
		default:
			failed = !r.Status.OK() && (p.Status == frame.Fallback || r.Time.Equal(p.Time))
		}
	}
	return failed
}

// answered returns the latest answered attempt; 0: nobody answered.
func (a attempts) answered() int {
	attempt := 0
	for _, r := range a {
		if r.Variant != serve.Shadow && r.Status.OK() {
			attempt = max(attempt, r.Attempt)
		}
	}
	return attempt
}
