package serve

import (
	"cmp"
	"slices"
	"sync/atomic"
	"time"

	"github.com/mlloop/mlloop/train/frame"
)

// latencyBounds are the upper bounds of the histogram's buckets, both ends of
// what models need: a linear one on a row, a network on thousands.
var latencyBounds = [...]time.Duration{
	100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond, time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
	10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second,
}

// LatencyBounds returns the upper bounds, in seconds and inclusive, of the
// buckets of a Histogram: from 0.1 ms to 10 s.
func LatencyBounds() []float64 {
	bounds := make([]float64, len(latencyBounds))
	for i, b := range latencyBounds {
		bounds[i] = b.Seconds()
	}
	return bounds
}

// Histogram counts latencies, as Prometheus does: Buckets[i] is how many were
// at most LatencyBounds()[i].
type Histogram struct {
	Buckets []int64
	Count   int64   // all
	Sum     float64 // seconds
}

// RequestMetrics are the requests of one model that one version ended in one
// way in one part.
type RequestMetrics struct {
	Version int64
	Variant Variant
	Status  Status
	Rows    int64     // in the requests; those that were refused unread have none
	Latency Histogram // of requests; Count is their number
}

// ModelMetrics is what a server has counted of one model since New.
type ModelMetrics struct {
	Model           string
	Requests        []RequestMetrics // those that occurred, by version, variant and status
	ShadowDropped   map[int64]int64  // rows, by version: the shadow was not asked, as its queue was full, it hung or the server closed
	ShadowUnsampled int64            // rows that Options.Shadow.Rate left out
	ShadowQueued    int              // rows that wait for the shadow
	Withdrawn       int64            // the canary that hangs and was taken off the traffic; 0: none
}

// series are the counters of one version, variant and status. buckets[i] holds
// what lies between two bounds, the last one what is above them all.
type series struct {
	buckets     [len(latencyBounds) + 1]atomic.Int64
	rows, nanos atomic.Int64
}

// versionMetrics are the counters of one version; they outlive its unloading.
type versionMetrics struct {
	series  [3][5]series // by variant and status
	dropped atomic.Int64 // rows that it was not asked as a shadow
}

func (m *versionMetrics) observe(a *answer) {
	v, st := slices.Index(variants[:], a.variant), slices.Index(statuses[:], a.status)
	if v < 0 || st < 0 {
		return
	}
	s := &m.series[v][st]
	b := 0
	for b < len(latencyBounds) && a.latency > latencyBounds[b] {
		b++
	}
	s.buckets[b].Add(1)
	s.nanos.Add(int64(a.latency))
	s.rows.Add(int64(a.n))
}

var (
	variants = [...]Variant{Primary, Canary, Shadow}
	statuses = [...]Status{frame.Answered, frame.Failed, frame.TimedOut, frame.Refused, frame.Fallback}
)

// snapshot returns what has occurred.
func (m *versionMetrics) snapshot(version int64) []RequestMetrics {
	var out []RequestMetrics
	for v := range m.series {
		for st := range m.series[v] {
			s := &m.series[v][st]
			r := RequestMetrics{Version: version, Variant: variants[v], Status: statuses[st]}
			for b := range s.buckets {
				r.Latency.Count += s.buckets[b].Load()
				if b < len(latencyBounds) {
					r.Latency.Buckets = append(r.Latency.Buckets, r.Latency.Count)
				}
			}
			if r.Latency.Count > 0 {
				r.Rows, r.Latency.Sum = s.rows.Load(), time.Duration(s.nanos.Load()).Seconds()
				out = append(out, r)
			}
		}
	}
	return out
}

// maxVersionMetrics is how many versions of a model are counted apart: the
// oldest of more are forgotten.
const maxVersionMetrics = 64

// metricsOf returns the counters of a version. m.mu is held.
func (m *served) metricsOf(version int64) *versionMetrics {
	m.metricsMu.Lock()
	defer m.metricsMu.Unlock()
	if c, ok := m.metrics[version]; ok {
		return c
	}
	if len(m.metrics) >= maxVersionMetrics {
		oldest := version
		for n := range m.metrics {
			if m.loaded[n] == nil {
				oldest = min(oldest, n)
			}
		}
		delete(m.metrics, oldest)
	}
	c := &versionMetrics{}
	m.metrics[version] = c
	return c
}

// Metrics returns what the server has counted, model by model in the order of
// their names: what a scrape of /metrics prints.
func (s *Server) Metrics() []ModelMetrics {
	var out []ModelMetrics
	s.byName.Range(func(_, value any) bool {
		out = append(out, value.(*served).snapshot())
		return true
	})
	slices.SortFunc(out, func(a, b ModelMetrics) int { return cmp.Compare(a.Model, b.Model) })
	return out
}

func (m *served) snapshot() ModelMetrics {
	out := ModelMetrics{Model: m.name, ShadowDropped: map[int64]int64{}}
	m.metricsMu.Lock()
	defer m.metricsMu.Unlock()
	for version, c := range m.metrics {
		out.Requests = append(out.Requests, c.snapshot(version)...)
		if n := c.dropped.Load(); n > 0 {
			out.ShadowDropped[version] = n
		}
	}
	slices.SortStableFunc(out.Requests, func(a, b RequestMetrics) int { return cmp.Compare(a.Version, b.Version) })
	if q := m.shadows.Load(); q != nil {
		out.ShadowQueued, out.ShadowUnsampled = q.queued(), q.unsampled.Load()
	}
	if t := m.current.Load(); t != nil && t.withdrawn.Load() != nil {
		out.Withdrawn = t.canary.number
	}
	return out
}
