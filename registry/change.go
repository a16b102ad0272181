package registry

import (
	"context"
	"fmt"
	"strconv"

	"github.com/mlloop/mlloop/internal/fault"
)

// Change says who changes something, and why.
type Change struct {
	Actor  string // "": the Client's
	Reason string
}

// Promote makes the version champion, if expected is the champion now (0: there
// is none). It is a no-op when the version is champion already, so that it may
// be done again. Errors: Invalid; NotFound; Conflict when another version is
// champion.
func (c *Client) Promote(ctx context.Context, model string, version, expected int64, ch Change) error {
	return c.SetAlias(ctx, model, Champion, expected, version, ch)
}

// SetAlias points the alias at version to, if it points at version from now (0:
// the alias does not exist). It is a no-op when the alias points at to already.
// Errors: Invalid; NotFound; Conflict when it points elsewhere.
func (c *Client) SetAlias(ctx context.Context, model, alias string, from, to int64, ch Change) error {
	var problems fault.Problems
	checkNumber(&problems, "version", to, 1)
	e := c.event(model, AliasSet, ch)
	e.Version, e.To = to, strconv.FormatInt(to, 10)
	err := c.moveAlias(ctx, problems, alias, from, to, e, ch)
	if err != nil {
		return fmt.Errorf("registry: point %s@%s at version %d: %w", model, alias, to, err)
	}
	c.log.InfoContext(ctx, "registry: alias set", "alias", model+"@"+alias, "version", to, "actor", e.Actor, "reason", e.Reason)
	return nil
}

// DeleteAlias takes the alias away, if it points at version from now. It is a
// no-op when there is no such alias. Errors: Invalid; NotFound for the model;
// Conflict when it points elsewhere.
func (c *Client) DeleteAlias(ctx context.Context, model, alias string, from int64, ch Change) error {
	var problems fault.Problems
	checkNumber(&problems, "version", from, 1)
	e := c.event(model, AliasDeleted, ch)
	e.Version = from
	err := c.moveAlias(ctx, problems, alias, from, 0, e, ch)
	if err != nil {
		return fmt.Errorf("registry: delete alias %s@%s: %w", model, alias, err)
	}
	c.log.InfoContext(ctx, "registry: alias deleted", "alias", model+"@"+alias, "actor", e.Actor, "reason", e.Reason)
	return nil
}

func (c *Client) moveAlias(ctx context.Context, problems fault.Problems, alias string, from, to int64, e Event, ch Change) error {
	checkModel(&problems, e.Model)
	checkAlias(&problems, alias)
	checkNumber(&problems, "expected version", from, 0)
	ch.check(&problems)
	if err := problems.Err(); err != nil {
		return err
	}
	e.Alias = alias
	if from != 0 {
		e.From = strconv.FormatInt(from, 10)
	}
	return c.store.SetAlias(ctx, e.Model, alias, from, to, e.Time, e)
}

// SetState moves a version from one state to another. It is a no-op when the
// version is in to already. Errors: Invalid; NotFound; Conflict when its state
// is neither.
func (c *Client) SetState(ctx context.Context, model string, number int64, from, to State, ch Change) error {
	var problems fault.Problems
	checkModel(&problems, model)
	checkNumber(&problems, "version", number, 1)
	checkState(&problems, from)
	checkState(&problems, to)
	ch.check(&problems)
	e := c.event(model, VersionState, ch)
	e.Version, e.From, e.To = number, string(from), string(to)
	err := problems.Err()
	if err == nil {
		err = c.store.SetState(ctx, model, number, from, to, e)
	}
	if err != nil {
		return fmt.Errorf("registry: set the state of %s to %q: %w", VersionRef(model, number), to, err)
	}
	c.log.InfoContext(ctx, "registry: state set", "version", VersionRef(model, number), "state", to, "actor", e.Actor, "reason", e.Reason)
	return nil
}
