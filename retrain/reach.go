package retrain

import (
	"context"
	"fmt"
	"math"
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
	if l.memory.Ledger.Begun == 1 {
		texts, err := l.holdoutOutOfReach(ctx, r.Champion)
		if err != nil {
			return err
		}
		if age := now.Sub(counts.Oldest); !counts.Oldest.IsZero() && age > 0 {
			labelled := 1.0
			if due := age - l.config.LabelDelay; due > l.config.LabelDelay && counts.Predictions > 0 {
				labelled = min(1, float64(counts.Labels)/(float64(counts.Predictions)*due.Hours()/age.Hours()))
			}
			texts = append(texts, l.terms.outOfReach(float64(counts.Predictions)/max(inDays(age), 1), labelled)...)
		}
		if len(texts) > 0 {
			if err := l.report(ctx, Event{Time: now, Kind: EventUnreachable, Key: r.ID + "/reach", Text: strings.Join(texts, "; ")}); err != nil {
				return err
			}
		}
	}
	return l.reportObstacles(ctx, now, r)
}

// reportObstacles says what several retrainings in a row came to nothing at.
func (l *Loop) reportObstacles(ctx context.Context, now time.Time, r Retraining) error {
	for name, o := range l.memory.Ledger.Obstacles {
		if o.Times >= obstacleTimes && !o.Told {
			text := fmt.Sprintf("%d retrainings in a row came to nothing at the same place, %q, the last one because: %s; %s", o.Times, name, o.Reason, o.Setting)
			if err := l.report(ctx, Event{Time: now, Kind: EventUnreachable, Key: r.ID + "/obstacle/" + name, Text: text}); err != nil {
				return err
			}
			o.Told = true
			l.memory.Ledger.Obstacles[name] = o
		}
	}
	return nil
}

// obstacleTimes is how many retrainings have to fail at one place before an
// event names it.
const obstacleTimes = 3

// obstacle is what stood in the way of fruitless retrainings.
type obstacle struct {
	Times   int    `json:"times"`
	Reason  string `json:"reason"`  // of the last one
	Setting string `json:"setting"` // what to look at
	Told    bool   `json:"told"`
}

// obstacleOf names what stood in a fruitless retraining's way: the gate that did
// not pass, or its stage.
func obstacleOf(r Retraining) (name string, o obstacle) {
	for _, v := range r.Verdicts {
		if v.Outcome != Pass && !watchedWeight(v, r) {
			return v.Gate, obstacle{Reason: v.Reason, Setting: settingOf(v)}
		}
	}
	return string(r.Stage), obstacle{Reason: r.Reason, Setting: "look at Retrainings and at the log"}
}

// watchedWeight reports a canary's verdict that nothing hung on: that of a weight
// before the last one.
func watchedWeight(v Verdict, r Retraining) bool {
	last := r.Verdicts[len(r.Verdicts)-1]
	return v.Outcome == Undetermined && strings.HasPrefix(v.Gate, "canary") && v.Gate != last.Gate
}

// settingOf says which settings decide about a verdict.
func settingOf(v Verdict) string {
	switch {
	case v.Outcome == Fail:
		return "the challengers are worse than the champion, by more than the margin of that name: look at Data, Features and Trainer"
	case strings.HasPrefix(v.Gate, "shadow"):
		return "Rollout.Shadow, Patience and MinLabels say how long it waits for how many labels, Rollout.Margin how many it takes to tell"
	case strings.HasPrefix(v.Gate, "canary"):
		return "Rollout.Bake, Patience, MinLabels and the last of Weights say how long it waits for how many labels"
	}
	return "Config.Holdout says how many rows it is judged on, its margin how many it takes to tell"
}

func inDays(d time.Duration) float64 { return d.Hours() / 24 }

// leastCompared is how many rows any comparison needs.
const leastCompared = 30

// holdoutOutOfReach says that the holdout has too few rows for the gates, at the
// rate of rows that the champion was fitted on.
func (l *Loop) holdoutOutOfReach(ctx context.Context, champion int64) ([]string, error) {
	v, err := l.registry(time.Time{}).Version(ctx, l.config.Model, champion)
	if err != nil {
		return nil, err
	}
	span, needed := inDays(v.Lineage.DataTo.Sub(v.Lineage.DataFrom)), float64(max(leastCompared, termsOf(l.config).gateRows()))
	if len(l.config.Gates) == 0 || v.Lineage.Rows == 0 || span <= 0 {
		return nil, nil
	}
	perDay := float64(v.Lineage.Rows) / span
	if h := inDays(l.config.Holdout); h > 0 && h*perDay < needed {
		return []string{fmt.Sprintf("the gates need %.0f held-out rows to tell with a power of 0.8, and in the %.3g days of Config.Holdout, at %.3g rows a day, about %.0f come: lengthen Holdout to %.0f days, or widen the gates' margins",
			needed, h, perDay, h*perDay, math.Ceil(needed/perDay))}, nil
	}
	if most := mostHoldout * float64(v.Lineage.Rows); l.config.Holdout == 0 && most < needed {
		return []string{fmt.Sprintf("the gates need %.0f held-out rows to tell with a power of 0.8, and %.0f %% of the %d rows that the champion was fitted on are about %.0f: let Data reach further back, set Config.Holdout, or widen the gates' margins",
			needed, 100*mostHoldout, v.Lineage.Rows, most)}, nil
	}
	return nil, nil
}

// outOfReach says which waits of the rollout end before enough rows can have
// come, at so many predictions a day of which that part gets labels.
func (t terms) outOfReach(perDay, labelled float64) []string {
	var texts []string
	rollout, needed := t.Rollout, float64(t.minLabels())
	if rollout.Shadow > 0 {
		open := t.patience(rollout.Shadow) - t.LabelDelay // rows after that have no label in time
		if got := perDay * labelled * inDays(open); got < needed {
			texts = append(texts, fmt.Sprintf("the shadow needs %.0f labelled rows, and in the %.0f days that Rollout.Shadow and Rollout.Patience give it, at %.3g predictions a day, about %.0f come: lengthen Shadow to %.0f days, or lower MinLabels",
				needed, inDays(open), perDay, got, needed/max(perDay*labelled, 1e-9)))
		}
	}
	if n := len(rollout.Weights); n > 0 {
		open := t.patience(rollout.Bake) - t.LabelDelay
		weight := rollout.Weights[n-1]
		calls := perDay * weight * inDays(open)
		for _, earlier := range rollout.Weights[:n-1] { // labels count over all weights
			calls += perDay * earlier * inDays(rollout.Bake)
		}
		if got := labelled * calls; got < needed {
			texts = append(texts, fmt.Sprintf("the canary needs %.0f labelled rows, and in the %.0f days that Rollout.Bake and Rollout.Patience give its last weight of %g, and the time before, at %.3g predictions a day, about %.0f come: raise the weight, lengthen Bake, or lower MinLabels",
				needed, inDays(open), weight, perDay, got))
		}
	}
	return texts
}
