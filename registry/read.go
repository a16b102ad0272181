package registry

import (
	"context"
	"fmt"

	"github.com/mlloop/mlloop/internal/fault"
)

// Model returns a model by its name. Errors: Invalid, NotFound.
func (c *Client) Model(ctx context.Context, model string) (Model, error) {
	var problems fault.Problems
	checkModel(&problems, model)
	return ask(problems, func() (Model, error) { return c.store.Model(ctx, model) }, "get model "+model)
}

// Version returns a model's version by its number, as the tables have it: Resolve
// also asks the audit trail. Errors: Invalid, NotFound.
func (c *Client) Version(ctx context.Context, model string, number int64) (Version, error) {
	var problems fault.Problems
	checkModel(&problems, model)
	checkNumber(&problems, "version", number, 1)
	return ask(problems, func() (Version, error) { return c.store.Version(ctx, model, number) }, "get "+VersionRef(model, number))
}

// Alias returns where an alias points. Errors: Invalid; NotFound for the model
// or the alias.
func (c *Client) Alias(ctx context.Context, model, alias string) (Alias, error) {
	var problems fault.Problems
	checkModel(&problems, model)
	checkAlias(&problems, alias)
	return ask(problems, func() (Alias, error) {
		a, _, err := c.store.Alias(ctx, model, alias)
		return a, err
	}, "get alias "+model+"@"+alias)
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
