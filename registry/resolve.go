package registry

import (
	"context"
	"fmt"
)

// Resolve returns the version that ref names, see ParseRef, after checking that
// the audit trail vouches for it: the event that made the version carries its
// digest and lineage, the event that moved the alias its target. The check reads
// those events once per version and move; a warm Resolve is one indexed read.
// Errors: Invalid, NotFound; Corrupt, naming it, when the version or the alias
// was changed beside the trail.
func (c *Client) Resolve(ctx context.Context, ref string) (Version, error) {
	v, err := c.resolve(ctx, ref)
	if err != nil {
		return Version{}, fmt.Errorf("registry: resolve %s: %w", ref, err)
	}
	return v, nil
}

func (c *Client) resolve(ctx context.Context, ref string) (Version, error) {
	r, err := ParseRef(ref)
	if err != nil {
		return Version{}, err
	}
	if r.Number != 0 || r.Alias == Latest { // the newest is number 0
		v, err := c.store.Version(ctx, r.Model, r.Number)
		if err != nil {
			return Version{}, err
		}
		return v, c.vouchVersion(ctx, v)
	}
	a, v, err := c.store.Alias(ctx, r.Model, r.Alias)
	if err != nil {
		return Version{}, err
	}
	if err := c.vouchAlias(ctx, a, v.ModelID); err != nil {
		return Version{}, err
	}
	return v, c.vouchVersion(ctx, v)
}
