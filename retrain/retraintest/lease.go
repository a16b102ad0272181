package retraintest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/retrain"
)

// AcquireLease implements retrain.Store.
func (s *Store) AcquireLease(_ context.Context, model, holder string, ttl time.Duration) (retrain.Lease, error) {
	if model == "" || holder == "" || ttl < time.Millisecond {
		return retrain.Lease{}, fault.Errorf(fault.Invalid, "lease of model %q for holder %q over %s: want names, and a millisecond or more", model, holder, ttl)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now().UTC().Truncate(time.Millisecond)
	l := s.leases[model]
	switch {
	case l.Holder == holder: // it goes on
	case l.Holder != "" && l.Until.After(now):
		return l, fault.Errorf(fault.Conflict, "the loop of %s is stepped by %s until %s", model, l.Holder, l.Until.Format(time.RFC3339))
	default:
		l = retrain.Lease{Model: model, Holder: holder, Token: l.Token + 1}
	}
	l.Until = now.Add(ttl)
	if s.leases == nil {
		s.leases = make(map[string]retrain.Lease)
	}
	s.leases[model] = l
	return l, nil
}

// ReleaseLease implements retrain.Store.
func (s *Store) ReleaseLease(_ context.Context, model, holder string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.leases[model]; holder != "" && l.Holder == holder {
		l.Holder, l.Until = "", time.Now().UTC().Truncate(time.Millisecond)
		s.leases[model] = l
	}
	return nil
}

// EndLease ends whatever lease the model has, as if its holder had been dead for
// long: the next loop on the stores leads at once. It is for tests of a life
// after a kill, which would otherwise wait for the lease's time to pass.
func EndLease(t testing.TB, s retrain.Store, model string) {
	t.Helper()
	const nobody = "retraintest.EndLease"
	lease, err := s.AcquireLease(context.Background(), model, nobody, time.Second)
	if errors.Is(err, retrain.ErrConflict) {
		require.NoError(t, s.ReleaseLease(context.Background(), model, lease.Holder))
		return
	}
	require.NoError(t, err)
	require.NoError(t, s.ReleaseLease(context.Background(), model, nobody))
}
