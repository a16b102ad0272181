package serve

import (
	"fmt"
	"math"
	"math/bits"

	"github.com/mlloop/mlloop/internal/fault"
)

// buckets is how finely a Share divides the keys.
const buckets = 10_000

// bucket returns where a key falls, 0 … buckets-1, evenly spread: FNV-1a (64
// bit; Fowler, Noll, Vo) of salt, a zero byte and key, finished with the mixer
// of MurmurHash3 because FNV's high bits vary little on short keys. Stored
// logs depend on it: it never changes.
func bucket(salt, key string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(salt) {
		h = (h ^ uint64(salt[i])) * 1099511628211
	}
	h *= 1099511628211 // the zero byte
	for i := range len(key) {
		h = (h ^ uint64(key[i])) * 1099511628211
	}
	high, _ := bits.Mul64(mix(h), buckets)
	return high
}

// canaryBuckets returns how many of the buckets go to the canary.
func (r Route) canaryBuckets() uint64 { return uint64(math.Round(r.Share * buckets)) }

// Follows reports whether a store that holds now may put r in its place, which
// is the rule of Store.PutRoute; the zero now means that it holds none. Errors:
// Conflict.
func (r Route) Follows(now Route) error {
	switch {
	case r.Rev != now.Rev+1 || r.Rev < 1:
		return fault.Errorf(fault.Conflict, "the route of model %q is at revision %d, revision %d does not follow: read it again", r.Model, now.Rev, r.Rev)
	case r.Token < now.Token:
		return fault.Errorf(fault.Conflict, "the route of model %q was set under token %d, token %d is older: another process leads", r.Model, now.Token, r.Token)
	}
	return nil
}

// check lists everything that is wrong with a route.
func (r Route) check() error {
	var problems fault.Problems
	if r.Model == "" {
		problems.Addf("the route names no model")
	}
	if r.Primary <= 0 {
		problems.Addf("primary version %d: want a version number", r.Primary)
	}
	if r.Canary < 0 || (r.Canary != 0 && r.Canary == r.Primary) {
		problems.Addf("canary version %d: want 0 for none, or a version other than the primary", r.Canary)
	}
	if r.Shadow < 0 || (r.Shadow != 0 && r.Shadow == r.Primary) {
		problems.Addf("shadow version %d: want 0 for none, or a version other than the primary", r.Shadow)
	}
	if !(r.Share >= 0 && r.Share <= 1) { // NaN too
		problems.Addf("share %v: want 0 to 1", r.Share)
	} else if r.Share > 0 && (r.Canary == 0 || r.canaryBuckets() == 0) {
		problems.Addf("share %v: needs a canary, and at least 1/%d", r.Share, buckets)
	}
	return problems.Err()
}

// normal fills in the salt: one a challenger, so that raising its share only
// ever moves keys to it, while the next challenger meets a fresh sample.
func (r Route) normal() Route {
	if r.Canary == 0 {
		r.Share, r.Salt = 0, ""
	} else if r.Salt == "" {
		r.Salt = fmt.Sprintf("%s/%d", r.Model, r.Canary)
	}
	return r
}

// to returns the route with another primary version, which is then no longer
// a challenger.
func (r Route) to(version int64) Route {
	r.Primary = version
	if r.Canary == version {
		r.Canary, r.Share, r.Salt = 0, 0, ""
	}
	if r.Shadow == version {
		r.Shadow = 0
	}
	return r.normal()
}
