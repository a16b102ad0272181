package registry

import (
	"context"
	"fmt"

	"github.com/mlloop/mlloop/internal/fault"
)

// Resolve returns the version that ref names, see ParseRef, after checking that
// the audit trail vouches for it: the event that made the version carries its
// digest and lineage, the newest event that moved the alias its target. The check
// reads those events once per version and move; a warm Resolve is one indexed
// read, and takes a row that is as it was the last time. That a version's state
// and the model's name are as the trail has them is for VerifyAudit to say.
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
	return settled(func() (Version, error) { return c.resolveOnce(ctx, r) })
}

func (c *Client) resolveOnce(ctx context.Context, r Ref) (Version, error) {
	if r.Number != 0 || r.Alias == Latest { // the newest is number 0
		v, err := c.store.Version(ctx, r.Model, r.Number)
		if err != nil {
			return Version{}, err
		}
		return v, c.vouchVersion(ctx, v)
	}
	v, err := c.resolveAlias(ctx, r)
	if err != nil {
		return Version{}, err
	}
	return v, c.vouchVersion(ctx, v)
}

// resolveAlias returns the version that an alias points at, by the trail too.
func (c *Client) resolveAlias(ctx context.Context, r Ref) (Version, error) {
	a, v, err := c.store.Alias(ctx, r.Model, r.Alias)
	for err == nil {
		var newest int64
		newest, err = c.vouchAlias(ctx, a, v.ModelID)
		if err != nil || newest == a.Seq {
			break
		}
		before, id := a, v.ModelID // the newest move may have come after the row was read
		if a, v, err = c.store.Alias(ctx, r.Model, r.Alias); err == nil && a == before && v.ModelID == id {
			err = fault.Errorf(ErrCorrupt, "alias %s is as event %d left it, but event %d moved it since: the row was put back beside the audit trail", a.Name, a.Seq, newest)
		}
	}
	if err != nil {
		return Version{}, err
	}
	return v, nil
}
