package servemem

import (
	"context"
	"slices"
	"sort"
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
	lastSeq, lastLabel int64               // the latest that were given
	predictions        []*serve.Prediction // in the order of Seq
	byID               map[name][]*serve.Prediction
	byRow              map[row]attempts
	labels             []*label // in the order of Seq
	latest             map[target]*label
	counts             map[string]*serve.Counts // by model
	routes             map[string]serve.Route
	changed            map[string]chan struct{} // by model: closed with the next change of the route; only where somebody waits
}

type name struct{ model, id string }

// row is one row of one request.
type row struct {
	name
	index int
}

// target is what a label is the truth of.
type target struct {
	row
	output string
}

// label is a label with the attempt that it is about.
type label struct {
	serve.Label
	attempt int
}

func (l *label) target() target {
	return target{row{name{l.Model, l.ID}, l.Index}, l.Output}
}

var _ serve.Store = (*Store)(nil)

// New returns an empty store.
func New() *Store {
	return &Store{
		byID:   map[name][]*serve.Prediction{},
		byRow:  map[row]attempts{},
		latest: map[target]*label{},
		counts: map[string]*serve.Counts{},
		routes: map[string]serve.Route{},

		changed: map[string]chan struct{}{},
	}
}

// lock takes the store for one call, unless ctx is done.
func (s *Store) lock(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	return nil
}

// AppendPredictions implements serve.Store.
func (s *Store) AppendPredictions(ctx context.Context, ps []serve.Prediction) error {
	for _, p := range ps {
		if err := check(p); err != nil {
			return err
		}
	}
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	for _, p := range ps {
		p.Time = toMillis(p.Time)
		at := row{name{p.Model, p.ID}, p.Index}
		if p.Attempt = s.byRow[at].place(&p); p.Attempt == 0 {
			continue
		}
		s.lastSeq++
		p.Seq = s.lastSeq
		p.Features, p.Outputs = clone(p.Features), clone(p.Outputs)
		s.keep(&p)
	}
	return nil
}

// check reports what no store can hold.
func check(p serve.Prediction) error {
	for _, r := range []frame.Row{p.Features, p.Outputs} {
		if err := r.Check(); err != nil {
			return fault.Errorf(fault.Invalid, "prediction %q: %w", p.ID, err)
		}
	}
	switch p.Variant {
	case serve.Primary, serve.Canary, serve.Shadow:
	default:
		return fault.Errorf(fault.Invalid, "prediction %q: unknown variant %q", p.ID, p.Variant)
	}
	switch p.Status {
	case frame.Answered, frame.Fallback, frame.Failed, frame.TimedOut, frame.Refused:
	default:
		return fault.Errorf(fault.Invalid, "prediction %q: unknown status %q", p.ID, p.Status)
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
func (s *Store) keep(p *serve.Prediction) {
	at := row{name{p.Model, p.ID}, p.Index}
	s.predictions = append(s.predictions, p)
	s.byID[at.name] = append(s.byID[at.name], p)
	s.byRow[at] = append(s.byRow[at], p)
	s.tally(p.Model).addPrediction(p)
}

// AppendLabels implements serve.Store.
func (s *Store) AppendLabels(ctx context.Context, ls []serve.Label) (unknown []serve.Label, err error) {
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
		if l.attempt = s.byRow[l.target().row].answered(); l.attempt == 0 {
			unknown = append(unknown, ls[i])
			continue
		}
		if before := s.latest[l.target()]; before != nil {
			if before.Value.Equal(l.Value) {
				continue
			}
			l.Replaces = before.Value
		}
		s.lastLabel++
		l.Seq = s.lastLabel
		s.keepLabel(&l)
		ls[i].Seq, ls[i].Replaces = l.Seq, l.Replaces
	}
	return unknown, nil
}

// keepLabel adds a label that has its Seq.
func (s *Store) keepLabel(l *label) {
	s.tally(l.Model).addLabel(l, s.latest[l.target()] != nil)
	s.labels = append(s.labels, l)
	s.latest[l.target()] = l
}

// Predictions implements serve.Store.
func (s *Store) Predictions(ctx context.Context, q serve.PredictionQuery) ([]serve.Prediction, error) {
	if err := s.lock(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	var out []serve.Prediction
	from := sort.Search(len(s.predictions), func(i int) bool { return s.predictions[i].Seq > q.After })
	for _, p := range s.predictions[from:] {
		if len(out) == limit(q.Limit) {
			break
		}
		if p.Model == q.Model && in(q.Variants, p.Variant) && in(q.Statuses, p.Status) {
			out = append(out, *p)
		}
	}
	return out, nil
}

// in reports whether the list has v, or is empty and so has all.
func in[T comparable](list []T, v T) bool { return len(list) == 0 || slices.Contains(list, v) }

// Labels implements serve.Store.
func (s *Store) Labels(ctx context.Context, q serve.LabelQuery) ([]serve.LabelledPrediction, error) {
	if err := s.lock(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	var out []serve.LabelledPrediction
	labels := 0
	from := sort.Search(len(s.labels), func(i int) bool { return s.labels[i].Seq > q.After })
	for _, l := range s.labels[from:] {
		if labels == limit(q.Limit) {
			break
		}
		if l.Model != q.Model {
			continue
		}
		if joined := s.join(l); len(joined) > 0 {
			labels++
			out = append(out, joined...)
		}
	}
	return out, nil
}

// join returns the answers of the label's attempt, the caller's first; none
// when the caller's is gone.
func (s *Store) join(l *label) []serve.LabelledPrediction {
	var answer, shadow []serve.LabelledPrediction
	for _, p := range s.byRow[l.target().row] {
		switch {
		case p.Attempt != l.attempt || !p.Status.OK():
		case p.Variant == serve.Shadow:
			shadow = append(shadow, serve.LabelledPrediction{Prediction: *p, Truth: l.Label})
		default:
			answer = append(answer, serve.LabelledPrediction{Prediction: *p, Truth: l.Label})
		}
	}
	if len(answer) == 0 {
		return nil
	}
	return append(answer, shadow...)
}

// Lookup implements serve.Store.
func (s *Store) Lookup(ctx context.Context, model string, ids []string) ([]serve.LabelledPrediction, error) {
	if err := s.lock(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	var found []*serve.Prediction
	for _, id := range slices.Compact(slices.Sorted(slices.Values(ids))) {
		found = append(found, s.byID[name{model, id}]...)
	}
	slices.SortFunc(found, func(a, b *serve.Prediction) int { return int(a.Seq - b.Seq) })
	var out []serve.LabelledPrediction
	for _, p := range found {
		joined := serve.LabelledPrediction{Prediction: *p}
		if l := s.latest[target{row{name{model, p.ID}, p.Index}, serve.LabelOutput}]; l != nil {
			joined.Truth = l.Label
		}
		out = append(out, joined)
	}
	return out, nil
}

// toMillis is the store boundary's precision: UTC milliseconds.
func toMillis(t time.Time) time.Time { return time.UnixMilli(t.UnixMilli()).UTC() }

func limit(n int) int {
	if n <= 0 {
		return serve.DefaultLimit
	}
	return n
}
