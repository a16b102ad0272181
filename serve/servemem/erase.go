package servemem

import (
	"context"
	"maps"
	"math"
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
	m := s.model(model)
	var erased []*prediction
	for _, p := range m.predictions.items {
		if !p.gone && (wanted[p.ID] || wanted[p.Key]) {
			erased = append(erased, p)
		}
	}
	for _, p := range erased {
		m.unlabel(p.row())
		m.remove(p)
		m.times.note()
	}
	m.shrink()
	return int64(len(erased)), nil
}

// Trim implements serve.Store. It looks at what it deletes, and at what is as
// old and kept.
func (s *Store) Trim(ctx context.Context, t serve.Trim) (int64, error) {
	if err := s.lock(ctx); err != nil {
		return 0, err
	}
	defer s.mu.Unlock()
	keep := t.KeepFrom
	if keep == 0 {
		keep = math.MaxInt64
	}
	m := s.model(t.Model)
	trimmed := 0
	var kept []*prediction
	for p := m.times.first(); p != nil && trimmed < limit(t.Limit) && p.Time.Before(toMillis(t.Before)); p = m.times.first() {
		m.times.take()
		if p.Seq >= keep {
			kept = append(kept, p)
			continue
		}
		trimmed++
		m.remove(p)
		if len(m.row(p.row()).attempts) == 0 {
			m.unlabel(p.row())
		}
	}
	for _, p := range kept {
		m.times.add(p)
	}
	m.shrink()
	return int64(trimmed), nil
}

// remove takes a prediction out, but not out of m.times.
func (m *modelLog) remove(p *prediction) {
	p.gone = true
	m.predictions.note()
	if m.byID[p.ID].note(); len(m.byID[p.ID].items) == 0 {
		delete(m.byID, p.ID)
	}
	at := m.byRow[p.row()]
	at.attempts = slices.DeleteFunc(at.attempts, func(r *prediction) bool { return r == p })
	m.tidy(p.row(), at)
	m.count(p, -1)
}

// unlabel takes all labels of a row out.
func (m *modelLog) unlabel(k rowKey) {
	at := m.row(k)
	for _, l := range at.labels {
		l.gone = true
		m.labels.note()
		m.countLabel(l, -1)
	}
	at.labels = nil
	m.tidy(k, at)
}

// tidy forgets a row of which nothing is left.
func (m *modelLog) tidy(k rowKey, at *row) {
	if len(at.attempts) == 0 && len(at.labels) == 0 {
		delete(m.byRow, k)
	}
}

// shrink gives back the memory of what was deleted: a map keeps the size that it
// had. What is copied is a quarter at most of what was added since the last time.
func (m *modelLog) shrink() {
	if 4*len(m.byRow) >= m.mostRows {
		return
	}
	byID, byRow := make(map[string]*sequence[*prediction], len(m.byID)), make(map[rowKey]*row, len(m.byRow))
	maps.Copy(byID, m.byID)
	maps.Copy(byRow, m.byRow)
	m.byID, m.byRow, m.mostRows = byID, byRow, len(byRow)
	m.times.items = slices.Clone(m.times.items)
}
