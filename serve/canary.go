package serve

import (
	"cmp"
	"context"
	"fmt"
	"time"
)

// CanaryOptions say how far a canary may go. The zero value of each field is
// its default.
type CanaryOptions struct {
	Timeout      time.Duration // for an answer to a request without a deadline; 0: 1 s. One with a deadline gives the canary half of what is left, ten seconds at most
	MaxAbandoned int           // calls that run on after their time at once, at which the canary is taken off the traffic, and a shadow is asked no more; 0: 3
}

// maxCanaryTime bounds what a canary gets of a deadline that is far away.
const maxCanaryTime = 10 * time.Second

func (o *CanaryOptions) setDefaults() {
	o.Timeout = cmp.Or(o.Timeout, time.Second)
	o.MaxAbandoned = cmp.Or(o.MaxAbandoned, 3)
}

// withdrawal says why a canary was taken off the traffic.
type withdrawal struct{ reason string }

// Withdrawn returns the version of the model's canary that this server has
// taken off its traffic because calls to it hang, and why. The route still
// names it: who keeps the route should take it off there. The primary answers
// in its place until the route names another canary or none.
func (s *Server) Withdrawn(model string) (version int64, reason string, ok bool) {
	if m, found := s.byName.Load(model); found {
		if t := m.(*served).current.Load(); t != nil {
			if w := t.withdrawn.Load(); w != nil {
				return t.canary.number, w.reason, true
			}
		}
	}
	return 0, "", false
}

// HangingShadow returns the version of the model's shadow that this server asks
// no more because calls to it hang, and why. It is asked again once they have
// returned.
func (s *Server) HangingShadow(model string) (version int64, reason string, ok bool) {
	m, found := s.byName.Load(model)
	if !found {
		return 0, "", false
	}
	t := m.(*served).current.Load()
	if t == nil || t.shadow == nil || t.shadow.hung.Load() < int64(s.opts.Canary.MaxAbandoned) {
		return 0, "", false
	}
	return t.shadow.number, fmt.Sprintf("%d of its calls run on after their time was over", t.shadow.hung.Load()), true
}

// askCanary has a canary answer a request on a goroutine of its own.
func (s *Server) askCanary(ctx context.Context, m *served, v *version, req *Request) answer {
	began := time.Now()
	b, rows, err := s.read(v, req)
	a := answer{version: v, rows: rows, n: b.n}
	if err != nil || ctx.Err() != nil {
		if err == nil {
			err = ctx.Err()
		}
		a.end(ctx, began, err)
		return a
	}
	patience := s.opts.Canary.Timeout
	if deadline, ok := ctx.Deadline(); ok {
		patience = min(time.Until(deadline)/2, maxCanaryTime)
	}
	if v.shape.rows == nil {
		// The caller may reuse its tensors while an abandoned call still reads them.
		b.inputs = cloneTensors(b.inputs, b.n, b.n)
	}
	apart, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	o, abandoned := s.runApart(apart, nil, v, b, rows)
	if abandoned && v.hung.Load() >= int64(s.opts.Canary.MaxAbandoned) {
		s.withdraw(m, v)
	}
	a.outputs = o.outputs
	a.end(apart, began, o.err)
	return a
}

// withdraw takes a canary off the traffic of this server at once.
func (s *Server) withdraw(m *served, v *version) {
	w := &withdrawal{reason: fmt.Sprintf("%d of its calls run on after their time was over", v.hung.Load())}
	for {
		t := m.current.Load()
		if t == nil || t.canary != v {
			return
		}
		first := t.withdrawn.CompareAndSwap(nil, w)
		if m.current.Load() != t { // the route changed meanwhile: look at the new one
			continue
		}
		if first {
			s.opts.Logger.Error("serve: the canary is taken off the traffic: the primary answers in its place",
				"model", m.name, "version", v.number, "reason", w.reason)
		}
		return
	}
}
