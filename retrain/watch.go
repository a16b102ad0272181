package retrain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train/frame"
	"github.com/mlloop/mlloop/train/metric"
	"github.com/mlloop/mlloop/train/profile"
)

// recentLabels is how many of the champion's latest labelled answers triggers see.
const recentLabels = 672

// watcher reads the prediction log behind the server and keeps the monitor of
// the champion. Its whole state is in the checkpoint, saved together with the
// alerts: a loop that is killed reads on exactly where the last step ended.
type watcher struct {
	checkpoint drift.Checkpoint
	monitor    *drift.Monitor
	classes    []frame.Value
	recent     []recentAnswer // at most recentLabels, oldest first
	window     []int64        // Seq of the latest live predictions, as many as the monitor's window, oldest first
}

// recentAnswer is one labelled answer of the champion.
type recentAnswer struct {
	answer
	labelSeq int64
}

// watcherState is what checkpoints carry: the monitor, and the label before
// the oldest recent one, from which the recent answers are read again.
// WindowAfter is the prediction before the oldest of the window.
type watcherState struct {
	Monitor     []byte `json:"monitor"` // drift.Monitor.MarshalBinary
	RecentAfter int64  `json:"recent_after"`
	WindowAfter int64  `json:"window_after"`
}

// watch folds what was logged since the last step into the monitor and checks
// for drift. A step that is run again after its watch was saved does nothing here.
func (l *Loop) watch(ctx context.Context, now time.Time, champion int64) error {
	if err := l.fold(ctx, now, champion); err != nil {
		l.watcher = nil // what was read so far is not saved: the next step reads the checkpoint
		return err
	}
	return l.reportAlerts(ctx, now)
}

// fold brings the watcher to now and saves it.
func (l *Loop) fold(ctx context.Context, now time.Time, champion int64) error {
	if err := l.restoreWatcher(ctx); err != nil {
		return err
	}
	w := l.watcher
	if !w.checkpoint.At.Before(now) && w.checkpoint.Version == champion {
		return nil
	}
	changed, err := l.changeGuard(ctx, now, champion)
	if err != nil {
		return err
	}
	if err := l.foldPredictions(ctx); err != nil {
		return fmt.Errorf("predictions: %w", err)
	}
	if err := l.foldLabels(ctx); err != nil {
		return fmt.Errorf("labels: %w", err)
	}
	changed = append(changed, w.monitor.Check(now)...)
	w.checkpoint.At = now
	return l.saveWatcher(ctx, changed)
}

// changeGuard puts the monitor of a new champion in the place of its
// predecessor's, and returns the alerts that this resolves: those about errors,
// which were the predecessor's own. Those about inputs go on.
func (l *Loop) changeGuard(ctx context.Context, now time.Time, champion int64) ([]drift.Alert, error) {
	w := l.watcher
	if w.checkpoint.Version == champion {
		return nil, nil
	}
	var firing, closed []drift.Alert
	if w.monitor != nil {
		firing = w.monitor.Alerts()
		closed = w.monitor.Close(now, fmt.Sprintf("version %d took over", champion))
	}
	if err := l.newMonitor(ctx, champion); err != nil {
		return nil, err
	}
	if err := l.refillWindow(ctx); err != nil {
		return nil, err
	}
	goesOn := make(map[string]bool)
	for _, a := range w.monitor.Adopt(firing) {
		goesOn[a.ID] = true
	}
	return slices.DeleteFunc(closed, func(a drift.Alert) bool { return goesOn[a.ID] }), nil
}

// restoreWatcher fills l.watcher from the checkpoint where it is empty.
func (l *Loop) restoreWatcher(ctx context.Context) error {
	if l.watcher != nil {
		return nil
	}
	checkpoint, err := l.config.Stores.Drift.Checkpoint(ctx, l.config.Model)
	if errors.Is(err, ErrNotFound) {
		l.watcher = &watcher{checkpoint: drift.Checkpoint{Model: l.config.Model}}
		return nil
	}
	if err != nil {
		return err
	}
	var state watcherState
	if err := json.Unmarshal(checkpoint.State, &state); err != nil {
		return fault.Errorf(fault.Corrupt, "checkpoint: %w", err)
	}
	l.watcher = &watcher{checkpoint: checkpoint}
	if err := l.newMonitor(ctx, checkpoint.Version); err != nil {
		return err
	}
	w := l.watcher
	if err := w.monitor.UnmarshalBinary(state.Monitor); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	if err := l.readWindow(ctx, state.WindowAfter, func(p serve.Prediction) { w.window = append(w.window, p.Seq) }); err != nil {
		return err
	}
	return l.readRecent(ctx, state.RecentAfter)
}

// refillWindow shows a new champion's monitor the rows that its predecessor's
// held: the inputs did not start anew, only what they are compared with.
func (l *Loop) refillWindow(ctx context.Context) error {
	w := l.watcher
	if len(w.window) == 0 {
		return nil
	}
	return l.readWindow(ctx, w.window[0]-1, w.observe)
}

// readWindow calls fn for every live prediction after the given one that the
// watcher has read already.
func (l *Loop) readWindow(ctx context.Context, after int64, fn func(serve.Prediction)) error {
	return l.eachPrediction(ctx, after, func(p serve.Prediction) {
		if p.Seq <= l.watcher.checkpoint.PredictionSeq {
			fn(p)
		}
	})
}

func (w *watcher) observe(p serve.Prediction) {
	w.monitor.ObservePrediction(p.Time, p.ID, p.Features, p.Output, p.Scores)
}

// newMonitor starts a monitor on the reference profile in the version's bundle.
func (l *Loop) newMonitor(ctx context.Context, version int64) error {
	b, _, err := l.registry(time.Time{}).Load(ctx, registry.VersionRef(l.config.Model, version))
	if err != nil {
		return err
	}
	raw, err := b.ReadFile(bundle.ProfilePart)
	if err != nil {
		return fmt.Errorf("the bundle of version %d has no reference profile, which drift is measured against: %w", version, err)
	}
	reference, err := profile.Decode(raw)
	if err != nil {
		return err
	}
	var options drift.Options
	if l.config.Drift != nil {
		options = *l.config.Drift
	}
	options.Window = 0 // the reference's own: a short reference is calibrated for a shorter one
	history, err := l.config.Stores.Retrain.Retrainings(ctx, l.config.Model)
	if err != nil {
		return err
	}
	monitor, err := drift.New(drift.Config{
		Model: l.config.Model, Version: version, Reference: reference, Errors: originOf(history, version).Errors,
	}, &options)
	if err != nil {
		return err
	}
	w := l.watcher
	if w.classes, err = l.classesOfVersion(ctx, version); err != nil {
		return err
	}
	w.monitor, w.recent, w.checkpoint.Version = monitor, nil, version
	return nil
}

// foldPredictions shows the monitor every row that was answered, whoever answered it.
func (l *Loop) foldPredictions(ctx context.Context) error {
	w, size := l.watcher, l.watcher.monitor.Reference().WindowRows()
	return l.eachPrediction(ctx, w.checkpoint.PredictionSeq, func(p serve.Prediction) {
		w.checkpoint.PredictionSeq = p.Seq
		w.observe(p)
		w.window = append(w.window, p.Seq)
		w.window = w.window[max(0, len(w.window)-size):]
	})
}

// foldLabels shows the monitor the labels of the champion's own answers.
func (l *Loop) foldLabels(ctx context.Context) error {
	w := l.watcher
	return l.eachLabel(ctx, w.checkpoint.LabelSeq, func(p serve.LabelledPrediction) {
		w.checkpoint.LabelSeq = p.Label.Seq
		if w.keep(p) {
			w.monitor.ObserveLabel(p.Label.Time, p.ID, p.Output, p.Label.Value)
		}
	})
}

// readRecent fills the recent answers again after a restart.
func (l *Loop) readRecent(ctx context.Context, after int64) error {
	w := l.watcher
	return l.eachLabel(ctx, after, func(p serve.LabelledPrediction) {
		if p.Label.Seq <= w.checkpoint.LabelSeq {
			w.keep(p)
		}
	})
}

// keep remembers an answer of the champion with its label, and reports whether
// p is one.
func (w *watcher) keep(p serve.LabelledPrediction) bool {
	if p.Variant == serve.Shadow || p.Version != w.checkpoint.Version {
		return false
	}
	if len(p.Scores) == len(w.classes) {
		if len(w.recent) == recentLabels {
			w.recent = append(w.recent[:0], w.recent[1:]...)
		}
		w.recent = append(w.recent, recentAnswer{answer{p.Label.Value, p.Scores}, p.Label.Seq})
	}
	return true
}

// live returns the recent answers as metrics read them. A label that the
// champion does not know is one it got wrong.
func (w *watcher) live() metric.Scores {
	answers := make([]answer, len(w.recent))
	for i, a := range w.recent {
		answers[i] = a.answer
	}
	return scoresOver(allClasses(w.classes, nil, answers), w.classes, answers)
}

func (l *Loop) saveWatcher(ctx context.Context, changed []drift.Alert) error {
	w := l.watcher
	monitor, err := w.monitor.MarshalBinary()
	if err != nil {
		return err
	}
	state := watcherState{Monitor: monitor, RecentAfter: w.checkpoint.LabelSeq, WindowAfter: w.checkpoint.PredictionSeq}
	if len(w.recent) > 0 {
		state.RecentAfter = w.recent[0].labelSeq - 1
	}
	if len(w.window) > 0 {
		state.WindowAfter = w.window[0] - 1
	}
	if w.checkpoint.State, err = json.Marshal(state); err != nil {
		return err
	}
	return l.config.Stores.Drift.Save(ctx, w.checkpoint, changed)
}

// reportAlerts reports what fired or resolved since the last completed step. It
// reads the stored alerts, so that a step that is run again, even at another
// time, reports what the one that was cut off had saved.
func (l *Loop) reportAlerts(ctx context.Context, now time.Time) error {
	alerts, err := l.config.Stores.Drift.Alerts(ctx, l.config.Model, false)
	if err != nil {
		return err
	}
	isNew := func(t time.Time) bool { return t.After(l.state.SteppedAt) && !t.After(now) }
	for _, a := range alerts {
		if isNew(a.FiredAt) {
			if err := l.report(ctx, Event{Time: a.FiredAt, Kind: EventAlertFired, Key: "alert/" + a.ID + "/fired", Text: describeAlert(a)}); err != nil {
				return err
			}
		}
		if isNew(a.ResolvedAt) {
			if err := l.report(ctx, Event{Time: a.ResolvedAt, Kind: EventAlertResolved, Key: "alert/" + a.ID + "/resolved", Text: describeAlert(a) + ": " + a.Reason}); err != nil {
				return err
			}
		}
	}
	return nil
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
