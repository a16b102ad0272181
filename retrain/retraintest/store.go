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
// value is ready to use; it is safe for concurrent use. Its clock is time.Now.
type Store struct {
	retrain.UnimplementedStore
	mu          sync.Mutex
	retrainings map[string][]retrain.Retraining // by model, by Number
	events      map[string][]retrain.Event      // by model
	seq         int64                           // of the last event
	keys        map[nameInModel]bool            // of the events
	states      map[string]retrain.State
	cursors     map[nameInModel]retrain.Cursor
	configs     map[string][]byte // by digest
	leases      map[string]retrain.Lease
}

// nameInModel is an event's key or a sender's name.
type nameInModel struct {
	model, name string
}

var _ retrain.Store = (*Store)(nil)

// place is what a write by compare-and-set is made on: zero where nothing is stored.
type place struct {
	rev, token int64
}

// fence refuses a write that is not made on what is stored, or whose writer has
// lost the lease. s.mu is held.
func (s *Store) fence(what, model string, stored, next place) error {
	if stored.rev != next.rev-1 {
		return fault.Errorf(fault.Conflict, "the stored %s of %s is at revision %d, not %d", what, model, stored.rev, next.rev-1)
	}
	if newest := max(stored.token, s.leases[model].Token); newest > next.token {
		return fault.Errorf(fault.Conflict, "the %s of %s is another process's: it leads with token %d, this write has %d", what, model, newest, next.token)
	}
	return nil
}

// PutRetraining implements retrain.Store.
func (s *Store) PutRetraining(_ context.Context, r retrain.Retraining) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.retrainings[r.Model]
	i, found := slices.BinarySearchFunc(list, r.Number, func(have retrain.Retraining, number int64) int { return cmp.Compare(have.Number, number) })
	var stored place
	if found {
		if list[i].ID != r.ID {
			return fault.Errorf(fault.AlreadyExists, "retraining %d of %s is %s", r.Number, r.Model, list[i].ID)
		}
		stored = place{list[i].Rev, list[i].Token}
	}
	if err := s.fence("retraining "+r.ID, r.Model, stored, place{r.Rev, r.Token}); err != nil {
		return err
	}
	if found {
		list[i] = clone(r)
		return nil
	}
	if s.retrainings == nil {
		s.retrainings = make(map[string][]retrain.Retraining)
	}
	s.retrainings[r.Model] = slices.Insert(list, i, clone(r))
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
		if r.Number >= q.From && (q.Version == 0 || r.Version == q.Version) {
			found = append(found, clone(r))
		}
	}
	if q.Last > 0 {
		return found[max(0, len(found)-min(q.Last, retrain.DefaultLimit)):], nil
	}
	return found[:min(len(found), cmp.Or(q.Limit, retrain.DefaultLimit))], nil
}

// AppendEvent implements retrain.Store.
func (s *Store) AppendEvent(_ context.Context, e retrain.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keys[nameInModel{e.Model, e.Key}] {
		return nil
	}
	if s.keys == nil {
		s.keys, s.events = make(map[nameInModel]bool), make(map[string][]retrain.Event)
	}
	s.keys[nameInModel{e.Model, e.Key}] = true
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
	return slices.Clone(all[from:min(len(all), from+cmp.Or(q.Limit, retrain.DefaultLimit))]), nil
}

// PutState implements retrain.Store.
func (s *Store) PutState(_ context.Context, st retrain.State) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	stored := s.states[st.Model]
	if err := s.fence("state", st.Model, place{stored.Rev, stored.Token}, place{st.Rev, st.Token}); err != nil {
		return err
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
		return retrain.State{}, fault.Errorf(fault.NotFound, "no state of %s is stored", model)
	}
	st.Data = slices.Clone(st.Data)
	return st, nil
}

// PutCursor implements retrain.Store.
func (s *Store) PutCursor(_ context.Context, c retrain.Cursor) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	stored := s.cursors[nameInModel{c.Model, c.Sender}]
	if err := s.fence("cursor of "+c.Sender, c.Model, place{stored.Rev, stored.Token}, place{c.Rev, c.Token}); err != nil {
		return err
	}
	if s.cursors == nil {
		s.cursors = make(map[nameInModel]retrain.Cursor)
	}
	c.Data = slices.Clone(c.Data)
	s.cursors[nameInModel{c.Model, c.Sender}] = c
	return nil
}

// Cursor implements retrain.Store.
func (s *Store) Cursor(_ context.Context, model, sender string) (retrain.Cursor, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.cursors[nameInModel{model, sender}]
	if !ok {
		return retrain.Cursor{}, fault.Errorf(fault.NotFound, "sender %s of %s has no cursor yet", sender, model)
	}
	c.Data = slices.Clone(c.Data)
	return c, nil
}

// PutConfig implements retrain.Store.
func (s *Store) PutConfig(_ context.Context, digest string, data []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, stored := s.configs[digest]; stored {
		return nil
	}
	if s.configs == nil {
		s.configs = make(map[string][]byte)
	}
	s.configs[digest] = slices.Clone(data)
	return nil
}

// Config implements retrain.Store.
func (s *Store) Config(_ context.Context, digest string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	data, ok := s.configs[digest]
	if !ok {
		return nil, fault.Errorf(fault.NotFound, "no configuration with digest %q is stored", digest)
	}
	return slices.Clone(data), nil
}
