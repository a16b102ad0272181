package registry

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
)

// doubts are the rows that were not as the trail had them when they were read.
type doubts struct {
	versions []Version
	aliases  map[string]target
}

// compare reads the model's tables and returns what is not as the trail has it.
// Versions are numbered without gaps, so that a missing one is found at once.
func (c *Client) compare(ctx context.Context, r *replay) (*doubts, error) {
	d := &doubts{aliases: map[string]target{}}
	m, err := c.store.Model(ctx, r.model)
	if err != nil {
		return nil, err
	}
	if !m.CreatedAt.Equal(r.created) {
		return nil, fault.Errorf(ErrCorrupt, "the model was created at %s by its table, at %s by event 1", m.CreatedAt.Format(time.RFC3339Nano), r.created.Format(time.RFC3339Nano))
	}
	above := int64(0) // the version before this one in the list; 0: none
	for v, err := range c.Versions(ctx, r.model) {
		if err != nil {
			return nil, err
		}
		if above == 0 && v.Number < int64(len(r.versions)) || above != 0 && v.Number != above-1 {
			return nil, missingVersion(v.Number + 1)
		}
		if r.checkVersion(v) != nil {
			d.versions = append(d.versions, v)
		}
		above = v.Number
	}
	if above > 1 || above == 0 && len(r.versions) > 0 {
		return nil, missingVersion(1)
	}
	return d, c.compareAliases(ctx, r, d)
}

func missingVersion(number int64) error {
	return fault.Errorf(ErrCorrupt, "version %d is in the trail and missing in its table", number)
}

func (c *Client) compareAliases(ctx context.Context, r *replay, d *doubts) error {
	found := map[string]bool{}
	for a, err := range c.Aliases(ctx, r.model) {
		if err != nil {
			return err
		}
		found[a.Name] = true
		if t := (target{version: a.Version, seq: a.Seq, moved: a.MovedAt.UnixMilli()}); r.aliases[a.Name] != t {
			d.aliases[a.Name] = t
		}
	}
	for name := range r.aliases {
		if !found[name] {
			d.aliases[name] = target{}
		}
	}
	return nil
}

// checkVersion takes a version that is as the trail has it, now or for a while
// since the tables began to be read.
func (r *replay) checkVersion(v Version) error {
	if v.Number < 1 || v.Number > int64(len(r.versions)) {
		return fault.Errorf(ErrCorrupt, "version %d is in its table and not in the trail", v.Number)
	}
	o := r.versions[v.Number-1]
	states := []State{o.state}
	if r.passed != nil {
		states = append(states, r.passed.states[v.Number]...)
	}
	switch {
	case v.Digest != o.digest:
		return fault.Errorf(ErrCorrupt, "version %d has the digest %s in its table, %s by event %d", v.Number, v.Digest, o.digest, o.seq)
	case v.Seq != o.seq || v.ContentHash() != o.content:
		return fault.Errorf(ErrCorrupt, "version %d: its key, lineage or time in its table is not what event %d made", v.Number, o.seq)
	case !slices.Contains(states, v.State):
		return fault.Errorf(ErrCorrupt, "version %d is %s in its table, %s by the trail", v.Number, v.State, o.state)
	}
	return nil
}

// settle takes the doubts that the events since have explained.
func (d *doubts) settle(r *replay) error {
	for _, v := range d.versions {
		if err := r.checkVersion(v); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d.aliases)) { // the first one is named, the same each time
		t, now := d.aliases[name], r.aliases[name]
		if t == now || slices.Contains(r.passed.aliases[name], t) {
			continue
		}
		if t.version == now.version && t.seq == now.seq {
			return fault.Errorf(ErrCorrupt, "alias %s was moved at %s by its table, at %s by event %d", name, t.since(), now.since(), now.seq)
		}
		return fault.Errorf(ErrCorrupt, "alias %s points at version %d (event %d) in its table, at version %d (event %d) by the trail (0: it does not exist)", name, t.version, t.seq, now.version, now.seq)
	}
	return nil
}

// since is when the alias was moved there.
func (t target) since() string { return time.UnixMilli(t.moved).UTC().Format(time.RFC3339Nano) }
