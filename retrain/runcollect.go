package retrain

import (
	"context"
	"fmt"
	"time"
)

const (
	collectAfter = time.Hour // of a Run's beginning, and of a look at who leads
	collectEvery = 24 * time.Hour
)

// runCollect collects garbage once a day while this process leads, until ctx is
// done.
func (l *Loop) runCollect(ctx context.Context) {
	if l.config.Retention.KeepGarbage {
		return
	}
	for wait := collectAfter; ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = collectAfter
		if _, leads := l.leads.view(); leads {
			l.collect(ctx)
			wait = collectEvery
		}
	}
}

// collect collects garbage once, and tells of it.
func (l *Loop) collect(ctx context.Context) {
	var opts CollectOptions
	if o := l.config.Retention.Collect; o != nil {
		opts = *o
	}
	now := timestamp(l.config.Now())
	opts.Now = now
	report, err := l.config.Stores.Collect(ctx, &opts)
	if ctx.Err() != nil {
		return
	}
	text := report.String()
	switch {
	case err != nil:
		l.config.Logger.ErrorContext(ctx, "not all garbage is collected; it is tried again in a day", "model", l.config.Model, "error", err)
		text = fmt.Sprintf("%s; it is tried again in a day: %v", text, err)
	case report == (CollectReport{}):
		return
	}
	if err := l.report(ctx, Event{Time: now, Kind: EventCollected, Key: fmt.Sprintf("collected/%d", now.UnixMilli()), Text: text}); err != nil {
		l.config.Logger.ErrorContext(ctx, "an event is lost", "model", l.config.Model, "event", EventCollected, "error", err)
	}
}

// String says what was removed.
func (r CollectReport) String() string {
	return fmt.Sprintf("removed: %d artifacts that nothing names (%s), the bundles of %d rejected versions, %d ended workflows",
		r.Artifacts, gigabytes(r.Bytes), r.Bundles, r.Workflows)
}
