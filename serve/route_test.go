package serve

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestBucketNeverChanges compares with a separate program in Python: stored
// logs and running experiments depend on the hash.
func TestBucketNeverChanges(t *testing.T) {
	for _, c := range []struct {
		salt, key string
		want      uint64
	}{
		{"", "", 7227},
		{"", "a", 3783},
		{"churn/2", "customer 7", 911},
		{"churn/3", "customer 7", 5170},
		{"salt", "größer", 6923},
		{"x", "row-10000", 6982},
	} {
		require.Equal(t, c.want, bucket(c.salt, c.key), "salt %q, key %q", c.salt, c.key)
	}
}

// TestShareIsKept: the part of the keys that meets the canary is the share,
// within four standard errors, for keys of the kinds that services have.
func TestShareIsKept(t *testing.T) {
	const n = 40_000
	keys := map[string]func(i int) string{
		"counting numbers": func(i int) string { return fmt.Sprint(i) },
		"names":            func(i int) string { return fmt.Sprintf("customer-%08d@example.org", i) },
		"one byte more":    func(i int) string { return string(make([]byte, i%200)) + fmt.Sprint(i) },
	}
	for kind, key := range keys {
		for _, share := range []float64{0.0001, 0.05, 0.25, 0.5, 0.9999} {
			r := Route{Model: "m", Primary: 1, Canary: 2, Share: share}.normal()
			canary := 0
			for i := range n {
				if bucket(r.Salt, key(i)) < r.canaryBuckets() {
					canary++
				}
			}
			sd := math.Sqrt(share * (1 - share) * n)
			require.InDelta(t, share*n, canary, 4*sd, "%s, share %v", kind, share)
		}
	}
}

// TestShareIsMonotone: a key keeps its side, and raising the share only ever
// moves keys to the canary.
func TestShareIsMonotone(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		key := fmt.Sprint(r.Uint64())
		low, high := r.Float64(), r.Float64()
		if low > high {
			low, high = high, low
		}
		one, two := &version{number: 1}, &version{number: 2}
		side := func(share float64) int64 {
			route := Route{Model: "m", Primary: 1, Canary: 2, Share: share, Salt: "s"}
			v, variant, p := (&traffic{route: route, below: route.canaryBuckets(), primary: one, canary: two}).pick(key)
			require.Equal(t, variant == Canary, v == two)
			want := 1 - share
			if variant == Canary {
				want = share
			}
			require.InDelta(t, want, p, 0.5/buckets+1e-12)
			return v.number
		}
		require.Equal(t, side(low), side(low))
		require.LessOrEqual(t, side(low), side(high), "key %s, share %v to %v", key, low, high)
	}
}

// TestSaltsAreIndependent: the next challenger meets another sample of the keys.
func TestSaltsAreIndependent(t *testing.T) {
	const n = 20_000
	both := 0
	for i := range n {
		key := fmt.Sprint("customer ", i)
		if bucket("churn/2", key) < 2500 && bucket("churn/3", key) < 2500 {
			both++
		}
	}
	require.InDelta(t, n/16, both, 4*math.Sqrt(n/16))
}

func TestRouteCheck(t *testing.T) {
	for _, c := range []struct {
		why   string
		route Route
		want  string
	}{
		{"a primary alone is enough", Route{Model: "m", Primary: 1}, ""},
		{"all parts at once", Route{Model: "m", Primary: 1, Canary: 2, Share: 0.5, Shadow: 3}, ""},
		{"a canary may wait at share 0", Route{Model: "m", Primary: 1, Canary: 2}, ""},
		{"the canary may be the shadow", Route{Model: "m", Primary: 1, Canary: 2, Share: 1, Shadow: 2}, ""},
		{"all problems are listed", Route{Primary: -1, Canary: -1, Shadow: -1, Share: 2}, "the route names no model; primary version -1: want a version number; canary version -1: want 0 for none, or a version other than the primary; shadow version -1: want 0 for none, or a version other than the primary; share 2: want 0 to 1"},
		{"a version is no challenger of itself", Route{Model: "m", Primary: 1, Canary: 1, Shadow: 1}, "canary version 1: want 0 for none, or a version other than the primary; shadow version 1: want 0 for none, or a version other than the primary"},
		{"NaN is no share", Route{Model: "m", Primary: 1, Canary: 2, Share: math.NaN()}, "share NaN: want 0 to 1"},
		{"a share needs a canary", Route{Model: "m", Primary: 1, Share: 0.5}, "share 0.5: needs a canary, and at least 1/10000"},
		{"a share too small to happen", Route{Model: "m", Primary: 1, Canary: 2, Share: 1e-5}, "share 1e-05: needs a canary, and at least 1/10000"},
	} {
		err := c.route.check()
		if c.want == "" {
			require.NoError(t, err, c.why)
			continue
		}
		require.ErrorIs(t, err, ErrInvalid, c.why)
		require.EqualError(t, err, c.want, c.why)
	}
}
