package retrain

import (
	"context"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/train/frame"
)

// Source yields the rows that a retraining may learn from. The loop itself
// drops rows whose label cannot be known yet and orders the rest by time.
// Implementations are safe for concurrent use and return the same rows for the
// same now: a durable step that is run again must see what it saw before.
type Source interface {
	Rows(ctx context.Context, now time.Time) (*frame.Table, error)
}

// SourceFunc makes a function a Source.
type SourceFunc func(ctx context.Context, now time.Time) (*frame.Table, error)

func (f SourceFunc) validate(p *fault.Problems) {
	if f == nil {
		p.Addf("SourceFunc: the function is nil")
	}
}

// Rows implements Source.
func (f SourceFunc) Rows(ctx context.Context, now time.Time) (*frame.Table, error) {
	return f(ctx, now)
}
