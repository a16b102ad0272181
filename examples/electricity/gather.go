package main

import (
	"context"
	"strings"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/retrain"
)

// fortnights are the answers of the densest calendar, computed beside the replay.
type fortnights struct {
	hits []bool
	err  error
}

func startBaselines(ctx context.Context, m *market, seed uint64, end int) <-chan fortnights {
	done := make(chan fortnights, 1)
	go func() {
		hits, err := calendar(ctx, m, seed, end, m.everyFortnight(end))
		done <- fortnights{hits, err}
	}()
	return done
}

// gather computes the figures from what is stored.
func gather(ctx context.Context, m *market, loop *retrain.Loop, stores *retrain.Stores, seed uint64, end int, baselines <-chan fortnights) (figures, error) {
	f := figures{Rows: end - m.history}
	own := &watcher{market: m, log: stores.Serve}
	if err := own.readPredictions(ctx); err != nil {
		return f, err
	}
	if err := f.count(ctx, loop, stores); err != nil {
		return f, err
	}
	first, _, err := registry.New(stores.Registry, stores.Artifacts, nil).Load(ctx, registry.VersionRef(model, 1))
	if err != nil {
		return f, err
	}
	frozen, err := answers(ctx, first, m, m.history, end)
	if err != nil {
		return f, err
	}
	byCalendar, err := calendar(ctx, m, seed, end, m.evenly(f.Retrains, end))
	if err != nil {
		return f, err
	}
	fortnight := <-baselines
	if fortnight.err != nil {
		return f, fortnight.err
	}
	f.fits = len(m.everyFortnight(end))
	f.FrozenAccuracy, f.LoopAccuracy, f.CalendarAccuracy = share(frozen), share(own.hits), share(byCalendar)
	f.FortnightAccuracy, f.YesterdayAccuracy = share(fortnight.hits), share(yesterday(m, end))
	f.LoopMinusCalendarLow, f.LoopMinusCalendarHigh = weeklyInterval(own.hits, byCalendar, seed)
	return f, nil
}

// count reads the loop's own records.
func (f *figures) count(ctx context.Context, loop *retrain.Loop, stores *retrain.Stores) error {
	counts, err := stores.Serve.Counts(ctx, model)
	if err != nil {
		return err
	}
	f.PredictionsLogged, f.LabelsJoined = counts.Predictions, counts.Labels
	retrainings, err := loop.Retrainings(ctx)
	if err != nil {
		return err
	}
	for _, r := range retrainings {
		if r.Champion == 0 {
			continue // the first fit
		}
		f.Retrains++
		f.countStage(r)
	}
	f.FirstWideningAlertRows = -1
	for a, err := range drift.AllAlerts(ctx, stores.Drift, drift.AlertQuery{Model: model}) {
		if err != nil {
			return err
		}
		f.Alerts++
		rows := int(a.FiredAt.Sub(rowTime(widening)) / halfHour)
		if rows < 0 {
			f.AlertsBeforeWidening++
		}
		if first := f.FirstWideningAlertRows; namesWidening(a) && (first < 0 || rows < first) {
			f.FirstWideningAlertRows = rows
		}
	}
	return nil
}

// countStage counts what a retraining came to, and what labels told of its
// canary. One that is taken back for its failed calls waits for no labels.
func (f *figures) countStage(r retrain.Retraining) {
	switch r.Stage {
	case retrain.Promoted:
		f.Promotions++
	case retrain.Rejected, retrain.Failed:
		f.Rejections++
	case retrain.RolledBack:
		f.Rollbacks++
	case retrain.Inconclusive:
		f.Inconclusive++
	}
	if !r.Stage.Final() || len(r.Verdicts) == 0 {
		return
	}
	switch last := r.Verdicts[len(r.Verdicts)-1]; {
	case !strings.HasPrefix(last.Gate, "canary "):
	case last.Outcome == retrain.Undetermined:
		f.CanariesUnjudged++
	default:
		f.CanariesJudged++
	}
}

func namesWidening(a drift.Alert) bool {
	for _, c := range a.Columns {
		if strings.Contains("feat_4 feat_5 feat_6", c.Column) {
			return true
		}
	}
	return false
}
