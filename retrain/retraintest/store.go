package retraintest

import (
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
	events      []retrain.Event
	states      map[string]retrain.State
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
	r.Causes, r.Verdicts, r.Errors = slices.Clone(r.Causes), slices.Clone(r.Verdicts), slices.Clone(r.Errors)
	r.Holdout = maps.Clone(r.Holdout)
	return r
}

// Retrainings implements retrain.Store.
func (s *Store) Retrainings(_ context.Context, model string) ([]retrain.Retraining, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []retrain.Retraining
	for _, r := range s.retrainings[model] {
		all = append(all, clone(r))
	}
	return all, nil
}

// AppendEvent implements retrain.Store.
func (s *Store) AppendEvent(_ context.Context, e retrain.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, have := range s.events {
		if have.Model == e.Model && have.Key == e.Key {
			return nil
		}
	}
	e.Seq = int64(len(s.events) + 1)
	s.events = append(s.events, e)
	return nil
}

// Events implements retrain.Store.
func (s *Store) Events(_ context.Context, model string, after int64) ([]retrain.Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []retrain.Event
	for _, e := range s.events {
		if e.Model == model && e.Seq > after {
			all = append(all, e)
		}
	}
	return all, nil
}

// PutState implements retrain.Store.
func (s *Store) PutState(_ context.Context, st retrain.State) error {
	s.mu.Lock()
	defer s.mu.Unlock()
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
