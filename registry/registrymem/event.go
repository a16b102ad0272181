package registrymem

import (
	"context"

	"github.com/mlloop/mlloop/registry"
)

// Events implements registry.Store.
func (s *Store) Events(ctx context.Context, q registry.EventQuery) ([]registry.Event, error) {
	m, unlock, err := s.openModel(ctx, q.Model)
	if err != nil {
		return nil, err
	}
	defer unlock()
	n := int64(len(m.events))
	var events []registry.Event
	for i := min(q.After, n); i < n && len(events) < page(q.Limit); i++ {
		e := m.events[i]
		if q.Newest {
			e = m.events[n-1-i+min(q.After, n)]
		}
		if (q.Alias == "" || e.Alias == q.Alias) && (q.Until.IsZero() || !e.Time.After(q.Until)) {
			e.Model = m.info.Name
			events = append(events, e)
		}
	}
	return events, nil
}
