package servemem

import (
	"context"

	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train/frame"
)

// count adds a prediction to what Counts says, or with n -1 takes it off.
func (m *modelLog) count(p *prediction, n int64) {
	switch {
	case p.Variant == serve.Shadow:
		m.counts.Shadow += n
	case p.Status.OK():
		m.counts.Predictions += n
	default:
		m.counts.Unanswered += n
	}
	if p.Variant != serve.Shadow && p.Attempt > 1 {
		m.counts.Reattempts += n
	}
	// The struct with its five index entries, and what hangs on it.
	m.counts.Bytes += n * (600 + int64(len(p.ID)+len(p.Key)+len(p.TraceID)+len(p.Error)) + bytes(p.Features) + bytes(p.Outputs))
}

// countLabel is count for labels.
func (m *modelLog) countLabel(l *label, n int64) {
	if l.correction {
		m.counts.Corrections += n
	} else {
		m.counts.Labels += n
	}
	m.counts.Bytes += n * (300 + int64(len(l.ID)+len(l.Value.Text())))
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
	m := s.model(model)
	c := m.counts
	if p := m.times.first(); p != nil {
		c.Oldest, c.LastSeq = p.Time, m.predictions.last().Seq
	}
	if l := m.labels.last(); l != nil {
		c.LastLabel = l.Seq
	}
	return c, nil
}
