package retrain

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/mlloop/mlloop/drift/alert"
)

// cursors keeps the senders' cursors in the loop's store.
type cursors struct{ loop *Loop }

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
	return c.loop.config.Stores.Retrain.PutCursor(ctx, Cursor{
		Model: c.loop.config.Model, Sender: sender, Rev: stored.Rev + 1, Token: c.loop.leads.token(), Data: raw,
	})
}
