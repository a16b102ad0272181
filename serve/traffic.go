package serve

import (
	"sync"
	"sync/atomic"

	"github.com/mlloop/mlloop/internal/fault"
)

// traffic is a route with its versions loaded: one immutable value, swapped
// whole, so that no request sees half a change.
type traffic struct {
	route                   Route
	below                   uint64 // buckets under it go to the canary
	primary, canary, shadow *version

	withdrawn atomic.Pointer[withdrawal] // of the canary: it gets no more keys
}

// pick returns who answers a key, as what, and with which probability.
func (t *traffic) pick(key string) (v *version, variant Variant, propensity float64) {
	if t.canary == nil || t.below == 0 || t.withdrawn.Load() != nil {
		return t.primary, Primary, 1
	}
	share := float64(t.below) / buckets
	if bucket(t.route.Salt, key) < t.below {
		return t.canary, Canary, share
	}
	return t.primary, Primary, 1 - share
}

// named returns the version that the caller asked for by number, which is no
// draw: its propensity is 1.
func (t *traffic) named(number int64) (*version, Variant, float64, error) {
	switch {
	case number == t.primary.number:
		return t.primary, Primary, 1, nil
	case t.canary != nil && number == t.canary.number:
		if w := t.withdrawn.Load(); w != nil {
			return nil, "", 0, fault.Errorf(fault.Unavailable, "version %d was taken off the traffic: %s", number, w.reason)
		}
		return t.canary, Canary, 1, nil
	case t.canary != nil:
		return nil, "", 0, fault.Errorf(fault.NotFound, "version %d does not answer: versions %d and %d do", number, t.primary.number, t.canary.number)
	}
	return nil, "", 0, fault.Errorf(fault.NotFound, "version %d does not answer: version %d does", number, t.primary.number)
}

// answering returns the versions that a caller may name.
func (t *traffic) answering() []*version {
	if t.canary == nil || t.withdrawn.Load() != nil {
		return []*version{t.primary}
	}
	return []*version{t.primary, t.canary}
}

// versions returns the versions on the route, each once.
func (t *traffic) versions() []*version {
	out := []*version{t.primary}
	for _, v := range []*version{t.canary, t.shadow} {
		if v != nil && (len(out) == 1 || out[1] != v) {
			out = append(out, v)
		}
	}
	return out
}

// served is one model that the server answers for.
type served struct {
	name    string
	current atomic.Pointer[traffic]     // nil until the first route
	shadows atomic.Pointer[shadowQueue] // nil until a shadow is asked

	metricsMu sync.Mutex
	metrics   map[int64]*versionMetrics

	mu      sync.Mutex // held through a change of route: one at a time
	loaded  map[int64]*version
	retired []int64 // loaded and on no route, longest first
	ref     string  // name@alias that Load was given; "" when the primary is pinned
	refAt   int64   // version that ref named when it was last looked up
}

// grip is what one request holds on to until it is answered.
type grip struct {
	version    *version
	variant    Variant
	propensity float64
	rev        int64    // of the route
	fallback   *version // answers in place of a canary that fails; nil: none may
	shadow     *version // nil: none to ask
}

func (g *grip) release() {
	for _, v := range []*version{g.version, g.fallback, g.shadow} {
		if v != nil {
			v.release()
		}
	}
}

// acquire picks the version for a key, or the one asked for when number is not 0.
func (m *served) acquire(key string, number int64) (grip, error) {
	for {
		t := m.current.Load()
		if t == nil {
			return grip{}, fault.Errorf(fault.Unavailable, "no version is loaded yet")
		}
		g := grip{rev: t.route.Rev}
		var err error
		if number == 0 {
			g.version, g.variant, g.propensity = t.pick(key)
		} else if g.version, g.variant, g.propensity, err = t.named(number); err != nil {
			return grip{}, err
		}
		// A version refuses only after the route that names it has been replaced:
		// the next look finds the new one.
		if g.variant == Canary && number == 0 {
			g.fallback = t.primary
		}
		if t.shadow != g.version {
			g.shadow = t.shadow
		}
		if g.hold() {
			return g, nil
		}
	}
}

// hold takes a reference to each version, or to none.
func (g *grip) hold() bool {
	held := [...]*version{g.version, g.fallback, g.shadow}
	for i, v := range held {
		if v == nil || v.acquire() {
			continue
		}
		for _, before := range held[:i] {
			if before != nil {
				before.release()
			}
		}
		return false
	}
	return true
}

// swap makes t the traffic and lets go of versions that have long been on no
// route. m.mu is held.
func (m *served) swap(t *traffic, keep int) {
	before := m.current.Load()
	t.keepWithdrawn(before)
	m.current.Store(t)
	t.keepWithdrawn(before) // it may have been withdrawn between the two
	routed := map[int64]bool{}
	for _, v := range t.versions() {
		routed[v.number] = true
	}
	if before != nil {
		for _, v := range before.versions() {
			m.retired = append(m.retired, v.number)
		}
	}
	var retired []int64
	seen := map[int64]bool{}
	for i := len(m.retired) - 1; i >= 0; i-- { // the latest retirement of a version counts
		if n := m.retired[i]; !routed[n] && !seen[n] {
			seen[n] = true
			retired = append([]int64{n}, retired...)
		}
	}
	for len(retired) > keep {
		if v := m.loaded[retired[0]]; v != nil && !v.pinned {
			delete(m.loaded, v.number)
			v.release()
		}
		retired = retired[1:]
	}
	m.retired = retired
}

// keepWithdrawn leaves a canary off the traffic that the route before it had
// and that was taken off.
func (t *traffic) keepWithdrawn(before *traffic) {
	if before == nil || t.canary == nil || before.canary == nil || t.canary.number != before.canary.number {
		return
	}
	if w := before.withdrawn.Load(); w != nil {
		t.withdrawn.CompareAndSwap(nil, w)
	}
}

// version is one loaded model version.
type version struct {
	number    int64
	platform  string // what runs it, for people
	predictor Predictor
	shape     shape
	metrics   *versionMetrics
	pinned    bool         // added by hand: it cannot be loaded again
	refs      atomic.Int64 // 1 while it is loaded, and 1 for each request
	hung      atomic.Int64 // calls that run on after they were abandoned
}

func newVersion(number int64, platform string, p Predictor, metrics *versionMetrics) *version {
	v := &version{number: number, platform: platform, predictor: p, shape: newShape(p), metrics: metrics}
	v.refs.Store(1)
	return v
}

// acquire takes a reference, unless the last one is gone.
func (v *version) acquire() bool {
	for {
		n := v.refs.Load()
		if n == 0 {
			return false
		}
		if v.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// release gives a reference back; the last one closes a predictor that can be closed.
func (v *version) release() {
	if v.refs.Add(-1) > 0 {
		return
	}
	if c, ok := v.predictor.(interface{ Close() error }); ok {
		_ = c.Close() // nobody is left to tell
	}
}
