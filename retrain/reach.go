package retrain

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// reportReach compares what the configuration waits for with the traffic that
// is there, and says with numbers what cannot be reached: at the first
// retraining, and once several have come to nothing for one reason.
func (l *Loop) reportReach(ctx context.Context, now time.Time, r Retraining) error {
	if r.Champion == 0 {
		return nil
	}
	counts, err := l.config.Stores.Serve.Counts(ctx, l.config.Model)
	if err != nil {
		return err
	}
	if l.memory.Ledger.Begun == 1 && !counts.Oldest.IsZero() && now.After(counts.Oldest) {
		days := max(now.Sub(counts.Oldest).Hours()/24, 1)
		labelled := 1.0
		if counts.Predictions > 0 && now.Sub(counts.Oldest) > 2*l.config.LabelDelay {
			labelled = min(1, float64(counts.Labels)/float64(counts.Predictions))
		}
		if texts := l.outOfReach(float64(counts.Predictions)/days, labelled); len(texts) > 0 {
			if err := l.report(ctx, Event{Time: now, Kind: EventUnreachable, Key: r.ID + "/reach", Text: strings.Join(texts, "; ")}); err != nil {
				return err
			}
		}
	}
	for reason, n := range l.memory.Ledger.Reasons {
		if n == obstacleTimes {
			text := fmt.Sprintf("%d retrainings in a row came to nothing at the same place, %q: look at its verdicts, and at the setting it is named after", n, reason)
			if err := l.report(ctx, Event{Time: now, Kind: EventUnreachable, Key: r.ID + "/obstacle/" + reason, Text: text}); err != nil {
				return err
			}
		}
	}
	return nil
}

// obstacleTimes is how many retrainings have to fail at one place before an
// event names it.
const obstacleTimes = 3

// outOfReach says which waits of the rollout end before enough rows can have
// come, at so many predictions a day of which that part gets labels.
func (l *Loop) outOfReach(perDay, labelled float64) []string {
	var texts []string
	rollout, needed := l.config.Rollout, float64(l.minLabels())
	days := func(d time.Duration) float64 { return d.Hours() / 24 }
	if rollout.Shadow > 0 {
		open := l.patience(rollout.Shadow) - l.config.LabelDelay // rows after that have no label in time
		if got := perDay * labelled * days(open); got < needed {
			texts = append(texts, fmt.Sprintf("the shadow needs %.0f labelled rows, and in the %.0f days that Rollout.Shadow and Rollout.Patience give it, at %.1f predictions a day, about %.0f come: lengthen Shadow to %.0f days, or lower MinLabels",
				needed, days(open), perDay, got, needed/max(perDay*labelled, 1e-9)))
		}
	}
	if n := len(rollout.Weights); n > 0 {
		open := l.patience(rollout.Bake) - l.config.LabelDelay
		weight := rollout.Weights[n-1]
		calls := perDay * weight * days(open)
		for _, earlier := range rollout.Weights[:n-1] { // labels count over all weights
			calls += perDay * earlier * days(rollout.Bake)
		}
		if got := labelled * calls; got < needed {
			texts = append(texts, fmt.Sprintf("the canary needs %.0f labelled rows, and in the %.0f days that Rollout.Bake and Rollout.Patience give its last weight of %g, and the time before, at %.1f predictions a day, about %.0f come: raise the weight, lengthen Bake, or lower MinLabels",
				needed, days(open), weight, perDay, got))
		}
	}
	return texts
}
