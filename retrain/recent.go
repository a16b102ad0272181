package retrain

import (
	"context"
	"slices"

	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train/metric"
)

// recentLabels is how many of the champion's latest labelled answers triggers see.
const recentLabels = 672

// recentScore is one labelled answer of the champion.
type recentScore struct {
	scored
	key           rowKey
	labelSeq      int64
	predictionSeq int64
}

// rowKey names a row of a request.
type rowKey struct {
	id    string
	index int
}

// keep remembers an answer of the champion with its label, and reports whether
// p is one. A corrected label takes the place of the one before. A label that is
// none of the champion's classes says nothing about its metrics.
func (w *watcher) keep(p serve.LabelledPrediction) bool {
	if p.Variant == serve.Shadow || !p.Status.OK() || p.Version != w.checkpoint.Version || !isAboutLabel(p.Truth) {
		return false
	}
	scores := p.Scores()
	if len(scores) != len(w.classes) || classIndex(w.classes, p.Truth.Value) < 0 {
		return w.classes == nil
	}
	r := recentScore{scored{p.Truth.Value, scores}, rowKey{p.ID, p.Index}, p.Truth.Seq, p.Seq}
	if !p.Truth.Replaces.IsNull() {
		if i := slices.IndexFunc(w.recent, func(o recentScore) bool { return o.key == r.key }); i >= 0 {
			w.recent[i].scored = r.scored
		}
		return true
	}
	if len(w.recent) == recentLabels {
		w.recent = append(w.recent[:0], w.recent[1:]...)
	}
	w.recent = append(w.recent, r)
	return true
}

// isAboutLabel reports whether a label is the truth of the predicted label.
func isAboutLabel(l serve.Label) bool { return l.Output == "" || l.Output == serve.LabelOutput }

// live returns the recent answers as metrics read them.
func (w *watcher) live() metric.Scores {
	rows := make([]scored, len(w.recent))
	for i, r := range w.recent {
		rows[i] = r.scored
	}
	return scoresOver(w.classes, w.classes, rows)
}

// readRecent fills the recent answers again after a restart.
func (l *Loop) readRecent(ctx context.Context, after int64) error {
	w := l.watcher
	return l.eachLabel(ctx, after, func(p serve.LabelledPrediction) { w.keep(p) })
}

// eachLabel calls fn for every label after the given one that the watcher has
// read already.
func (l *Loop) eachLabel(ctx context.Context, after int64, fn func(serve.LabelledPrediction)) error {
	to := l.watcher.checkpoint.LabelSeq
	for after < to {
		page, err := l.config.Stores.Serve.Labels(ctx, serve.LabelQuery{Model: l.config.Model, After: after})
		if err != nil || len(page) == 0 {
			return err
		}
		for _, p := range page {
			if after = p.Truth.Seq; after <= to {
				fn(p)
			}
		}
	}
	return nil
}
