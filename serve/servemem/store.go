package servemem

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train/frame"
)

// Store is a serve.Store in memory. The zero value is not ready: call New. It
// is safe for concurrent use.
type Store struct {
	serve.UnimplementedStore

	mu                 sync.Mutex
	lastSeq, lastLabel int64 // the latest that were given
	models             map[string]*modelLog
	routes             map[string]serve.Route
	changed            map[string]chan struct{} // by model: closed with the next change of the route; only where somebody waits
}

// modelLog is what the store holds of one model.
type modelLog struct {
	predictions sequence[*prediction] // in the order of Seq
	times       queue                 // the same
	labels      sequence[*label]      // in the order of Seq
	byID        map[string]*sequence[*prediction]
	byRow       map[rowKey]*row
	mostRows    int          // that byRow held since it was made
	counts      serve.Counts // but for Oldest, LastSeq and LastLabel
}

// rowKey names one row of one request.
type rowKey struct {
	id    string
	index int
}

// row is what is stored of one row of one request, each in the order of Seq.
type row struct {
	attempts attempts
	labels   []*label
}

// prediction is a stored prediction.
type prediction struct {
	serve.Prediction
	mark
}

func (p *prediction) row() rowKey { return rowKey{p.ID, p.Index} }

// label is a label with the attempt that it is about.
type label struct {
	serve.Label
	mark
	attempt    int
	correction bool
}

func (l *label) row() rowKey { return rowKey{l.ID, l.Index} }

var _ serve.Store = (*Store)(nil)

// New returns an empty store.
func New() *Store {
	return &Store{models: map[string]*modelLog{}, routes: map[string]serve.Route{}, changed: map[string]chan struct{}{}}
}

// lock takes the store for one call, unless ctx is done.
func (s *Store) lock(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	return nil
}

// model returns the model's log, an empty one when there is none.
func (s *Store) model(name string) *modelLog {
	if m, ok := s.models[name]; ok {
		return m
	}
	return &modelLog{byID: map[string]*sequence[*prediction]{}, byRow: map[rowKey]*row{}}
}

// row returns what is stored of a row, an empty one when nothing is.
func (m *modelLog) row(k rowKey) *row {
	if r, ok := m.byRow[k]; ok {
		return r
	}
	return &row{}
}

// AppendPredictions implements serve.Store.
func (s *Store) AppendPredictions(ctx context.Context, ps []serve.Prediction) error {
	for _, p := range ps {
		if err := p.Check(); err != nil {
			return err
		}
	}
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	for _, p := range ps {
		p.Time = toMillis(p.Time)
		m := s.model(p.Model)
		if p.Attempt = m.row(rowKey{p.ID, p.Index}).attempts.place(&p); p.Attempt == 0 {
			continue
		}
		s.lastSeq++
		p.Seq = s.lastSeq
		p.Features, p.Outputs = clone(p.Features), clone(p.Outputs)
		m.keep(&prediction{Prediction: p})
		s.models[p.Model] = m
	}
	return nil
}

// clone returns a row with values of its own; one without columns is the zero Row.
func clone(r frame.Row) frame.Row {
	if len(r.Schema) == 0 {
		return frame.Row{}
	}
	return frame.Row{Schema: r.Schema, Values: slices.Clone(r.Values)}
}

// keep adds a prediction that has its Seq and Attempt.
func (m *modelLog) keep(p *prediction) {
	m.predictions.add(p)
	m.times.add(p)
	if m.byID[p.ID] == nil {
		m.byID[p.ID] = &sequence[*prediction]{}
	}
	m.byID[p.ID].add(p)
	at := m.row(p.row())
	at.attempts = append(at.attempts, p)
	m.byRow[p.row()] = at
	m.mostRows = max(m.mostRows, len(m.byRow))
	m.count(p, 1)
}

// AppendLabels implements serve.Store.
func (s *Store) AppendLabels(ctx context.Context, ls []serve.Label) (unknown []serve.Label, err error) {
	for _, l := range ls {
		if !serve.Storable(l.Output) {
			return nil, fault.Errorf(fault.Invalid, "label of %q: output %q: want UTF-8 without the character U+0000", l.ID, l.Output)
		}
	}
	if err := s.lock(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	for i := range ls {
		l := label{Label: ls[i]}
		if l.Output == "" {
			l.Output = serve.LabelOutput
		}
		l.Time, l.Replaces = toMillis(l.Time), frame.Value{}
		m := s.model(l.Model)
		at := m.row(l.row())
		if l.attempt = at.attempts.answered(); l.attempt == 0 {
			unknown = append(unknown, ls[i])
			continue
		}
		if before := at.label(l.Output); before != nil {
			if before.Value.Equal(l.Value) {
				continue
			}
			l.correction, l.Replaces = true, before.Value
		}
		s.lastLabel++
		l.Seq = s.lastLabel
		m.labels.add(&l)
		at.labels = append(at.labels, &l)
		m.countLabel(&l, 1)
		ls[i].Seq, ls[i].Replaces = l.Seq, l.Replaces
	}
	return unknown, nil
}

// label returns the latest label of an output, nil when there is none.
func (r *row) label(output string) *label {
	for i := len(r.labels) - 1; i >= 0; i-- {
		if r.labels[i].Output == output {
			return r.labels[i]
		}
	}
	return nil
}

// toMillis is the store boundary's precision: UTC milliseconds.
func toMillis(t time.Time) time.Time { return time.UnixMilli(t.UnixMilli()).UTC() }
