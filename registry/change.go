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
	// Token is the Alias.Seq that the caller read: a move of the alias is refused
	// when it has moved since, also when it points at the expected version again.
	// 0: only the version is compared. What is no move of an alias ignores it.
	Token int64
}

// RenameModel gives a model another name, as MLflow does: the old name is not
// found from then on, and free for another model. Versions, aliases and the
// trail stay with the model. A program that knows the model by its name, such as
// a server or a loop, has to be told the new one. Errors: Invalid; NotFound;
// AlreadyExists when another model has the name.
func (c *Client) RenameModel(ctx context.Context, model, to string, ch Change) (Model, error) {
	var problems fault.Problems
	checkModel(&problems, model)
	checkModel(&problems, to)
	e := c.event(model, ModelRenamed, ch)
	e.From, e.To = model, to
	e.check(&problems)
	m, err := ask(problems, func() (Model, error) { return c.store.RenameModel(ctx, model, to, e) }, fmt.Sprintf("rename model %s to %s", model, to))
	if err == nil && model != to {
		c.log.InfoContext(ctx, "registry: model renamed", "from", model, "to", to, "actor", e.Actor, "reason", e.Reason)
	}
	return m, err
}

// Promote makes the version champion, if expected is the champion now (0: there
// is none). It is SetAlias for Champion.
func (c *Client) Promote(ctx context.Context, model string, version, expected int64, ch Change) (Alias, error) {
	return c.SetAlias(ctx, model, Champion, expected, version, ch)
}

// SetAlias points the alias at version to, if it points at version from now (0:
// the alias does not exist) and has not moved since ch.Token. It returns the
// alias as it is now; its Seq is the fencing token of this move. It is a no-op
// when the alias points at to already, so that it may be done again. Errors:
// Invalid; NotFound; Conflict when it points elsewhere or was moved since, and
// when the version is rejected or archived.
func (c *Client) SetAlias(ctx context.Context, model, alias string, from, to int64, ch Change) (Alias, error) {
	var problems fault.Problems
	checkNumber(&problems, "version", to, 1)
	e := c.event(model, AliasSet, ch)
	e.Version, e.To = to, strconv.FormatInt(to, 10)
	a, moved, err := c.moveAlias(ctx, problems, AliasMove{Model: model, Alias: alias, From: from, Token: ch.Token, To: to, Event: e})
	if err != nil {
		return Alias{}, fmt.Errorf("registry: point %s@%s at version %d: %w", model, alias, to, err)
	}
	if moved {
		c.log.InfoContext(ctx, "registry: alias set", "alias", model+"@"+alias, "version", to, "token", a.Seq, "actor", e.Actor, "reason", e.Reason)
	}
	return a, nil
}

// DeleteAlias takes the alias away, if it points at version from now and has not
// moved since ch.Token. It returns an Alias of Version 0, whose Seq is the
// fencing token of the deletion. It is a no-op when there is no such alias.
// Errors: Invalid; NotFound for the model; Conflict when it points elsewhere or
// was moved since.
func (c *Client) DeleteAlias(ctx context.Context, model, alias string, from int64, ch Change) (Alias, error) {
	var problems fault.Problems
	checkNumber(&problems, "version", from, 1)
	e := c.event(model, AliasDeleted, ch)
	e.Version = from
	a, moved, err := c.moveAlias(ctx, problems, AliasMove{Model: model, Alias: alias, From: from, Token: ch.Token, Event: e})
	if err != nil {
		return Alias{}, fmt.Errorf("registry: delete alias %s@%s: %w", model, alias, err)
	}
	if moved {
		c.log.InfoContext(ctx, "registry: alias deleted", "alias", model+"@"+alias, "token", a.Seq, "actor", e.Actor, "reason", e.Reason)
	}
	return a, nil
}

func (c *Client) moveAlias(ctx context.Context, problems fault.Problems, m AliasMove) (Alias, bool, error) {
	checkModel(&problems, m.Model)
	checkAlias(&problems, m.Alias)
	checkNumber(&problems, "expected version", m.From, 0)
	checkNumber(&problems, "token", m.Token, 0)
	m.Event.check(&problems)
	if err := problems.Err(); err != nil {
		return Alias{}, false, err
	}
	m.Event.Alias = m.Alias
	if m.From != 0 {
		m.Event.From = strconv.FormatInt(m.From, 10)
	}
	return c.store.SetAlias(ctx, m)
}

// SetState moves a version from one state to another. It is a no-op when the
// version is in to already. Aliases stay where they are: move the champion away
// before rejecting it. Errors: Invalid; NotFound; Conflict when its state is
// neither.
func (c *Client) SetState(ctx context.Context, model string, number int64, from, to State, ch Change) error {
	var problems fault.Problems
	checkModel(&problems, model)
	checkNumber(&problems, "version", number, 1)
	checkState(&problems, from)
	checkState(&problems, to)
	e := c.event(model, VersionState, ch)
	e.Version, e.From, e.To = number, string(from), string(to)
	e.check(&problems)
	changed, err := ask(problems, func() (bool, error) { return c.store.SetState(ctx, model, number, from, to, e) },
		fmt.Sprintf("set the state of %s to %q", VersionRef(model, number), to))
	if changed {
		c.log.InfoContext(ctx, "registry: state set", "version", VersionRef(model, number), "state", to, "actor", e.Actor, "reason", e.Reason)
	}
	return err
}
