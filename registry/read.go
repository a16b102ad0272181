package registry

import (
	"context"
	"fmt"

	"github.com/mlloop/mlloop/internal/fault"
)

// Models returns all models, by name.
func (c *Client) Models(ctx context.Context) ([]Model, error) {
	models, err := c.store.Models(ctx)
	if err != nil {
		return nil, fmt.Errorf("registry: list models: %w", err)
	}
	return models, nil
}

// Version returns a model's version by its number. Errors: Invalid, NotFound.
func (c *Client) Version(ctx context.Context, model string, number int64) (Version, error) {
	var problems fault.Problems
	checkModel(&problems, model)
	checkNumber(&problems, "version", number, 1)
	return ask(problems, func() (Version, error) { return c.store.Version(ctx, model, number) }, "get "+VersionRef(model, number))
}

// Versions returns a model's versions, newest first. Errors: Invalid, NotFound
// for the model.
func (c *Client) Versions(ctx context.Context, model string) ([]Version, error) {
	var problems fault.Problems
	checkModel(&problems, model)
	return ask(problems, func() ([]Version, error) { return c.store.Versions(ctx, model) }, "list versions of "+model)
}

// Alias returns where an alias points. Errors: Invalid; NotFound for the model
// or the alias.
func (c *Client) Alias(ctx context.Context, model, alias string) (Alias, error) {
	var problems fault.Problems
	checkModel(&problems, model)
	checkAlias(&problems, alias)
	return ask(problems, func() (Alias, error) { return c.store.Alias(ctx, model, alias) }, "get alias "+model+"@"+alias)
}

// Aliases returns a model's aliases, by name. Errors: Invalid, NotFound for the
// model.
func (c *Client) Aliases(ctx context.Context, model string) ([]Alias, error) {
	var problems fault.Problems
	checkModel(&problems, model)
	return ask(problems, func() ([]Alias, error) { return c.store.Aliases(ctx, model) }, "list aliases of "+model)
}

// ask runs a query unless there are problems, and wraps its error once.
func ask[T any](problems fault.Problems, query func() (T, error), what string) (T, error) {
	var zero T
	if err := problems.Err(); err != nil {
		return zero, fmt.Errorf("registry: %s: %w", what, err)
	}
	got, err := query()
	if err != nil {
		return zero, fmt.Errorf("registry: %s: %w", what, err)
	}
	return got, nil
}
