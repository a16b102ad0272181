package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"

	"time"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/internal/id"
	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/tracking/artifact"
)

// Options are a Client's settings. The zero value of each is its default.
type Options struct {
	Actor  string           // who acts when a change names nobody; "": "unknown"; checked with each change
	Now    func() time.Time // nil: time.Now
	Logger *slog.Logger     // nil: silent
	// Cache keeps the bundles' files on this machine, so that Load and Get fetch and
	// verify each once. Several Clients may share one. nil: they read the artifact
	// store each time.
	Cache *artifact.Cache
}

// Client is the front of a registry. It is safe for concurrent use.
type Client struct {
	store     Store
	artifacts artifact.Store
	cache     *artifact.Cache // nil: none
	actor     string
	now       func() time.Time
	log       *slog.Logger
	vouched   vouched
}

// New returns a Client over a store and the files of the bundles. It does no
// I/O, and owns neither: close the store when the last Client is done with it.
func New(store Store, artifacts artifact.Store, opts *Options) *Client {
	if opts == nil {
		opts = &Options{}
	}
	c := &Client{store: store, artifacts: artifacts, cache: opts.Cache, actor: cmp.Or(opts.Actor, "unknown"), now: opts.Now, log: opts.Logger}
	if c.now == nil {
		c.now = time.Now
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Registration says more about a new version. The zero value of each field is
// its default.
type Registration struct {
	// Key makes Register idempotent: the model's version with this key, if there
	// is one, comes back and nothing is stored. "": every call makes a version.
	Key     string
	Lineage Lineage
	Actor   string // who; "": the Client's
	Reason  string // why
}

// Register stores the bundle and makes it the model's next version, a
// candidate. The model is created with its first version. It is safe to call
// again with the same Key after a crash or an error.
//
// Errors: Invalid; AlreadyExists when the Key belongs to a version with another
// digest; NotFound when the parent in the lineage does not exist; Unavailable.
func (c *Client) Register(ctx context.Context, model string, b *bundle.Bundle, r *Registration) (Version, error) {
	if r == nil {
		r = &Registration{}
	}
	v, created, err := c.register(ctx, model, b, *r)
	if err != nil {
		return Version{}, fmt.Errorf("registry: register a version of %q: %w", model, err)
	}
	if created {
		c.log.InfoContext(ctx, "registry: version registered", "version", VersionRef(model, v.Number), "digest", v.Digest)
	}
	return v, nil
}

func (c *Client) register(ctx context.Context, model string, b *bundle.Bundle, r Registration) (v Version, created bool, err error) {
	var problems fault.Problems
	checkModel(&problems, model)
	r.check(&problems)
	e := c.event(model, VersionCreated, Change{Actor: r.Actor, Reason: r.Reason})
	e.check(&problems)
	if b == nil {
		problems.Addf("the bundle is nil")
	}
	if err := problems.Err(); err != nil {
		return Version{}, false, err
	}
	if r.Lineage.Parent != 0 {
		if _, err := c.store.Version(ctx, model, r.Lineage.Parent); err != nil {
			return Version{}, false, fmt.Errorf("lineage: parent: %w", err)
		}
	}
	// Bytes first: a version is never without its files.
	if err := c.putFiles(ctx, b); err != nil {
		return Version{}, false, err
	}
	e.To, e.Digest = string(Candidate), b.Digest()
	v = Version{Model: model, Digest: e.Digest, Key: r.Key, State: Candidate, Lineage: r.Lineage.stored(), CreatedAt: e.Time}
	stored, created, err := c.store.CreateVersion(ctx, v, e)
	if !errors.Is(err, ErrNotFound) {
		return stored, created, err
	}
	if err := c.createModel(ctx, e); err != nil && !errors.Is(err, ErrAlreadyExists) { // another process may be quicker
		return Version{}, false, err
	}
	return c.store.CreateVersion(ctx, v, e)
}

// createModel makes the model that the event e is about.
func (c *Client) createModel(ctx context.Context, e Event) error {
	m := Model{ID: id.New(), Name: e.Model, CreatedAt: e.Time}
	return c.store.CreateModel(ctx, m, Event{Model: e.Model, Kind: ModelCreated, To: e.Model, Actor: e.Actor, Reason: e.Reason, Time: e.Time})
}

// Put stores the bundle's files without making a version of it, and returns
// its digest, by which Get finds it. Put again is a no-op. Errors: Invalid for
// nil; Unavailable.
func (c *Client) Put(ctx context.Context, b *bundle.Bundle) (digest string, err error) {
	if b == nil {
		return "", fault.Errorf(ErrInvalid, "registry: put bundle: the bundle is nil")
	}
	if err := c.putFiles(ctx, b); err != nil {
		return "", fmt.Errorf("registry: put bundle: %w", err)
	}
	return b.Digest(), nil
}

// timestamp is now as stores keep it: UTC milliseconds.
func (c *Client) timestamp() time.Time { return time.UnixMilli(c.now().UnixMilli()).UTC() }

// event begins the event of a change.
func (c *Client) event(model, kind string, ch Change) Event {
	return Event{Model: model, Kind: kind, Actor: cmp.Or(ch.Actor, c.actor), Reason: ch.Reason, Time: c.timestamp()}
}
