package retrain

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/mlloop/mlloop/drift/alert"
	"github.com/mlloop/mlloop/serve"
)

// Metrics answers a scrape in the Prometheus text format: the server's requests
// and queues as they are now, the loop's state as of the end of its last step,
// the senders' as of the last delivery. All names begin with mlloop_, and all
// have the label model. It waits for no step and asks no store, so that a loop
// that hangs can be seen to hang.
//
// The metrics are in a registry of their own. Counters begin at 0 with New,
// unless their help says otherwise.
func (l *Loop) Metrics() http.Handler {
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(newCollector(l))
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{
		ErrorLog:      scrapeLog{l.config.Logger.With("model", l.config.Model)},
		ErrorHandling: promhttp.ContinueOnError, // what can be told is told
	})
}

// scrapeLog is where promhttp says what it could not tell.
type scrapeLog struct{ logger *slog.Logger }

// Println implements promhttp.Logger.
func (s scrapeLog) Println(v ...any) {
	s.logger.Error("metrics are incomplete", "error", strings.TrimSpace(fmt.Sprintln(v...)))
}

// view is all that the metrics are made of: a snapshot.
type view struct {
	Status
	now      time.Time
	requests serve.ModelMetrics
	failures map[string]int64 // of parts, since New
	labelled time.Time        // of the latest prediction with a label; zero before
	senders  []alert.Status
}

// view takes the snapshot. It waits for nobody and asks no store.
func (l *Loop) view() view {
	v := view{Status: l.status.snapshot(), now: l.config.Now()}
	v.Log = l.server.Stats()
	l.seeLease(&v.Status)
	v.failures, v.labelled, v.senders = l.status.counts()
	for _, m := range l.server.Metrics() {
		if m.Model == l.config.Model {
			v.requests = m
		}
	}
	for i := range l.config.Triggers { // each is a part, once it has been asked
		v.parts(triggerPart(i))
	}
	v.parts(stepParts()...)
	return v
}

// parts makes sure that each part has a count: a series that begins with its
// first failure hides that failure from rate().
func (v *view) parts(names ...string) {
	for _, name := range names {
		v.failures[name] += 0
	}
}

// emit adds one series to its family: a value and the labels' values.
type emit func(value float64, labels ...string)

// family is one metric: its name, and how its series follow from a view.
type family struct {
	name, help string
	kind       prometheus.ValueType
	labels     []string
	series     func(v view, emit emit)
}

// collector is a prometheus.Collector of one loop.
type collector struct {
	loop     *Loop
	families []family
	descs    []*prometheus.Desc // of the families
	latency  *prometheus.Desc
	bounds   []float64 // of the latency's buckets
}

func newCollector(l *Loop) *collector {
	c := &collector{loop: l, families: families(), bounds: serve.LatencyBounds()}
	model := prometheus.Labels{"model": l.config.Model}
	for _, f := range c.families {
		c.descs = append(c.descs, prometheus.NewDesc(f.name, f.help, f.labels, model))
	}
	c.latency = prometheus.NewDesc("mlloop_request_duration_seconds",
		"Time that a version took for a request, by how that ended; its count is the number of requests.", []string{"version", "variant", "status"}, model)
	return c
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		out <- d
	}
	out <- c.latency
}

// Collect implements prometheus.Collector. It is safe for concurrent use.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	v := c.loop.view()
	for i, f := range c.families {
		f.series(v, func(value float64, labels ...string) {
			out <- told(c.descs[i])(prometheus.NewConstMetric(c.descs[i], f.kind, value, valid(labels)...))
		})
	}
	for _, r := range v.requests.Requests {
		buckets := make(map[float64]uint64, len(c.bounds))
		for i, n := range r.Latency.Buckets {
			buckets[c.bounds[i]] = uint64(n)
		}
		labels := []string{number(r.Version), string(r.Variant), string(r.Status)}
		out <- told(c.latency)(prometheus.NewConstHistogram(c.latency, uint64(r.Latency.Count), r.Latency.Sum, buckets, labels...))
	}
}

// told makes a metric that cannot be made one that says so in the log.
func told(d *prometheus.Desc) func(prometheus.Metric, error) prometheus.Metric {
	return func(m prometheus.Metric, err error) prometheus.Metric {
		if err != nil {
			return prometheus.NewInvalidMetric(d, err)
		}
		return m
	}
}

// valid makes labels of names that the service gave.
func valid(labels []string) []string {
	for i, s := range labels {
		labels[i] = strings.ToValidUTF8(s, "\uFFFD")
	}
	return labels
}
