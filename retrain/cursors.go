package retrain

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/mlloop/mlloop/drift/alert"
)

// cursors keeps the senders' cursors in the loop's store.
type cursors struct{ loop *Loop }

// term is the key of a delivery's context under which its lease's token is.
type term struct{}

// underTerm returns the context of a delivery that was begun under a lease. A
// message may take its sender long: its cursor is stored under the token of then,
// which is refused when another process has delivered meanwhile.
func underTerm(ctx context.Context, token int64) context.Context {
	return context.WithValue(ctx, term{}, token)
}

func (c cursors) stored(ctx context.Context, sender string) (Cursor, error) {
	return c.loop.config.Stores.Retrain.Cursor(ctx, c.loop.config.Model, sender)
}

// Load implements alert.Cursors.
func (c cursors) Load(ctx context.Context, sender string) (alert.Cursor, error) {
	var cursor alert.Cursor
	stored, err := c.stored(ctx, sender)
	if err == nil {
		err = json.Unmarshal(stored.Data, &cursor)
	}
	return cursor, err
}

// Save implements alert.Cursors.
func (c cursors) Save(ctx context.Context, sender string, cursor alert.Cursor) error {
	raw, err := json.Marshal(cursor)
	if err != nil {
		return err
	}
	stored, err := c.stored(ctx, sender)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	token, _ := ctx.Value(term{}).(int64)
	return c.loop.config.Stores.Retrain.PutCursor(ctx, Cursor{
		Model: c.loop.config.Model, Sender: sender, Rev: stored.Rev + 1, Token: token, Data: raw,
	})
}
