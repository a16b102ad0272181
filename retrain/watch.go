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
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train/frame"
)

// foldRows is how many predictions or labels one pass reads before it saves
// where it is; a step makes passes until none wait.
const foldRows = 50_000

// checkRows is how many rows the monitor is shown before it judges them: its
// queue is bounded. What it finds does not depend on it.
const checkRows = 4000

// watcher reads the prediction log behind the server and keeps what the steps
// decide by: the monitor of the champion, its latest labelled answers, and the
// comparison of a rollout. Its whole state is in the checkpoint, saved together
// with the alerts, or can be read again from the log: a loop that is killed reads
// on exactly where the last step ended.
type watcher struct {
	checkpoint drift.Checkpoint
	monitor    *drift.Monitor
	origin     Retraining    // that made the champion; the zero one when it was made by hand
	classes    []frame.Value // the champion's; nil when it is no classifier
	recent     []recentScore // the champion's latest labelled answers, at most recentLabels, oldest first
	window     []int64       // Seq of the latest rows that the monitor saw, as many as its window, oldest first
	shadow     *shadowWatch  // nil: no shadow runs
	canary     *canaryWatch  // nil: no canary runs
	labelled   time.Time     // of the latest label's prediction
	changed    []drift.Alert // since the checkpoint was saved
}

// check has the monitor judge what it was shown.
func (w *watcher) check(now time.Time) { w.changed = append(w.changed, w.monitor.Check(now)...) }

// watcherState is what checkpoints carry: the monitor, the canary's comparison,
// and from where the rest is read again.
type watcherState struct {
	Monitor     []byte       `json:"monitor"`      // drift.Monitor.MarshalBinary
	RecentAfter int64        `json:"recent_after"` // the label before the oldest recent one
	WindowAfter int64        `json:"window_after"` // the prediction before the oldest of the window
	Canary      *canaryWatch `json:"canary,omitempty"`
	Labelled    time.Time    `json:"labelled"`
}

// watch folds what was logged since the last step into the watcher and checks
// for drift. A step that is run again after its watch was saved does nothing here.
func (l *Loop) watch(ctx context.Context, now time.Time) error {
	champion := l.memory.Followed
	if champion == 0 {
		return nil
	}
	if err := l.foldAll(ctx, now, champion); err != nil {
		l.watcher = nil // what was read so far is not saved: the next step reads the checkpoint
		return err
	}
	if err := l.reportLabels(ctx, now); err != nil {
		return err
	}
	return l.reportAlerts(ctx, now)
}

// foldAll brings the watcher to now and saves it.
func (l *Loop) foldAll(ctx context.Context, now time.Time, champion int64) error {
	if err := l.restoreWatcher(ctx, now); err != nil {
		return err
	}
	w := l.watcher
	if err := l.changeMonitor(ctx, now, champion); err != nil {
		return err
	}
	if err := l.prepareRollout(ctx); err != nil {
		return err
	}
	for {
		predictions, err := l.foldPredictions(ctx, now)
		if err != nil {
			return fmt.Errorf("predictions: %w", err)
		}
		labels := 0
		if predictions < foldRows { // a label is read after its prediction
			if labels, err = l.foldLabels(ctx, now); err != nil {
				return fmt.Errorf("labels: %w", err)
			}
		}
		w.check(now)
		w.checkpoint.At = now
		if err := l.saveWatcher(ctx); err != nil {
			return err
		}
		if predictions < foldRows && labels < foldRows {
			return nil
		}
	}
}

// restoreWatcher fills l.watcher from the checkpoint where it is empty.
func (l *Loop) restoreWatcher(ctx context.Context, now time.Time) error {
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
	if err := state.Canary.validate(); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	l.watcher = &watcher{checkpoint: checkpoint, canary: state.Canary, labelled: state.Labelled}
	if err := l.refillWatcher(ctx, now, state); err != nil {
		l.watcher = nil
		return err
	}
	return nil
}

// refillWatcher makes the monitor again and reads what is not in the checkpoint.
// A monitor that cannot be had again, because its version's bundle is gone, or its
// state is of another reference, begins anew: it is no reason to judge nothing.
func (l *Loop) refillWatcher(ctx context.Context, now time.Time, state watcherState) error {
	w := l.watcher
	if err := l.readWindow(ctx, state.WindowAfter, func(p serve.Prediction) { w.window = append(w.window, p.Seq) }); err != nil {
		return err
	}
	err := l.newMonitor(ctx, now, w.checkpoint.Version)
	if err == nil {
		err = w.monitor.UnmarshalBinary(state.Monitor)
	}
	switch fault.Kind(err) {
	case fault.NotFound, fault.Corrupt, fault.Conflict:
		key := fmt.Sprintf("monitor/anew/%d/%d", w.checkpoint.Version, w.checkpoint.At.UnixMilli())
		text := fmt.Sprintf("the monitor of version %d cannot be restored, and begins anew: %v", w.checkpoint.Version, err)
		w.monitor, w.checkpoint.Version = nil, 0
		return l.report(ctx, Event{Time: now, Kind: EventMonitor, Key: key, Text: text})
	}
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	return l.readRecent(ctx, state.RecentAfter)
}

// watched reports whether a logged row is one that the monitor sees: the first
// attempt of what the primary answered. The canary's rows are another model's, and
// a request that is sent again is no further row.
func watched(p serve.Prediction) bool {
	return p.Variant == serve.Primary && p.Status.OK() && p.Attempt == 1
}

// observe shows the monitor a row. Whoever answered it, the inputs are what the
// champion is asked.
func (w *watcher) observe(p serve.Prediction) {
	w.monitor.Observe(frame.Observation{
		Model: p.Model, Version: w.checkpoint.Version, Variant: string(p.Variant), ID: p.ID, Index: p.Index,
		Status: p.Status, Row: p.Features, Outputs: p.Outputs, Time: p.Time,
	})
}

// foldPredictions shows the monitor and the rollout what was asked since the
// last pass, and returns how many rows that were.
func (l *Loop) foldPredictions(ctx context.Context, now time.Time) (int, error) {
	w, size, n := l.watcher, l.windowRows(), 0
	for n < foldRows {
		page, err := l.config.Stores.Serve.Predictions(ctx, serve.PredictionQuery{Model: l.config.Model, After: w.checkpoint.PredictionSeq})
		if err != nil || len(page) == 0 {
			return n, err
		}
		for i, p := range page {
			if i%checkRows == checkRows-1 {
				w.check(now)
			}
			w.checkpoint.PredictionSeq = p.Seq
			if l.memory.FirstSeen.IsZero() {
				l.memory.FirstSeen = p.Time
			}
			if watched(p) {
				w.observe(p)
				w.window = append(w.window, p.Seq)
				w.window = w.window[max(0, len(w.window)-size):]
			}
			w.shadow.see(p)
			w.canary.see(p)
		}
		n += len(page)
		w.check(now)
	}
	return n, nil
}

// windowRows is how many rows a new champion's monitor is shown again.
func (l *Loop) windowRows() int {
	if r := l.watcher.monitor.Reference(); r != nil {
		return r.WindowRows()
	}
	return drift.DefaultWindow
}

// foldLabels shows the monitor and the rollout the labels that came since the
// last pass, and returns how many records that were.
func (l *Loop) foldLabels(ctx context.Context, now time.Time) (int, error) {
	w, n := l.watcher, 0
	for n < foldRows {
		page, err := l.config.Stores.Serve.Labels(ctx, serve.LabelQuery{Model: l.config.Model, After: w.checkpoint.LabelSeq})
		if err != nil || len(page) == 0 {
			return n, err
		}
		for i, p := range page {
			if i%checkRows == checkRows-1 {
				w.check(now)
			}
			w.checkpoint.LabelSeq = p.Truth.Seq
			if p.Time.After(w.labelled) {
				w.labelled = p.Time
			}
			if w.keep(p) {
				w.observeLabel(p)
			}
			w.shadow.label(p)
			w.canary.label(p)
		}
		n += len(page)
		w.check(now)
	}
	return n, nil
}

func (w *watcher) observeLabel(p serve.LabelledPrediction) {
	w.monitor.Observe(frame.Observation{
		Model: p.Model, Version: p.Version, Variant: string(serve.Primary), ID: p.ID, Index: p.Index, Status: p.Status,
		Outputs: p.Outputs, Label: p.Truth.Value, Replaces: p.Truth.Replaces, Output: serve.LabelOutput, Time: p.Truth.Time,
	})
}

func (l *Loop) saveWatcher(ctx context.Context) error {
	w := l.watcher
	monitor, err := w.monitor.MarshalBinary()
	if err != nil {
		return err
	}
	state := watcherState{
		Monitor: monitor, RecentAfter: w.checkpoint.LabelSeq, WindowAfter: w.checkpoint.PredictionSeq,
		Canary: w.canary, Labelled: w.labelled,
	}
	if len(w.recent) > 0 {
		state.RecentAfter = w.recent[0].labelSeq - 1
	}
	if len(w.window) > 0 {
		state.WindowAfter = w.window[0] - 1
	}
	if w.checkpoint.State, err = json.Marshal(state); err != nil {
		return err
	}
	w.checkpoint.Token = l.token
	w.checkpoint.Rev++ // an error takes the watcher away: the next step reads what is stored
	err = l.config.Stores.Drift.Save(ctx, w.checkpoint, latest(w.changed))
	if err == nil {
		w.changed = nil
	}
	return err
}

// latest keeps the last state of each alert, in the order of the first.
func latest(changed []drift.Alert) []drift.Alert {
	var out []drift.Alert
	for _, a := range changed {
		if i := slices.IndexFunc(out, func(b drift.Alert) bool { return b.ID == a.ID }); i >= 0 {
			out[i] = a
		} else {
			out = append(out, a)
		}
	}
	return out
}
