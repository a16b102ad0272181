package retrain_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/retrain"
)

// readEvents takes what the loop has reported since the last look, and checks
// what may not happen.
func (h *history) readEvents(t *testing.T) {
	events, err := h.stores.Retrain.Events(t.Context(), retrain.EventQuery{Model: chaosName, After: h.lastEvent})
	require.NoError(t, err)
	for _, e := range events {
		h.lastEvent = e.Seq
		h.note("%s %s: %s", e.Time.Format("[02 15:04]"), e.Kind, firstLine(e.Text))
		h.readEvent(t, e)
	}
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

func (h *history) readEvent(t *testing.T, e retrain.Event) {
	if h.told == nil {
		h.told, h.unjudged = make(map[string]bool), make(map[string]bool)
	}
	switch e.Kind {
	case retrain.EventStepFailing:
		part, _, _ := strings.Cut(e.Text, " fails")
		h.told[part] = true
	case retrain.EventStepRecovered:
		delete(h.told, strings.TrimSuffix(e.Text, " works again"))
	case retrain.EventPaused:
		h.paused = true
	case retrain.EventUnpaused:
		h.paused, h.pausedAt = false, time.Now()
	case retrain.EventForgiven:
		h.failures = 0
	case retrain.EventStopped:
		h.stopped, h.explained = true, true
	case retrain.EventWaiting, retrain.EventSuppressed:
		h.explained = true
	case retrain.EventUnjudged:
		h.unjudged[strings.Join(strings.Split(e.Key, "/")[:2], "/")] = true
	case retrain.EventStarted:
		h.checkBeginning(t, e)
	}
	if stage := retrain.Stage(e.Kind); endings[stage] {
		h.readEnd(t, e, stage)
	}
}

// endings are the stages in which a retraining ends.
var endings = map[retrain.Stage]bool{
	retrain.Promoted: true, retrain.Recommended: true, retrain.Rejected: true, retrain.Inconclusive: true,
	retrain.RolledBack: true, retrain.Failed: true, retrain.Superseded: true,
}

// checkBeginning demands that the policy permits a retraining that has begun.
func (h *history) checkBeginning(t *testing.T, e retrain.Event) {
	id := strings.TrimSuffix(e.Key, "/started")
	b := beginning{id: id, at: e.Time, seen: time.Now(), retraining: h.record(t, id)}
	if h.under != "" {
		h.violate("retraining %s has begun beside %s", id, h.under)
	}
	if h.paused {
		h.violate("retraining %s has begun in a pause", id)
	}
	if h.failures >= h.settings.maxFailures() {
		h.violate("retraining %s has begun after %d failures in a row", id, h.failures)
	}
	if n := len(h.begun); n > 0 && b.retraining.Champion > 0 {
		h.checkCooldown(h.begun[n-1], b)
		h.checkBudget(b)
	}
	h.under, h.explained = id, false
	h.begun = append(h.begun, b)
}

// checkCooldown demands the policy's least time between two beginnings, by the
// loop's clock; where that has been set back meanwhile, from then on.
func (h *history) checkCooldown(before, b beginning) {
	from := before.at
	for _, j := range h.jumps {
		if j.by < 0 && !j.at.Before(before.seen.Add(-time.Hour)) && j.to.Before(from) {
			from = j.to
		}
	}
	first := before.retraining.Champion == 0 // the first one after the first champion does not wait
	if gap := b.at.Sub(from); gap < h.settings.cooldown() && !first {
		h.violate("retraining %s has begun %s after %s, the cooldown is %s", b.id, gap, before.id, h.settings.cooldown())
	}
}

// checkBudget demands that no more begin than Policy.Per permits.
func (h *history) checkBudget(b beginning) {
	per := h.settings.config.Policy.Per
	if per == 0 || len(h.jumps) > 0 {
		return
	}
	n := 1
	for _, other := range h.begun {
		if other.retraining.Champion > 0 {
			n++
		}
	}
	if most := 1 + int(b.at.Sub(h.begun[0].at)/per); n > most {
		h.violate("retraining %s is the %dth, the budget permits %d by now", b.id, n, most)
	}
}

// readEnd takes the end of a retraining.
func (h *history) readEnd(t *testing.T, e retrain.Event, stage retrain.Stage) {
	id := strings.Join(strings.Split(e.Key, "/")[:2], "/")
	if id != h.under {
		h.violate("retraining %s is %s, under way is %q", id, stage, h.under)
	}
	h.under = ""
	r := h.record(t, id)
	byHand := strings.Contains(r.Reason, "by hand")
	switch stage {
	case retrain.Failed, retrain.RolledBack:
		h.failures++
	case retrain.Promoted, retrain.Recommended:
		h.failures = 0
	}
	if stage == retrain.Promoted && r.Champion > 0 && !byHand {
		if h.paused {
			h.violate("version %d was promoted in a pause", r.Version)
		}
		h.checkPromotion(t, r)
	}
}

// checkPromotion demands that what was promoted had been shown to be no worse, on
// as many rows as are stated; and counts the challengers that were worse all the
// same.
func (h *history) checkPromotion(t *testing.T, r retrain.Retraining) {
	if h.unjudged[r.ID] {
		h.tally.Unjudged++
		return
	}
	rollout := h.settings.config.Rollout
	stages := 0
	for _, v := range r.Verdicts {
		rolledOut := strings.HasPrefix(v.Gate, "shadow") || strings.HasPrefix(v.Gate, "canary")
		if !rolledOut || (v.Outcome != retrain.Pass && strings.HasPrefix(v.Gate, "canary") && v != r.Verdicts[len(r.Verdicts)-1]) {
			continue // gates have their own consequence; the earlier weights of a canary are watched, not passed
		}
		stages++
		if v.Outcome != retrain.Pass || v.N < h.settings.minLabels() {
			h.violate("version %d was promoted on %q: %s, %d rows: %s", r.Version, v.Gate, v.Outcome, v.N, v.Reason)
		}
	}
	if (rollout.Shadow > 0 || len(rollout.Weights) > 0) && stages == 0 {
		h.violate("version %d was promoted without a verdict of its rollout", r.Version)
	}
	m, champion := h.modelOf(t, r.Version), h.modelOf(t, r.Champion)
	from := h.begun[len(h.begun)-1].seen
	var eras []int
	for e := h.world.era(from.Add(-time.Hour)); e <= h.world.era(time.Now()); e++ {
		eras = append(eras, e)
	}
	if m.isBroken() || m.worseThan(champion, eras...) {
		h.note("BAD PROMOTION version %d %+v in the place of %+v", r.Version, m, champion)
		h.tally.badPromotion(m.Kind)
		h.bad = append(h.bad, fmt.Sprintf("seed %d, %s", h.seed, r.ID))
	}
}
