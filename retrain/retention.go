package retrain

import (
	"context"
	"fmt"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/serve"
)

// Retention bounds the prediction log, and what else is stored. What a decision
// still needs is kept in any case.
type Retention struct {
	Age   time.Duration // predictions older than that are deleted. 0: 183 days. Negative: none
	Bytes int64         // beyond that the oldest are deleted. 0: 20 GB. Negative: no bound

	// Collect is what Run has Stores.Collect remove once a day where it leads; its Now
	// is the loop's. nil: the defaults.
	Collect *CollectOptions
	// KeepGarbage leaves that to the service.
	KeepGarbage bool
}

const (
	defaultRetentionAge   = 183 * 24 * time.Hour
	defaultRetentionBytes = 20e9
	retentionWarning      = 0.8            // of Bytes: an event says so
	retentionEvery        = time.Hour      // between two looks at the log's size
	retentionDoubt        = 24 * time.Hour // without one after a gap between steps: the clock may be wrong
	retentionOversize     = time.Hour * 6  // how much of the log, by age, an oversize look deletes at once
)

func (r Retention) withDefaults() Retention {
	if r.Age == 0 {
		r.Age = defaultRetentionAge
	}
	if r.Bytes == 0 {
		r.Bytes = defaultRetentionBytes
	}
	return r
}

func (r Retention) validate(p *fault.Problems) {
	if r.Age > 0 && r.Age < time.Hour {
		p.Addf("Retention: Age is %s: want an hour or more", r.Age)
	}
	if _, err := r.Collect.withDefaults(); err != nil {
		p.Addf("Retention: Collect: %v", err)
	}
}

// retain deletes what the log keeps no longer. It looks once an hour. While the
// watch fails, nobody knows what it has read: nothing is deleted.
func (l *Loop) retain(ctx context.Context, now time.Time) error {
	if l.watcher == nil && l.memory.Followed != 0 {
		return nil
	}
	if now.Before(l.retainAfter) {
		return nil
	}
	counts, err := l.config.Stores.Serve.Counts(ctx, l.config.Model)
	if err != nil {
		return err
	}
	r := l.config.Retention
	if err := l.warnOfSize(ctx, now, counts); err != nil {
		return err
	}
	trim := serve.Trim{Model: l.config.Model, KeepFrom: l.neededFrom()}
	if r.Age > 0 {
		trim.Before = now.Add(-r.Age)
	}
	if r.Bytes > 0 && counts.Bytes > r.Bytes {
		if oversize := counts.Oldest.Add(retentionOversize); oversize.After(trim.Before) {
			trim.Before = oversize
		}
	}
	if trim.Before.IsZero() || !counts.Oldest.Before(trim.Before) {
		l.retainAfter = now.Add(retentionEvery)
		return nil
	}
	n, err := l.config.Stores.Serve.Trim(ctx, trim)
	if err == nil && n < serve.DefaultLimit { // else the next step goes on
		l.retainAfter = now.Add(retentionEvery)
	}
	return err
}

func (l *Loop) warnOfSize(ctx context.Context, now time.Time, counts serve.Counts) error {
	const topic = "log/size"
	limit := l.config.Retention.Bytes
	if limit <= 0 || float64(counts.Bytes) < retentionWarning*float64(limit) {
		l.memory.forget(topic)
		return nil
	}
	return l.tell(ctx, now, topic, EventLogFull, "the prediction log takes %s of the %s that Retention.Bytes allows: beyond it the oldest predictions are deleted, though they are younger than %s",
		gigabytes(counts.Bytes), gigabytes(limit), l.config.Retention.Age)
}

func gigabytes(n int64) string { return fmt.Sprintf("%.1f GB", float64(n)/1e9) }

// neededFrom is the first prediction that a decision still needs: those of the
// rollout under way, and those that the watcher reads again after a restart.
func (l *Loop) neededFrom() int64 {
	var needed []int64
	if w := l.watcher; w != nil && w.checkpoint.PredictionSeq > 0 {
		needed = append(needed, w.checkpoint.PredictionSeq)
		if len(w.window) > 0 {
			needed = append(needed, w.window[0])
		}
		if len(w.recent) > 0 {
			needed = append(needed, w.recent[0].predictionSeq)
		}
	}
	if a := l.memory.Attempt; a != nil && a.Retraining.Stage != Fitting {
		needed = append(needed, a.PredictionSeq+1)
		if a.Retraining.Stage == Canarying {
			needed = append(needed, a.RolloutSeq+1)
		}
	}
	least := int64(0)
	for _, n := range needed {
		if least == 0 || n < least {
			least = n
		}
	}
	return least
}
