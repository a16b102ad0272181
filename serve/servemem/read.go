package servemem

import (
	"context"
	"slices"
	"sort"

	"github.com/mlloop/mlloop/serve"
)

// Predictions implements serve.Store.
func (s *Store) Predictions(ctx context.Context, q serve.PredictionQuery) ([]serve.Prediction, error) {
	if err := s.lock(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	all := s.model(q.Model).predictions.items
	from := sort.Search(len(all), func(i int) bool { return all[i].Seq > q.After })
	var out []serve.Prediction
	for _, p := range all[from:] {
		if len(out) == limit(q.Limit) {
			break
		}
		if !p.gone && in(q.Variants, p.Variant) && in(q.Statuses, p.Status) {
			out = append(out, p.Prediction)
		}
	}
	return out, nil
}

// in reports whether the list has v, or is empty and so has all.
func in[T comparable](list []T, v T) bool { return len(list) == 0 || slices.Contains(list, v) }

// Labels implements serve.Store.
func (s *Store) Labels(ctx context.Context, q serve.LabelQuery) ([]serve.LabelledPrediction, error) {
	if err := s.lock(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	m := s.model(q.Model)
	all := m.labels.items
	from := sort.Search(len(all), func(i int) bool { return all[i].Seq > q.After })
	var out []serve.LabelledPrediction
	labels := 0
	for _, l := range all[from:] {
		if labels == limit(q.Limit) {
			break
		}
		if l.gone {
			continue
		}
		if joined := m.join(l); len(joined) > 0 {
			labels++
			out = append(out, joined...)
		}
	}
	return out, nil
}

// join returns the answers of the label's attempt, the caller's first; none
// when the caller's is gone.
func (m *modelLog) join(l *label) []serve.LabelledPrediction {
	var answer, shadow []serve.LabelledPrediction
	for _, p := range m.row(l.row()).attempts {
		switch {
		case p.Attempt != l.attempt || !p.Status.OK():
		case p.Variant == serve.Shadow:
			shadow = append(shadow, serve.LabelledPrediction{Prediction: p.Prediction, Truth: l.Label})
		default:
			answer = append(answer, serve.LabelledPrediction{Prediction: p.Prediction, Truth: l.Label})
		}
	}
	if len(answer) == 0 {
		return nil
	}
	return append(answer, shadow...)
}

// Lookup implements serve.Store.
func (s *Store) Lookup(ctx context.Context, model string, ids []string) ([]serve.LabelledPrediction, error) {
	if err := s.lock(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	m := s.model(model)
	var out []serve.LabelledPrediction
	for _, id := range slices.Compact(slices.Sorted(slices.Values(ids))) {
		found := m.byID[id]
		if found == nil {
			continue
		}
		for _, p := range found.items {
			if p.gone {
				continue
			}
			joined := serve.LabelledPrediction{Prediction: p.Prediction}
			if l := m.row(p.row()).label(serve.LabelOutput); l != nil {
				joined.Truth = l.Label
			}
			out = append(out, joined)
		}
	}
	slices.SortFunc(out, func(a, b serve.LabelledPrediction) int { return int(a.Prediction.Seq - b.Prediction.Seq) })
	return out, nil
}

func limit(n int) int {
	if n <= 0 {
		return serve.DefaultLimit
	}
	return n
}
