package retrain

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/retrain/judge"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train/frame"
	"github.com/mlloop/mlloop/train/metric"
)

// maxPairs bounds the rows that a shadow is compared on: the latest ones.
const maxPairs = 50_000

// shadowWatch gathers the labelled rows that both the champion and the shadow
// answered, and watches the shadow's calls. It is read again from the log after a
// restart. Nil watches nothing.
type shadowWatch struct {
	callWatch
	retraining           string // ID
	since                time.Time
	champion, challenger int64 // versions
	classes              []frame.Value
	own, theirs          []frame.Value // classes of the challenger and of the champion
	rows                 map[rowKey]*pair
	paired               int                   // rows with a label and both answers
	alone                [2][]serve.Prediction // calls of each arm that none of the other has been set beside yet
}

// pair is one row with what both said about it.
type pair struct {
	at                   time.Time
	label                frame.Value // null: not known yet
	champion, challenger []float64   // scores; nil: not asked, or not labelled yet
}

func (p *pair) complete() bool {
	return !p.label.IsNull() && p.champion != nil && p.challenger != nil
}

// see takes a logged row: the shadow's answer may come after the label.
func (w *shadowWatch) see(p serve.Prediction) {
	switch {
	case w == nil || p.Time.Before(w.since):
		return
	case p.Variant == serve.Primary && p.Version == w.champion:
		w.compare(judge.Primary, p)
		return
	case p.Variant != serve.Shadow || p.Version != w.challenger:
		return
	}
	w.compare(judge.Canary, p)
	if !p.Status.OK() {
		return
	}
	if row := w.rows[rowKey{p.ID, p.Index}]; row != nil && row.challenger == nil && len(p.Scores()) == len(w.own) {
		row.challenger = p.Scores()
		w.count(row)
	}
}

// maxAlone bounds the calls that wait for one of the other arm: of a sampled
// shadow the primary has many more.
const maxAlone = 1024

// compare sets each call of the shadow beside one of the primary's. The shadow's
// are logged in lumps, when its queue comes to them: taken as they come, a lump
// would be compared as one call.
func (w *shadowWatch) compare(arm judge.Arm, p serve.Prediction) {
	if p.Index > 0 || p.Status == frame.Refused {
		return
	}
	p.Features, p.Outputs = frame.Row{}, frame.Row{}
	w.alone[arm] = append(w.alone[arm], p)
	w.alone[arm] = w.alone[arm][max(0, len(w.alone[arm])-maxAlone):]
	if len(w.alone[judge.Primary]) == 0 || len(w.alone[judge.Canary]) == 0 {
		return
	}
	for _, arm := range []judge.Arm{judge.Primary, judge.Canary} {
		w.callWatch.see(arm, w.alone[arm][0])
		w.alone[arm] = w.alone[arm][1:]
	}
}

func (w *shadowWatch) count(row *pair) {
	if row.complete() {
		w.paired++
	}
}

// label takes a label with one of the answers to its row.
func (w *shadowWatch) label(p serve.LabelledPrediction) {
	if w == nil || p.Time.Before(w.since) || !p.Status.OK() || !isAboutLabel(p.Truth) || classIndex(w.classes, p.Truth.Value) < 0 {
		return
	}
	key := rowKey{p.ID, p.Index}
	row := w.rows[key]
	if row == nil {
		if len(w.rows) >= maxPairs {
			w.forgetOldest()
		}
		row = &pair{at: p.Time}
		w.rows[key] = row
	}
	complete := row.complete()
	row.label = p.Truth.Value
	switch scores := p.Scores(); {
	case p.Variant == serve.Shadow && p.Version == w.challenger && len(scores) == len(w.own):
		row.challenger = scores
	case p.Variant == serve.Primary && p.Version == w.champion && len(scores) == len(w.theirs):
		row.champion = scores
	}
	if !complete {
		w.count(row)
	}
}

// forgetOldest drops half of the rows: first, from the oldest on, those that
// only one of both answered, which of a sampled shadow are nearly all.
func (w *shadowWatch) forgetOldest() {
	keys, drop := w.inOrder(), len(w.rows)/2
	for _, complete := range []bool{false, true} {
		for _, key := range keys {
			row := w.rows[key]
			if drop == 0 || row == nil || row.complete() != complete {
				continue
			}
			if complete {
				w.paired--
			}
			delete(w.rows, key)
			drop--
		}
	}
}

func (w *shadowWatch) inOrder() []rowKey {
	keys := make([]rowKey, 0, len(w.rows))
	for key := range w.rows {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b rowKey) int {
		return cmp.Or(w.rows[a].at.Compare(w.rows[b].at), cmp.Compare(a.id, b.id), cmp.Compare(a.index, b.index))
	})
	return keys
}

// scores returns both sides' scores of the paired rows, in the order of time.
func (w *shadowWatch) scores() (champion, challenger metric.Scores) {
	theirs, own := asked{classes: w.theirs}, asked{classes: w.own}
	for _, key := range w.inOrder() {
		if row := w.rows[key]; row.complete() {
			theirs.rows = append(theirs.rows, scored{row.label, row.champion})
			own.rows = append(own.rows, scored{row.label, row.challenger})
		}
	}
	return scoresOfBoth(w.classes, theirs, own)
}

// prepareRollout makes what watches the stage of the retraining under way, and
// reads again what an earlier life had gathered.
func (l *Loop) prepareRollout(ctx context.Context) error {
	w, a := l.watcher, l.memory.Attempt
	if a != nil && (a.Retraining.Champion != l.memory.Followed || l.unroutable != "") {
		a = nil // a person has moved the champion, or this process cannot load the challenger: it is given up in this step
	}
	if a == nil || a.Retraining.Stage != Shadowing {
		w.shadow = nil
	}
	if a == nil || a.Retraining.Stage != Canarying {
		w.canary = nil
	}
	if a == nil {
		return nil
	}
	r := a.Retraining
	// A clock that was set back leaves what comes now before the stage's old beginning.
	if w.shadow != nil {
		rewindTimes(r.StageSince, &w.shadow.since)
	}
	if w.canary != nil {
		rewindTimes(a.RolloutSince, &w.canary.Since)
	}
	switch {
	case r.Stage == Shadowing && (w.shadow == nil || w.shadow.retraining != r.ID):
		return l.newShadowWatch(ctx, a)
	case r.Stage == Canarying && (w.canary == nil || w.canary.Retraining != r.ID):
		return l.newCanaryWatch(ctx, a)
	case r.Stage == Canarying && w.canary.own == nil:
		return l.addClasses(ctx, w.canary, r)
	}
	return nil
}

func (l *Loop) newShadowWatch(ctx context.Context, a *attempt) error {
	r := a.Retraining
	own, err := l.classesOfVersion(ctx, r.Version)
	if err != nil {
		return fmt.Errorf("version %d: %w", r.Version, err)
	}
	s := &shadowWatch{
		retraining: r.ID, since: r.StageSince, champion: r.Champion, challenger: r.Version,
		classes: allClasses(l.watcher.classes, own), own: own, theirs: l.watcher.classes, rows: make(map[rowKey]*pair),
	}
	if s.callWatch, err = l.watchCalls(ctx, r.Champion, a.PredictionSeq); err != nil {
		return err
	}
	if err := l.eachLabel(ctx, a.LabelSeq, s.label); err != nil {
		return err
	}
	if err := l.askAgain(ctx, a, s); err != nil {
		return err
	}
	l.watcher.shadow = s
	return nil
}

func (l *Loop) classesOfVersion(ctx context.Context, version int64) ([]frame.Value, error) {
	b, _, err := l.registry(time.Time{}).Load(ctx, registry.VersionRef(l.config.Model, version))
	if err != nil {
		return nil, err
	}
	p, err := l.load(b)
	if err != nil {
		return nil, err
	}
	defer closePredictor(p)
	return classesOf(p)
}
