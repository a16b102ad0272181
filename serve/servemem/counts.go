package servemem

import (
	"context"

	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train/frame"
)

// tally counts what a model's log holds, so that Counts costs nothing.
type tally serve.Counts

func (s *Store) tally(model string) *tally {
	c, ok := s.counts[model]
	if !ok {
		c = &serve.Counts{}
		s.counts[model] = c
	}
	return (*tally)(c)
}

func (c *tally) addPrediction(p *serve.Prediction) {
	switch {
	case p.Variant == serve.Shadow:
		c.Shadow++
	case p.Status.OK():
		c.Predictions++
	default:
		c.Unanswered++
	}
	if p.Variant != serve.Shadow && p.Attempt > 1 {
		c.Reattempts++
	}
	if c.Oldest.IsZero() || p.Time.Before(c.Oldest) {
		c.Oldest = p.Time
	}
	c.LastSeq = p.Seq
	// The struct with its four index entries, and what hangs on it.
	c.Bytes += 600 + int64(len(p.ID)+len(p.Key)+len(p.TraceID)+len(p.Error)) + bytes(p.Features) + bytes(p.Outputs)
}

func (c *tally) addLabel(l *label, correction bool) {
	if correction {
		c.Corrections++
	} else {
		c.Labels++
	}
	c.LastLabel = l.Seq
	c.Bytes += 300 + int64(len(l.ID)+len(l.Value.Text()))
}

func bytes(r frame.Row) int64 {
	n := 40 * int64(len(r.Values))
	for _, v := range r.Values {
		if v.Kind() == frame.String {
			n += int64(len(v.Text()))
		}
	}
	return n
}

// Counts implements serve.Store.
func (s *Store) Counts(ctx context.Context, model string) (serve.Counts, error) {
	if err := s.lock(ctx); err != nil {
		return serve.Counts{}, err
	}
	defer s.mu.Unlock()
	if c, ok := s.counts[model]; ok {
		return *c, nil
	}
	return serve.Counts{}, nil
}
