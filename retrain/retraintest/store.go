package retraintest

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/retrain"
)

// Store is the in-memory retrain.Store: the executable specification. The zero
// value is ready to use; it is safe for concurrent use.
type Store struct {
	retrain.UnimplementedStore
	mu          sync.Mutex
	retrainings map[string][]retrain.Retraining // by model, by Number
	events      map[string][]retrain.Event      // by model
	seq         int64                           // of the last event
	keys        map[eventKey]bool               // of the events
	states      map[string]retrain.State
	cursors     map[eventKey][]byte // by model and sender
}

// eventKey is a name within a model.
type eventKey struct {
	model, key string
}

var _ retrain.Store = (*Store)(nil)

// PutRetraining implements retrain.Store.
func (s *Store) PutRetraining(_ context.Context, r retrain.Retraining) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.retrainings == nil {
		s.retrainings = make(map[string][]retrain.Retraining)
	}
	list := s.retrainings[r.Model]
	i, found := slices.BinarySearchFunc(list, r.Number, func(have retrain.Retraining, number int64) int { return int(have.Number - number) })
	switch {
	case found && list[i].ID != r.ID:
		return fault.Errorf(fault.AlreadyExists, "retraining %d of %s is %s", r.Number, r.Model, list[i].ID)
	case found:
		list[i] = clone(r)
	default:
		s.retrainings[r.Model] = slices.Insert(list, i, clone(r))
	}
	return nil
}

// clone keeps the caller's slices and maps apart from the stored ones.
func clone(r retrain.Retraining) retrain.Retraining {
	r.Causes, r.Verdicts, r.Metrics = slices.Clone(r.Causes), slices.Clone(r.Verdicts), maps.Clone(r.Metrics)
	return r
}

// Retrainings implements retrain.Store.
func (s *Store) Retrainings(_ context.Context, q retrain.RetrainingQuery) ([]retrain.Retraining, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []retrain.Retraining
	for _, r := range s.retrainings[q.Model] {
		if q.Version == 0 || r.Version == q.Version {
			found = append(found, clone(r))
		}
	}
	if q.Last > 0 {
		found = found[max(0, len(found)-q.Last):]
	}
	return found, nil
}

// AppendEvent implements retrain.Store.
func (s *Store) AppendEvent(_ context.Context, e retrain.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keys[eventKey{e.Model, e.Key}] {
		return nil
	}
	if s.keys == nil {
		s.keys, s.events = make(map[eventKey]bool), make(map[string][]retrain.Event)
	}
	s.keys[eventKey{e.Model, e.Key}] = true
	s.seq++
	e.Seq = s.seq
	s.events[e.Model] = append(s.events[e.Model], e)
	return nil
}

// Events implements retrain.Store.
func (s *Store) Events(_ context.Context, q retrain.EventQuery) ([]retrain.Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.events[q.Model]
	from, _ := slices.BinarySearchFunc(all, q.After+1, func(e retrain.Event, seq int64) int { return cmp.Compare(e.Seq, seq) })
	found := slices.Clone(all[from:])
	if q.Limit > 0 {
		found = found[:min(q.Limit, len(found))]
	}
	return found, nil
}

// PutState implements retrain.Store.
func (s *Store) PutState(_ context.Context, st retrain.State) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.states[st.Model].Rev != st.Rev-1 {
		return fault.Errorf(fault.Conflict, "the stored state of %s is not at revision %d", st.Model, st.Rev-1)
	}
	if s.states == nil {
		s.states = make(map[string]retrain.State)
	}
	st.Data = slices.Clone(st.Data)
	s.states[st.Model] = st
	return nil
}

// State implements retrain.Store.
func (s *Store) State(_ context.Context, model string) (retrain.State, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, ok := s.states[model]
	if !ok {
		return retrain.State{}, fault.Errorf(fault.NotFound, "not found")
	}
	st.Data = slices.Clone(st.Data)
	return st, nil
}

// PutCursor implements retrain.Store.
func (s *Store) PutCursor(_ context.Context, model, sender string, data []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cursors == nil {
		s.cursors = make(map[eventKey][]byte)
	}
	s.cursors[eventKey{model, sender}] = slices.Clone(data)
	return nil
}

// Cursor implements retrain.Store.
func (s *Store) Cursor(_ context.Context, model, sender string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	data, ok := s.cursors[eventKey{model, sender}]
	if !ok {
		return nil, fault.Errorf(fault.NotFound, "not found")
	}
	return slices.Clone(data), nil
}
