package serve

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/registry"
)

// Load serves what ref names, name@alias or name/number, as the model's
// primary version. A route stored by an earlier life is taken up again; if the
// alias has moved since, the traffic moves. With name@alias, Run and Sync keep
// following the alias. Errors: NotFound, Unsupported (no Loader for its
// flavor), Corrupt, and those of Models and the store.
func (s *Server) Load(ctx context.Context, ref string) error {
	if err := s.load(ctx, ref); err != nil {
		return fmt.Errorf("serve: load %s: %w", ref, err)
	}
	return nil
}

func (s *Server) load(ctx context.Context, ref string) error {
	if err := s.open(); err != nil {
		return err
	}
	if s.models == nil {
		return fault.Errorf(fault.Unsupported, "the server was made without Models: give them to New, or Add versions by hand")
	}
	v, err := s.models.Resolve(ctx, ref)
	if err != nil {
		return err
	}
	m := s.model(v.Model)
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := s.follow(ctx, m, v.Number); err != nil {
		return err
	}
	m.ref, m.refAt = "", v.Number
	if parsed, err := registry.ParseRef(ref); err == nil && parsed.Number == 0 {
		m.ref = ref
	}
	return nil
}

// follow takes up the stored route and makes number its primary. m.mu is held.
func (s *Server) follow(ctx context.Context, m *served, number int64) error {
	for {
		r, err := s.latest(ctx, m.name)
		if err != nil && !errors.Is(err, fault.NotFound) {
			return err
		}
		r.Model = m.name
		if r.Primary == number {
			return s.apply(ctx, m, r, false)
		}
		r = r.to(number)
		r.Rev++
		err = s.apply(ctx, m, r, true)
		if !errors.Is(err, fault.Conflict) { // else another process was quicker: look again
			return err
		}
	}
}

// Restore takes up the route that an earlier life of the process stored.
// Errors: NotFound when there is none.
func (s *Server) Restore(ctx context.Context, model string) error {
	m := s.model(model)
	m.mu.Lock()
	defer m.mu.Unlock()
	r, err := s.latest(ctx, m.name)
	if err == nil {
		err = s.apply(ctx, m, r, false)
	}
	if err != nil {
		return fmt.Errorf("serve: restore %s: %w", model, err)
	}
	return nil
}

// Add makes p known as a version of a model without a registry; it stays
// loaded. SetRoute brings traffic to it. Errors: AlreadyExists, Invalid.
func (s *Server) Add(model string, number int64, p Predictor) error {
	if model == "" || number <= 0 || p == nil {
		return fault.Errorf(fault.Invalid, "serve: add: want a model's name, a version number from 1 and a predictor")
	}
	m := s.model(model)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.loaded[number] != nil {
		return fault.Errorf(fault.AlreadyExists, "serve: add: version %d of model %q is loaded already", number, model)
	}
	v := newVersion(number, "mlloop_predictor", p, m.metricsOf(number))
	v.pinned = true
	m.loaded[number] = v
	return nil
}

// SetRoute changes who answers a model's requests. r.Rev is the revision that
// the change was made from: that of the Route that was read, 0 for the first.
// The versions that the route needs are loaded first, then the route is stored,
// then all traffic moves at once; requests in flight end on the version they
// began with. A route equal to the present one changes nothing. Errors:
// Invalid, Conflict when the route has changed since it was read or r.Token is
// below its Token, those of Load.
func (s *Server) SetRoute(ctx context.Context, r Route) error {
	if err := s.setRoute(ctx, r); err != nil {
		return fmt.Errorf("serve: set the route of %s: %w", r.Model, err)
	}
	return nil
}

func (s *Server) setRoute(ctx context.Context, r Route) error {
	if err := s.open(); err != nil {
		return err
	}
	if err := r.check(); err != nil {
		return err
	}
	r = r.normal()
	m := s.model(r.Model)
	m.mu.Lock()
	defer m.mu.Unlock()
	now, err := s.latest(ctx, m.name)
	if err != nil && !errors.Is(err, fault.NotFound) {
		return err
	}
	if r.Rev != now.Rev {
		return fault.Errorf(fault.Conflict, "it is at revision %d, the change was made from %d: read it again", now.Rev, r.Rev)
	}
	if r == now {
		return s.apply(ctx, m, r, false)
	}
	r.Rev++
	if err := r.Follows(now); err != nil { // before anything is loaded for it
		return err
	}
	return s.apply(ctx, m, r, true)
}

// Route returns a model's route: the stored one, or without a Log the present
// one. Errors: NotFound.
func (s *Server) Route(ctx context.Context, model string) (Route, error) {
	r, err := s.latest(ctx, model)
	if err != nil {
		return Route{}, fmt.Errorf("serve: route of %s: %w", model, err)
	}
	return r, nil
}

func (s *Server) latest(ctx context.Context, model string) (Route, error) {
	if s.opts.Log != nil {
		return s.opts.Log.Route(ctx, model)
	}
	if m, ok := s.byName.Load(model); ok {
		if t := m.(*served).current.Load(); t != nil {
			return t.route, nil
		}
	}
	return Route{}, fault.Errorf(fault.NotFound, "model %q is not served", model)
}

// apply loads what r needs, stores r if asked and moves the traffic. m.mu is held.
func (s *Server) apply(ctx context.Context, m *served, r Route, store bool) error {
	if err := s.open(); err != nil { // Close lets go of what is loaded when it gets m.mu
		return err
	}
	before := maps.Clone(m.loaded)
	if err := s.change(ctx, m, r, store); err != nil {
		for number, v := range m.loaded { // what was loaded for a change that failed
			if before[number] != v {
				delete(m.loaded, number)
				v.release()
			}
		}
		return err
	}
	s.opts.Logger.Info("serve: route", "model", r.Model, "primary", r.Primary, "canary", r.Canary, "share", r.Share, "shadow", r.Shadow, "rev", r.Rev)
	return nil
}

// change is apply without its cleaning up.
func (s *Server) change(ctx context.Context, m *served, r Route, store bool) error {
	t := &traffic{route: r, below: r.canaryBuckets()}
	for _, slot := range []struct {
		v      **version
		number int64
	}{{&t.primary, r.Primary}, {&t.canary, r.Canary}, {&t.shadow, r.Shadow}} {
		if slot.number == 0 {
			continue
		}
		v, err := s.loaded(ctx, m, slot.number)
		if err != nil {
			return fmt.Errorf("version %d: %w", slot.number, err)
		}
		*slot.v = v
	}
	if store && s.opts.Log != nil {
		if err := s.opts.Log.PutRoute(ctx, r); err != nil {
			return err
		}
	}
	m.swap(t, s.opts.KeepWarm)
	return nil
}

// loaded returns a version, loading it when it is not. m.mu is held; requests
// go on meanwhile.
func (s *Server) loaded(ctx context.Context, m *served, number int64) (*version, error) {
	if v := m.loaded[number]; v != nil {
		return v, nil
	}
	if s.models == nil {
		return nil, fault.Errorf(fault.NotFound, "not added")
	}
	b, _, err := s.models.Load(ctx, registry.VersionRef(m.name, number))
	if err != nil {
		return nil, err
	}
	p, platform, err := s.predictor(b)
	if err != nil {
		return nil, err
	}
	v := newVersion(number, platform, p, m.metricsOf(number))
	m.loaded[number] = v
	return v, nil
}

// Sync looks once whether aliases have moved or another process has changed a
// stored route, and follows. One model's error does not keep the others from
// following; its traffic stays as it was.
func (s *Server) Sync(ctx context.Context) error {
	var errs []error
	s.byName.Range(func(_, value any) bool {
		m := value.(*served)
		if err := s.sync(ctx, m); err != nil {
			errs = append(errs, fmt.Errorf("serve: sync %s: %w", m.name, err))
		}
		return ctx.Err() == nil
	})
	return errors.Join(errs...)
}

func (s *Server) sync(ctx context.Context, m *served) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.current.Load()
	if t == nil {
		return nil
	}
	r, err := s.latest(ctx, m.name)
	if err == nil && r.Rev > t.route.Rev {
		err = s.apply(ctx, m, r, false)
	}
	if err != nil || m.ref == "" {
		return err
	}
	v, err := s.models.Resolve(ctx, m.ref)
	if err != nil || v.Number == m.refAt {
		return err
	}
	if err := s.follow(ctx, m, v.Number); err != nil {
		return err
	}
	m.refAt = v.Number
	return nil
}

// Run follows aliases and stored routes every PollInterval until ctx is done,
// then stores what was answered and returns nil, or the store's error. What
// goes wrong meanwhile is logged and tried again.
func (s *Server) Run(ctx context.Context) error {
	tick := time.NewTicker(s.opts.PollInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := s.Sync(ctx); err != nil && ctx.Err() == nil {
				s.opts.Logger.Error("serve: the traffic stays as it is", "error", err)
			}
		case <-ctx.Done():
			drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
			defer cancel()
			return s.Flush(drain)
		}
	}
}

// drainTimeout is how long Run tries to store the last predictions.
const drainTimeout = 10 * time.Second
