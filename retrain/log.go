package retrain

import (
	"context"

	"github.com/mlloop/mlloop/serve"
)

// eachPrediction calls fn for every live prediction after the given one.
func (l *Loop) eachPrediction(ctx context.Context, after int64, fn func(serve.Prediction)) error {
	for {
		page, err := l.config.Stores.Serve.Predictions(ctx, serve.PredictionQuery{
			Model: l.config.Model, After: after, Variants: []serve.Variant{serve.Primary, serve.Canary},
		})
		if err != nil || len(page) == 0 {
			return err
		}
		for _, p := range page {
			fn(p)
			after = p.Seq
		}
	}
}

// eachLabel calls fn for every labelled prediction after the given label.
func (l *Loop) eachLabel(ctx context.Context, after int64, fn func(serve.LabelledPrediction)) error {
	for {
		page, err := l.config.Stores.Serve.Labels(ctx, serve.LabelQuery{Model: l.config.Model, After: after})
		if err != nil || len(page) == 0 {
			return err
		}
		for _, p := range page {
			fn(p)
			after = p.Label.Seq
		}
	}
}
