package driftmem

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/internal/fault"
)

// Store is a drift.Store in memory. It is safe for concurrent use.
type Store struct {
	drift.UnimplementedStore

	mu          sync.Mutex
	checkpoints map[string]drift.Checkpoint
	alerts      map[string]drift.Alert // by ID
	seqs        map[string]int64       // by model: of the latest change of an alert
	closed      bool
}

var _ drift.Store = (*Store)(nil)

// New returns an empty store.
func New() *Store {
	return &Store{checkpoints: map[string]drift.Checkpoint{}, alerts: map[string]drift.Alert{}, seqs: map[string]int64{}}
}

// open locks the store unless it is closed or ctx is done.
func (s *Store) open(ctx context.Context) (unlock func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, fault.Errorf(drift.ErrClosed, "the store is closed")
	}
	return s.mu.Unlock, nil
}

// Save implements drift.Store.
func (s *Store) Save(ctx context.Context, c drift.Checkpoint, changed []drift.Alert) error {
	if err := drift.CheckSave(c, changed); err != nil {
		return fmt.Errorf("driftmem: save %q: %w", c.Model, err)
	}
	unlock, err := s.open(ctx)
	if err != nil {
		return fmt.Errorf("driftmem: save %q: %w", c.Model, err)
	}
	defer unlock()
	if err := c.CheckAfter(s.checkpoints[c.Model]); err != nil {
		return fmt.Errorf("driftmem: save %q: %w", c.Model, err)
	}
	for _, a := range changed {
		if stored, ok := s.alerts[a.ID]; ok && stored.Model != a.Model {
			return fault.Errorf(drift.ErrConflict, "driftmem: save %q: alert %s is of model %q", c.Model, a.ID, stored.Model)
		}
	}
	for _, a := range changed {
		if stored, ok := s.alerts[a.ID]; ok && stored.Equal(a) {
			continue
		}
		s.seqs[a.Model]++
		a.Seq = s.seqs[a.Model]
		a.FiredAt, a.ResolvedAt = millis(a.FiredAt), millis(a.ResolvedAt)
		a.Columns = clone(a.Columns)
		s.alerts[a.ID] = a
	}
	c.At, c.State = millis(c.At), clone(c.State)
	s.checkpoints[c.Model] = c
	return nil
}

// Checkpoint implements drift.Store.
func (s *Store) Checkpoint(ctx context.Context, model string) (drift.Checkpoint, error) {
	unlock, err := s.open(ctx)
	if err != nil {
		return drift.Checkpoint{}, fmt.Errorf("driftmem: checkpoint of %q: %w", model, err)
	}
	defer unlock()
	c, ok := s.checkpoints[model]
	if !ok {
		return drift.Checkpoint{}, fault.Errorf(drift.ErrNotFound, "driftmem: checkpoint of %q: not found", model)
	}
	c.State = clone(c.State)
	return c, nil
}

// Alerts implements drift.Store.
func (s *Store) Alerts(ctx context.Context, q drift.AlertQuery) ([]drift.Alert, error) {
	if err := q.Check(); err != nil {
		return nil, fmt.Errorf("driftmem: alerts of %q: %w", q.Model, err)
	}
	unlock, err := s.open(ctx)
	if err != nil {
		return nil, fmt.Errorf("driftmem: alerts of %q: %w", q.Model, err)
	}
	defer unlock()
	var out []drift.Alert
	for _, a := range s.alerts {
		if a.Model == q.Model && a.Seq > q.After && (!q.FiringOnly || a.Firing()) && (len(q.IDs) == 0 || slices.Contains(q.IDs, a.ID)) {
			a.Columns = clone(a.Columns)
			out = append(out, a)
		}
	}
	slices.SortFunc(out, func(a, b drift.Alert) int { return cmp.Compare(a.Seq, b.Seq) })
	return out[:min(len(out), q.PageSize())], nil
}

// Close implements drift.Store: the content is gone.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed, s.checkpoints, s.alerts, s.seqs = true, nil, nil, nil
	return nil
}

// clone copies a slice; an empty one becomes nil, as it does in a database.
func clone[T any](xs []T) []T { return append([]T(nil), xs...) }

func millis(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }
