package tracking

import (
	"fmt"
	"maps"
	"slices"
)

// The most that one batch holds: MLflow's limits of a log-batch request.
const (
	batchMetrics = 1000
	batchPairs   = 100
)

type pair struct{ key, value string }

// records are what waits to be written, each list in the order of logging.
type records struct {
	metrics []Metric
	params  []pair
	tags    []pair
	inputs  []Input
}

func (w *records) len() int {
	return len(w.metrics) + len(w.params) + len(w.tags) + len(w.inputs)
}

// cut returns the first records of w, at most n and no more than a batch holds,
// and what remains. They have a param key once, so that another value of it is
// judged by the store.
func (w *records) cut(n int) (head, rest records) {
	n = min(n, batchMetrics)
	head.params, rest.params = cutPairs(w.params, n, func(seen, value string) bool { return seen == value })
	n -= len(head.params)
	head.tags, rest.tags = cutPairs(w.tags, n, func(string, string) bool { return true })
	n -= len(head.tags)
	head.inputs, rest.inputs = cut(w.inputs, min(n, batchPairs))
	n -= len(head.inputs)
	head.metrics, rest.metrics = cut(w.metrics, n)
	return head, rest
}

func cut[T any](list []T, n int) (head, tail []T) {
	n = min(n, len(list))
	return list[:n:n], list[n:]
}

// cutPairs takes at most n pairs, up to one that is a key too many, or has a
// key that was taken with a value that may not be replaced.
func cutPairs(pairs []pair, n int, replace func(seen, value string) bool) (head, tail []pair) {
	if len(pairs) == 0 {
		return nil, nil
	}
	taken := map[string]string{}
	for i, p := range pairs {
		seen, again := taken[p.key]
		if i == n || len(taken) == batchPairs && !again || again && !replace(seen, p.value) {
			return pairs[:i:i], pairs[i:]
		}
		taken[p.key] = p.value
	}
	return pairs, nil
}

// batch returns w, which cut returned, as a batch.
func (w *records) batch() Batch {
	return Batch{Metrics: w.metrics, Params: pairMap(w.params), Tags: pairMap(w.tags), Inputs: w.inputs}
}

func pairMap(pairs []pair) map[string]string {
	if len(pairs) == 0 {
		return nil
	}
	m := make(map[string]string, len(pairs))
	for _, p := range pairs {
		m[p.key] = p.value
	}
	return m
}

// first names the first record.
func (w *records) first() string {
	switch {
	case len(w.params) > 0:
		return fmt.Sprintf("param %q", w.params[0].key)
	case len(w.tags) > 0:
		return fmt.Sprintf("tag %q", w.tags[0].key)
	case len(w.inputs) > 0:
		return fmt.Sprintf("input %q", w.inputs[0].Name)
	case len(w.metrics) > 0:
		return fmt.Sprintf("metric %q at step %d", w.metrics[0].Key, w.metrics[0].Step)
	}
	return "nothing"
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
