package servemem

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/serve"
)

// Store is a serve.Store in memory. The zero value is not ready: call New. It
// is safe for concurrent use.
type Store struct {
	serve.UnimplementedStore

	mu          sync.Mutex
	predictions []serve.Prediction // predictions[i].Seq == i+1
	stored      map[slot]bool
	byID        map[name][]int // indexes into predictions
	labels      []serve.Label  // labels[i].Seq == i+1
	labelOf     map[name]int   // index into labels
	routes      map[string]serve.Route
}

type name struct{ model, id string }

// slot is what one stored prediction takes up: a later one for the same slot
// is passed over.
type slot struct {
	name
	shadow bool
}

var _ serve.Store = (*Store)(nil)

// New returns an empty store.
func New() *Store {
	return &Store{
		stored:  map[slot]bool{},
		byID:    map[name][]int{},
		labelOf: map[name]int{},
		routes:  map[string]serve.Route{},
	}
}

// AppendPredictions implements serve.Store.
func (s *Store) AppendPredictions(ctx context.Context, ps []serve.Prediction) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range ps {
		n := name{p.Model, p.ID}
		at := slot{n, p.Variant == serve.Shadow}
		if s.stored[at] {
			continue
		}
		s.stored[at] = true
		s.byID[n] = append(s.byID[n], len(s.predictions))
		p.Seq = int64(len(s.predictions)) + 1
		p.Time = toMillis(p.Time)
		p.Features.Values = slices.Clone(p.Features.Values)
		p.Scores = slices.Clone(p.Scores)
		s.predictions = append(s.predictions, p)
	}
	return nil
}

// AppendLabels implements serve.Store.
func (s *Store) AppendLabels(ctx context.Context, ls []serve.Label) (unknown []string, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var fresh []serve.Label
	named := map[string]bool{} // IDs in unknown
	seen := map[name]serve.Label{}
	for _, l := range ls {
		n := name{l.Model, l.ID}
		if len(s.byID[n]) == 0 {
			if !named[l.ID] {
				named[l.ID] = true
				unknown = append(unknown, l.ID)
			}
			continue
		}
		before, ok := seen[n]
		if i, labelled := s.labelOf[n]; labelled {
			before, ok = s.labels[i], true
		}
		switch {
		case !ok:
			seen[n] = l
			fresh = append(fresh, l)
		case !before.Value.Equal(l.Value):
			return nil, fault.Errorf(fault.Conflict, "prediction %q has the label %q: it cannot become %q", l.ID, before.Value.Text(), l.Value.Text())
		}
	}
	for _, l := range fresh {
		s.labelOf[name{l.Model, l.ID}] = len(s.labels)
		l.Seq = int64(len(s.labels)) + 1
		l.Time = toMillis(l.Time)
		s.labels = append(s.labels, l)
	}
	return unknown, nil
}

// Predictions implements serve.Store.
func (s *Store) Predictions(ctx context.Context, q serve.PredictionQuery) ([]serve.Prediction, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []serve.Prediction
	for i := clamp(q.After, len(s.predictions)); i < len(s.predictions) && len(out) < limit(q.Limit); i++ {
		p := s.predictions[i]
		if p.Model == q.Model && (len(q.Variants) == 0 || slices.Contains(q.Variants, p.Variant)) {
			out = append(out, p)
		}
	}
	return out, nil
}

// Labels implements serve.Store.
func (s *Store) Labels(ctx context.Context, q serve.LabelQuery) ([]serve.LabelledPrediction, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []serve.LabelledPrediction
	labels := 0
	for i := clamp(q.After, len(s.labels)); i < len(s.labels) && labels < limit(q.Limit); i++ {
		l := s.labels[i]
		if l.Model != q.Model {
			continue
		}
		labels++
		shadowLast := slices.Clone(s.byID[name{l.Model, l.ID}])
		slices.SortFunc(shadowLast, func(a, b int) int { return shadowRank(s.predictions[a]) - shadowRank(s.predictions[b]) })
		for _, j := range shadowLast {
			out = append(out, serve.LabelledPrediction{Prediction: s.predictions[j], Label: l})
		}
	}
	return out, nil
}

// Lookup implements serve.Store.
func (s *Store) Lookup(ctx context.Context, model string, ids []string) ([]serve.LabelledPrediction, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []int
	for _, id := range ids {
		found = append(found, s.byID[name{model, id}]...)
	}
	slices.Sort(found)
	var out []serve.LabelledPrediction
	for _, i := range slices.Compact(found) {
		p := serve.LabelledPrediction{Prediction: s.predictions[i]}
		if j, ok := s.labelOf[name{model, p.ID}]; ok {
			p.Label = s.labels[j]
		}
		out = append(out, p)
	}
	return out, nil
}

// Counts implements serve.Store.
func (s *Store) Counts(ctx context.Context, model string) (serve.Counts, error) {
	if err := ctx.Err(); err != nil {
		return serve.Counts{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var c serve.Counts
	for _, p := range s.predictions {
		switch {
		case p.Model != model:
		case p.Variant == serve.Shadow:
			c.Shadow++
		default:
			c.Predictions++
		}
	}
	for _, l := range s.labels {
		if l.Model == model {
			c.Labels++
		}
	}
	return c, nil
}

// PutRoute implements serve.Store.
func (s *Store) PutRoute(ctx context.Context, r serve.Route) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.routes[r.Model].Rev; now != r.Rev-1 {
		return fault.Errorf(fault.Conflict, "the route of model %q is at revision %d, revision %d does not follow: read it again", r.Model, now, r.Rev)
	}
	s.routes[r.Model] = r
	return nil
}

// Route implements serve.Store.
func (s *Store) Route(ctx context.Context, model string) (serve.Route, error) {
	if err := ctx.Err(); err != nil {
		return serve.Route{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.routes[model]
	if !ok {
		return serve.Route{}, fault.Errorf(fault.NotFound, "model %q has no stored route: not found", model)
	}
	return r, nil
}

func shadowRank(p serve.Prediction) int {
	if p.Variant == serve.Shadow {
		return 1
	}
	return 0
}

// toMillis is the store boundary's precision: UTC milliseconds.
func toMillis(t time.Time) time.Time { return time.UnixMilli(t.UnixMilli()).UTC() }

// clamp turns a Seq into the index of the record after it.
func clamp(after int64, n int) int { return int(max(0, min(after, int64(n)))) }

func limit(n int) int {
	if n <= 0 {
		return serve.DefaultLimit
	}
	return n
}
