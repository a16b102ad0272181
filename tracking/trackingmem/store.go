package trackingmem

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/tracking"
)

// Store is a tracking.Store in memory. It is safe for concurrent use.
type Store struct {
	tracking.UnimplementedStore

	mu          sync.Mutex
	experiments map[string]tracking.Experiment // by name
	runs        map[string]*run                // by id
}

var _ tracking.Store = (*Store)(nil)

type run struct {
	tracking.RunInfo
	metrics   map[string][]tracking.Metric // each key's points in the order of Metric.Compare
	params    map[string]string
	tags      map[string]string
	inputs    []tracking.Input    // by name, digest, context
	artifacts []tracking.Artifact // by path
}

// New returns an empty store.
func New() *Store {
	return &Store{experiments: map[string]tracking.Experiment{}, runs: map[string]*run{}}
}

// CreateExperiment implements tracking.Store.
func (s *Store) CreateExperiment(ctx context.Context, e tracking.Experiment) error {
	if err := ready(ctx, tracking.CheckText(e.ID, e.Name)); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, other := range s.experiments {
		if other.ID == e.ID || other.Name == e.Name {
			return fault.Errorf(tracking.ErrAlreadyExists, "experiment %q: already exists", e.Name)
		}
	}
	s.experiments[e.Name] = e
	return nil
}

// Experiment implements tracking.Store.
func (s *Store) Experiment(ctx context.Context, name string) (tracking.Experiment, error) {
	if err := ready(ctx, tracking.CheckText(name)); err != nil {
		return tracking.Experiment{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.experiments[name]
	if !ok {
		return tracking.Experiment{}, fault.Errorf(tracking.ErrNotFound, "not found")
	}
	return e, nil
}

// Experiments implements tracking.Store.
func (s *Store) Experiments(ctx context.Context) ([]tracking.Experiment, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Values(s.experiments), func(a, b tracking.Experiment) int {
		return strings.Compare(a.Name, b.Name)
	}), nil
}

// CreateRun implements tracking.Store.
func (s *Store) CreateRun(ctx context.Context, info tracking.RunInfo) error {
	if err := ready(ctx, info.CheckText()); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.runs[info.ID]; ok {
		return fault.Errorf(tracking.ErrAlreadyExists, "run %s: already exists", info.ID)
	}
	known := func(e tracking.Experiment) bool { return e.ID == info.ExperimentID }
	if !slices.ContainsFunc(slices.Collect(maps.Values(s.experiments)), known) {
		return fault.Errorf(tracking.ErrNotFound, "experiment %s: not found", info.ExperimentID)
	}
	info.Rev = 1
	s.runs[info.ID] = &run{
		RunInfo: info,
		metrics: map[string][]tracking.Metric{},
		params:  map[string]string{},
		tags:    map[string]string{},
	}
	return nil
}

// UpdateRun implements tracking.Store.
func (s *Store) UpdateRun(ctx context.Context, p tracking.RunPatch) (info tracking.RunInfo, err error) {
	if err := p.CheckText(); err != nil {
		return info, err
	}
	err = s.withRun(ctx, p.ID, func(r *run) error {
		if p.Rev == 0 || p.Rev == r.Rev {
			r.RunInfo = p.Apply(r.RunInfo)
			info = r.RunInfo
			return nil
		}
		info = r.RunInfo
		return fault.Errorf(tracking.ErrConflict, "run %s is at revision %d, not %d: read it again", p.ID, r.Rev, p.Rev)
	})
	return info, err
}

// Run implements tracking.Store.
func (s *Store) Run(ctx context.Context, id string) (record tracking.RunRecord, err error) {
	err = s.withRun(ctx, id, func(r *run) error {
		record = r.record()
		return nil
	})
	return record, err
}

// Runs implements tracking.Store.
func (s *Store) Runs(ctx context.Context, q tracking.RunQuery) ([]tracking.RunRecord, string, error) {
	if err := ready(ctx, q.CheckText()); err != nil {
		return nil, "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	after := func(*run) bool { return true }
	if q.Page != "" { // the token is the id of the last run of the page before
		last, ok := s.runs[q.Page]
		if !ok {
			return nil, "", fault.Errorf(tracking.ErrInvalid, "page token %q: unknown", q.Page)
		}
		after = func(r *run) bool { return newestFirst(last, r) < 0 }
	}
	var found []*run
	for _, r := range s.runs {
		if r.matches(q) && after(r) {
			found = append(found, r)
		}
	}
	slices.SortFunc(found, newestFirst)
	next := ""
	if limit := cmp.Or(q.Limit, 1000); len(found) > limit {
		found = found[:limit]
		next = found[limit-1].ID
	}
	records := make([]tracking.RunRecord, len(found))
	for i, r := range found {
		records[i] = r.record()
	}
	return records, next, nil
}

// Log implements tracking.Store.
func (s *Store) Log(ctx context.Context, id string, b tracking.Batch) error {
	if err := b.CheckText(); err != nil {
		return err
	}
	return s.withRun(ctx, id, func(r *run) error { return r.log(b) })
}

// MetricHistory implements tracking.Store.
func (s *Store) MetricHistory(ctx context.Context, id, key string) (points []tracking.Metric, err error) {
	if err := tracking.CheckText(key); err != nil {
		return nil, err
	}
	err = s.withRun(ctx, id, func(r *run) error {
		points = slices.Clone(r.metrics[key])
		return nil
	})
	return points, err
}

// Close does nothing: the data stays, and the store can be used on.
func (s *Store) Close() error { return nil }

func (s *Store) withRun(ctx context.Context, id string, use func(*run) error) error {
	if err := ready(ctx, tracking.CheckText(id)); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.runs[id]
	if !ok {
		return fault.Errorf(tracking.ErrNotFound, "not found")
	}
	return use(r)
}

// ready returns the error of ctx, or what is wrong with the texts.
func ready(ctx context.Context, texts error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return texts
}
