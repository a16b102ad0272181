package serve

import "time"

// sampler lets so many rows a second through: those whose key falls under a
// bound, which follows the traffic of the second before, so that the same keys
// are let through while the traffic is even. Not safe for concurrent use.
type sampler struct {
	began       time.Time
	seen, taken int
	below       uint64
}

// take returns how many of a request's n rows are let through.
func (p *sampler) take(now time.Time, key string, n int, rate float64) int {
	window := time.Duration(max(1, 1/rate) * float64(time.Second)) // holds at least one row
	if elapsed := now.Sub(p.began); p.began.IsZero() || elapsed >= window || elapsed < 0 {
		p.below = buckets
		if perSecond := float64(p.seen) / elapsed.Seconds(); perSecond > rate {
			p.below = uint64(rate / perSecond * buckets)
		}
		p.began, p.seen, p.taken = now, 0, 0
	}
	p.seen += n
	if bucket("shadow", key) >= p.below {
		return 0
	}
	n = min(n, int(rate*window.Seconds()+0.5)-p.taken)
	p.taken += max(n, 0)
	return max(n, 0)
}
