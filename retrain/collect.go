package retrain

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/tracking/artifact"
)

// CollectOptions say what Collect removes. The zero value of each field is its
// default; nil means all of them.
type CollectOptions struct {
	// Grace is how long something that nothing names may lie there, for it may be
	// named yet. It is what a caller may take from putting a file to logging or
	// registering it. At least an hour. 0: 24 h.
	Grace time.Duration
	// Workflows is how long what the engine keeps of a workflow stays once that has
	// ended. 0: 30 days. Negative: for ever.
	Workflows time.Duration
	// Rejected is how old the bundle of a rejected version gets. The version stays,
	// archived, with an event that says so. 0: 90 days. Negative: as old as it will.
	Rejected time.Duration
	// Keep reports whether the service itself has a use for an artifact that nothing
	// in the stores names. With it Collect removes the others even when the stores do
	// not own their Artifacts. nil: it has none.
	Keep func(digest string) bool
	// Now is the time by which Workflows and Rejected are measured; zero: the clock's.
	// Grace is measured by the clock.
	Now time.Time
}

// CollectReport says what Collect removed.
type CollectReport struct {
	Workflows int   // ended workflows
	Bundles   int   // rejected versions that were archived, whose bundles are named no longer
	Artifacts int64 // files
	Bytes     int64 // of these
}

func (o *CollectOptions) withDefaults() (CollectOptions, error) {
	var c CollectOptions
	if o != nil {
		c = *o
	}
	for _, d := range []struct {
		field   *time.Duration
		without time.Duration
	}{{&c.Grace, 24 * time.Hour}, {&c.Workflows, 30 * 24 * time.Hour}, {&c.Rejected, 90 * 24 * time.Hour}} {
		if *d.field == 0 {
			*d.field = d.without
		}
	}
	if c.Grace < time.Hour {
		return c, fault.Errorf(fault.Invalid, "Grace is %s: want an hour or more", c.Grace)
	}
	if c.Now.IsZero() {
		c.Now = time.Now()
	}
	return c, nil
}

// Collect removes what nobody needs: the engine's record of workflows that ended
// long ago, the bundles of versions that were rejected long ago, and artifacts
// that no run and no version names, such as those of fits that failed. It never
// removes what is named, nor what may be named yet: what was put, or put again,
// within the grace, or since the oldest workflow or retraining under way began.
//
// An artifact has to be named within the grace of its last Put. The version of a
// rejected bundle stays as well while an alias, a route, a monitor or a retraining
// under way names it.
//
// It may run while everything else does, in several processes too, and be cut
// off. A run of it reads the names of all runs' files, and lists all artifacts; it
// holds a few megabytes in memory. Artifacts are left alone unless the stores own
// them, or Keep is given.
//
// Errors: Invalid; Conflict before the engine is launched; Corrupt when a
// bundle's manifest is missing or damaged, and nobody can tell what it names: no
// artifact is removed then. What could be done is done, and reported, in spite of
// an error.
func (s *Stores) Collect(ctx context.Context, opts *CollectOptions) (CollectReport, error) {
	var report CollectReport
	o, err := opts.withDefaults()
	if err == nil {
		c := &collection{stores: s, opts: o, report: &report, models: registry.New(s.Registry, s.Artifacts, &registry.Options{Actor: CollectActor})}
		err = c.run(ctx)
	}
	if err != nil {
		return report, fmt.Errorf("retrain: collect: %w", err)
	}
	return report, nil
}

// CollectActor is who archives rejected versions, by the audit trail.
const CollectActor = "mlloop collector"

// collection is one run of Collect.
type collection struct {
	stores *Stores
	opts   CollectOptions
	models *registry.Client
	report *CollectReport

	since   time.Time                 // what was begun then is under way
	removed map[versionName]bool      // versions whose bundles are named no longer
	busy    map[string]map[int64]bool // by model: versions that something else than the registry names
}

type versionName struct {
	model  string
	number int64
}

func (c *collection) run(ctx context.Context) error {
	c.since = time.Now()
	if err := c.findUnderWay(ctx); err != nil {
		return err
	}
	var errs []error
	if c.opts.Workflows > 0 {
		n, err := c.stores.Engine.Forget(ctx, earlier(c.opts.Now.Add(-c.opts.Workflows), c.since))
		c.report.Workflows = n
		errs = append(errs, err)
	}
	err := c.archiveRejected(ctx)
	if err == nil && (c.stores.OwnsArtifacts || c.opts.Keep != nil) {
		err = c.sweep(ctx)
	}
	return errors.Join(append(errs, err)...)
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// findUnderWay finds since when something is under way, and which versions are
// named outside the registry.
func (c *collection) findUnderWay(ctx context.Context) error {
	for w, err := range c.stores.Engine.List(ctx, ListQuery{Unfinished: true}) {
		if err != nil {
			return err
		}
		c.since = earlier(c.since, w.Started)
	}
	c.busy = make(map[string]map[int64]bool)
	for m, err := range c.models.Models(ctx) {
		if err != nil {
			return err
		}
		busy, err := c.busyVersions(ctx, m.Name)
		if err != nil {
			return fmt.Errorf("model %s: %w", m.Name, err)
		}
		c.busy[m.Name] = busy
	}
	return nil
}

// busyVersions are the versions that a route, a monitor or the latest
// retraining, unless it has ended, names.
func (c *collection) busyVersions(ctx context.Context, model string) (map[int64]bool, error) {
	busy := make(map[int64]bool)
	route, err := c.stores.Serve.Route(ctx, model)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	busy[route.Primary], busy[route.Canary], busy[route.Shadow] = true, true, true
	checkpoint, err := c.stores.Drift.Checkpoint(ctx, model)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	busy[checkpoint.Version] = true
	latest, err := c.stores.Retrain.Retrainings(ctx, RetrainingQuery{Model: model, Last: 1})
	if err != nil {
		return nil, err
	}
	for _, r := range latest {
		if !r.Stage.Final() {
			busy[r.Version], busy[r.Champion] = true, true
			c.since = earlier(c.since, r.StartedAt)
		}
	}
	return busy, nil
}

// sweepBatch is how many artifacts are looked at in one go.
const sweepBatch = 1 << 16

// sweep removes the artifacts that nothing names. What lies there is listed
// first, and then what is named is found, so that a name that came in between
// counts. Whoever names something puts it before, which makes it new to Expire.
func (c *collection) sweep(ctx context.Context) error {
	cutoff := earlier(time.Now().Add(-c.opts.Grace), c.since)
	old := make(map[string]int64) // sizes by digest
	for a, err := range c.stores.Artifacts.List(ctx) {
		if err != nil {
			return err
		}
		if a.ModTime.Before(cutoff) && (c.opts.Keep == nil || !c.opts.Keep(a.Digest)) {
			old[a.Digest] = a.Size
		}
		if len(old) == sweepBatch {
			if err := c.expire(ctx, old, cutoff); err != nil {
				return err
			}
			clear(old)
		}
	}
	return c.expire(ctx, old, cutoff)
}

// expire removes those of the artifacts that nothing names.
func (c *collection) expire(ctx context.Context, old map[string]int64, cutoff time.Time) error {
	if len(old) == 0 {
		return nil
	}
	for digest, err := range c.named(ctx) {
		if err != nil {
			return err
		}
		delete(old, digest)
	}
	for digest, size := range old {
		removed, err := c.stores.Artifacts.Expire(ctx, digest, cutoff)
		if err != nil && !errors.Is(err, artifact.ErrNotFound) {
			return err
		}
		if removed {
			c.report.Artifacts, c.report.Bytes = c.report.Artifacts+1, c.report.Bytes+size
		}
	}
	return nil
}
