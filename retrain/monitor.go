package retrain

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train/profile"
)

// changeMonitor puts the monitor of a new champion in the place of its
// predecessor's. Alerts about errors, which were the predecessor's own, resolve;
// those about inputs are judged against the new reference.
func (l *Loop) changeMonitor(ctx context.Context, now time.Time, champion int64) error {
	w := l.watcher
	if w.checkpoint.Version == champion {
		return nil
	}
	var firing, closed []drift.Alert
	if w.monitor != nil {
		firing = w.monitor.Alerts()
		closed = w.monitor.Close(now, fmt.Sprintf("version %d took over", champion))
	}
	if err := l.newMonitor(ctx, now, champion); err != nil {
		return err
	}
	// The inputs did not start anew, only what they are compared with.
	if len(w.window) > 0 {
		if err := l.readWindow(ctx, w.window[0]-1, w.observe); err != nil {
			return err
		}
		w.check(now)
	}
	goesOn := make(map[string]bool)
	for _, a := range w.monitor.Adopt(firing) {
		goesOn[a.ID] = true
	}
	w.changed = append(w.changed, slices.DeleteFunc(closed, func(a drift.Alert) bool { return goesOn[a.ID] })...)
	return nil
}

// newMonitor starts a monitor on the reference profile in the version's bundle.
// Where there is none that can be read, it learns one from the rows that are
// answered, and an event says so.
func (l *Loop) newMonitor(ctx context.Context, now time.Time, version int64) error {
	b, _, err := l.registry(time.Time{}).Load(ctx, registry.VersionRef(l.config.Model, version))
	if err != nil {
		return err
	}
	reference, why := referenceOf(b)
	var options drift.Options
	if l.config.Drift != nil {
		options = *l.config.Drift
	}
	options.Window = 0 // the reference's own: a short reference is calibrated for a shorter one
	w := l.watcher
	if w.origin, err = l.origin(ctx, version); err != nil {
		return err
	}
	monitor, err := drift.New(drift.Config{Model: l.config.Model, Version: version, Reference: reference, Usual: w.origin.Errors}, &options)
	if err != nil {
		return err
	}
	if p, err := l.load(b); err == nil {
		w.classes, _ = classesOf(p) // nil: it is no classifier, and its labels are not compared
		closePredictor(p)
	}
	w.monitor, w.recent, w.checkpoint.Version = monitor, nil, version
	return l.reportBlindness(ctx, now, version, why)
}

// referenceOf returns the bundle's profile, or why there is none.
func referenceOf(b *bundle.Bundle) (*profile.Profile, string) {
	raw, err := b.ReadFile(bundle.ProfilePart)
	if err != nil {
		return nil, "its bundle has no reference profile"
	}
	reference, err := profile.Decode(raw)
	if err != nil {
		return nil, fmt.Sprintf("its reference profile cannot be read: %v", err)
	}
	return reference, ""
}

// reportBlindness says what the monitor of a version cannot see.
func (l *Loop) reportBlindness(ctx context.Context, now time.Time, version int64, noReference string) error {
	w := l.watcher
	var texts []string
	if noReference != "" {
		_, want := w.monitor.Learning()
		texts = append(texts, fmt.Sprintf("%s: drift is measured against its first %d answered rows, and unseen until they have come", noReference, want))
	}
	if w.classes == nil {
		texts = append(texts, "it is no serve.Classifier: its labels are not compared with its answers, and no challenger can be judged against it")
	}
	for _, u := range w.monitor.Unwatched() {
		texts = append(texts, fmt.Sprintf("column %q is not watched: %s", u.Column, u.Reason))
	}
	if len(texts) == 0 {
		return nil
	}
	return l.report(ctx, Event{Time: now, Kind: EventMonitor, Key: fmt.Sprintf("monitor/%d", version), Text: fmt.Sprintf("version %d: %s", version, strings.Join(texts, "; "))})
}

// readWindow calls fn for every watched prediction after the given one that the
// watcher has read already.
func (l *Loop) readWindow(ctx context.Context, after int64, fn func(serve.Prediction)) error {
	to := l.watcher.checkpoint.PredictionSeq
	for after < to {
		page, err := l.config.Stores.Serve.Predictions(ctx, serve.PredictionQuery{Model: l.config.Model, After: after, Variants: []serve.Variant{serve.Primary}})
		if err != nil || len(page) == 0 {
			return err
		}
		for _, p := range page {
			if after = p.Seq; watched(p) && p.Seq <= to {
				fn(p)
			}
		}
	}
	return nil
}

// reportAlerts reports what fired or resolved since the last completed step. It
// reads the stored alerts, so that a step that is run again, even at another
// time, reports what the one that was cut off had saved.
func (l *Loop) reportAlerts(ctx context.Context, now time.Time) error {
	for {
		page, err := l.config.Stores.Drift.Alerts(ctx, drift.AlertQuery{Model: l.config.Model, After: l.memory.AlertSeq})
		if err != nil || len(page) == 0 {
			return err
		}
		for _, a := range page {
			if err := l.reportAlert(ctx, a); err != nil {
				return err
			}
			l.memory.AlertSeq = a.Seq
		}
	}
}

func (l *Loop) reportAlert(ctx context.Context, a drift.Alert) error {
	err := l.report(ctx, Event{Time: a.FiredAt, Kind: EventAlertFired, Key: "alert/" + a.ID + "/fired", Text: describeAlert(a)})
	if err != nil || a.Firing() {
		return err
	}
	return l.report(ctx, Event{Time: a.ResolvedAt, Kind: EventAlertResolved, Key: "alert/" + a.ID + "/resolved", Text: describeAlert(a) + ": " + a.Reason})
}

func describeAlert(a drift.Alert) string {
	text := string(a.Severity) + " " + a.Source
	for i, c := range a.Columns {
		sep := ", "
		if i == 0 {
			sep = " "
		}
		text += fmt.Sprintf("%s%s (%s %.3f, threshold %.3f)", sep, c.Column, c.Statistic, c.Value, c.Threshold)
	}
	return text
}
