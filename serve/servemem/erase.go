package servemem

import (
	"cmp"
	"context"
	"slices"

	"github.com/mlloop/mlloop/serve"
)

// Erase implements serve.Store.
func (s *Store) Erase(ctx context.Context, model string, subjects []string) (int64, error) {
	if err := s.lock(ctx); err != nil {
		return 0, err
	}
	defer s.mu.Unlock()
	wanted := map[string]bool{}
	for _, subject := range subjects {
		wanted[subject] = true
	}
	gone, rows := map[int64]bool{}, map[row]bool{}
	for _, p := range s.predictions {
		if p.Model == model && (wanted[p.ID] || wanted[p.Key]) {
			gone[p.Seq] = true
			rows[row{name{model, p.ID}, p.Index}] = true
		}
	}
	s.remove(gone, func(l *label) bool { return rows[l.target().row] })
	return int64(len(gone)), nil
}

// Trim implements serve.Store.
func (s *Store) Trim(ctx context.Context, t serve.Trim) (int64, error) {
	if err := s.lock(ctx); err != nil {
		return 0, err
	}
	defer s.mu.Unlock()
	var old []*serve.Prediction
	for _, p := range s.predictions {
		if p.Model == t.Model && p.Time.Before(toMillis(t.Before)) && (t.KeepFrom == 0 || p.Seq < t.KeepFrom) {
			old = append(old, p)
		}
	}
	slices.SortStableFunc(old, func(a, b *serve.Prediction) int { return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Seq, b.Seq)) })
	old = old[:min(limit(t.Limit), len(old))]
	gone := map[int64]bool{}
	for _, p := range old {
		gone[p.Seq] = true
	}
	left := map[row]bool{}
	for _, p := range s.predictions {
		if !gone[p.Seq] {
			left[row{name{p.Model, p.ID}, p.Index}] = true
		}
	}
	s.remove(gone, func(l *label) bool { return !left[l.target().row] })
	return int64(len(old)), nil
}

// remove builds the store anew without some of its records. Seq goes on.
func (s *Store) remove(gone map[int64]bool, unlabelled func(l *label) bool) {
	if len(gone) == 0 {
		return
	}
	predictions, labels := s.predictions, s.labels
	s.predictions, s.labels = nil, nil
	s.byID, s.byRow = map[name][]*serve.Prediction{}, map[row]attempts{} // a cleared map keeps its memory
	s.latest, s.counts = map[target]*label{}, map[string]*serve.Counts{}
	for _, p := range predictions {
		if !gone[p.Seq] {
			s.keep(p)
		}
	}
	for _, l := range labels {
		if !unlabelled(l) {
			s.keepLabel(l)
		}
	}
}
