package retrain

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/mlloop/mlloop/serve"
)

// askAgain has the shadow asked about logged rows of its stage that it has no
// answer to: those that waited for it when the last life ended.
func (l *Loop) askAgain(ctx context.Context, a *attempt, s *shadowWatch) error {
	rows, err := l.unshadowed(ctx, a, s)
	for err == nil && len(rows) > 0 { // the shadow's queue is bounded
		var done int
		if done, err = l.server.AskShadow(ctx, l.config.Model, rows); err != nil || done == 0 {
			return err
		}
		rows, err = rows[done:], l.server.Drain(ctx)
	}
	return err
}

// unshadowed returns the watched rows of the stage that have no answer of a
// shadow, in the order of the log, and shows s what there is.
func (l *Loop) unshadowed(ctx context.Context, a *attempt, s *shadowWatch) ([]serve.Prediction, error) {
	missing, sampled := make(map[rowKey]serve.Prediction), false
	after, to := a.PredictionSeq, l.watcher.checkpoint.PredictionSeq
	for {
		page, err := l.config.Stores.Serve.Predictions(ctx, serve.PredictionQuery{Model: l.config.Model, After: after})
		if err != nil {
			return nil, err
		}
		if len(page) == 0 {
			break
		}
		for _, p := range page {
			if after = p.Seq; p.Seq <= to { // what lies behind is folded next
				s.see(p)
			}
			switch key := (rowKey{p.ID, p.Index}); {
			case p.Variant == serve.Shadow:
				delete(missing, key)
			case !sampled && watched(p) && !p.Time.Before(s.since):
				missing[key] = p
			}
		}
		if len(missing) > maxAskAgain {
			clear(missing)
			sampled = true
		}
	}
	rows := slices.Collect(maps.Values(missing))
	slices.SortFunc(rows, func(a, b serve.Prediction) int { return cmp.Compare(a.Seq, b.Seq) })
	return rows, nil
}

// maxAskAgain bounds the rows that a shadow is asked about again.
const maxAskAgain = 1000
