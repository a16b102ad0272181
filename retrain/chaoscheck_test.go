package retrain_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train/frame"
)

// checker holds what the invariants need to know of the past.
type checker struct {
	violations   []string
	notes        []string // what happened, for a reader
	served       bool     // a champion has answered
	starts       bool     // the process is to start
	storesDown   int
	storesDownAt time.Time // when that changed last
	jumps        []clockJump

	lastEvent int64
	told      map[string]bool // parts whose failing has been told
	paused    bool            // by the events
	pausedAt  time.Time       // when a pause was seen last
	failures  int             // in a row, by the events
	stopped   bool
	under     string // ID of the retraining under way, by the events
	begun     []beginning
	unjudged  map[string]bool // retrainings of which something was passed over
	explained bool            // why no retraining begins has been said since the last one
	strayed   time.Time       // since when another version answers than the alias names
	bad       []string        // challengers that were promoted though worse, by retraining
}

// clockJump is a change of the loop's clock.
type clockJump struct {
	at time.Time // by the world
	to time.Time // by the loop's clock
	by time.Duration
}

// beginning is the start of a retraining.
type beginning struct {
	id         string
	at         time.Time // by the loop's clock
	seen       time.Time // by the world, within an hour
	retraining retrain.Retraining
}

func (h *history) note(format string, args ...any) {
	h.notes = append(h.notes, fmt.Sprintf("%s  %s", time.Now().Format("02 15:04:05"), fmt.Sprintf(format, args...)))
}

func (h *history) violate(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	h.note("VIOLATION %s", text)
	h.violations = append(h.violations, fmt.Sprintf("%s: %s", time.Now().Format("02 15:04"), text))
}

// report is the history's log for a failed test.
func (h *history) report() string {
	return fmt.Sprintf("history %d breaks %d invariants:\n%s\nreplay it with\n  go test ./retrain -run TestChaos$ -chaos.seed=%d -v\n\n%s",
		h.seed, len(h.violations), strings.Join(h.violations, "\n"), h.seed, strings.Join(h.notes, "\n"))
}

// settled reports whether for so long nothing has happened to the process, its
// clock or its stores that a step needs time to get over.
func (h *history) settled(d time.Duration) bool {
	now := time.Now()
	if now.Sub(h.life.from) < d || h.storesDown != 0 || now.Sub(h.storesDownAt) < d || h.paused || now.Sub(h.pausedAt) < d {
		return false
	}
	return len(h.jumps) == 0 || now.Sub(h.jumps[len(h.jumps)-1].at) >= d
}

// slack is how late a step may be: two of them, and a source of labels that hangs.
func (h *history) slack() time.Duration { return 2*h.settings.config.Interval + 30*time.Minute }

// lookAfter keeps the process alive and checks every invariant.
func (h *history) lookAfter(t *testing.T) {
	h.tally.Hours++
	if l := h.life; l != nil && l.fuse.isDead() {
		h.note("the process was killed at a write")
		h.endLife(true)
		h.planStart(time.Duration(h.rng.IntN(20)) * time.Hour)
	}
	if h.starts && h.life == nil {
		h.starts = false
		h.startLife(t)
		return
	}
	if h.life == nil {
		return
	}
	select {
	case err := <-h.life.ran:
		h.life.ran <- err
		h.violate("Run has ended by itself: %v", err)
		return
	default:
	}
	h.readEvents(t)
	status, err := h.life.loop.Status(context.Background())
	require.NoError(t, err)
	h.checkSteps(status)
	h.checkStage(status)
	h.checkIdle(t, status)
	h.checkTraffic(t, status)
	if h.stopped { // a person looks after it, in time
		h.stopped = false
		h.later(time.Duration(h.rng.IntN(72))*time.Hour, "failures are reset", func() {
			if h.life != nil {
				_ = h.life.loop.ResetFailures(h.life.ctx)
			}
		})
	}
}

// checkSteps demands that steps go on and that what fails is told.
func (h *history) checkSteps(s retrain.Status) {
	if s.Paused != "" {
		h.pausedAt = time.Now()
	}
	if !h.settled(h.slack()) {
		return
	}
	if lag := h.now().Sub(s.SteppedAt); lag > h.slack() || lag < -h.slack() {
		h.violate("the last step is %s behind the clock; failing %+v", lag, s.Failing)
	}
	for _, f := range s.Failing {
		if f.Count >= 3 && !h.told[f.Part] && f.Part != "stores" {
			h.violate("%q has failed %d times since %s, and no event tells of it: %s", f.Part, f.Count, f.Since, f.Error)
		}
	}
}

// answeredBy reports whether a version has answered as a canary, long enough ago
// for a step to know.
func (h *history) answeredBy(version int64) bool {
	for after := int64(0); ; {
		page, err := h.stores.Serve.Predictions(context.Background(), serve.PredictionQuery{
			Model: chaosName, After: after, Variants: []serve.Variant{serve.Canary}, Statuses: []serve.Status{frame.Answered},
		})
		if err != nil || len(page) == 0 {
			return false
		}
		for _, p := range page {
			if after = p.Seq; p.Version == version && p.Time.Before(h.now().Add(-h.slack())) {
				return true
			}
		}
	}
}

// checkStage demands that no stage lasts longer than it may.
func (h *history) checkStage(s retrain.Status) {
	r := s.Retraining
	if r == nil || !h.settled(h.slack()) {
		return
	}
	rollout := h.settings.config.Rollout
	limit := 8 * time.Hour // of a fit, its timeout included
	switch r.Stage {
	case retrain.Fitting:
		if h.explained { // it is put off, and that was said
			return
		}
	case retrain.Shadowing:
		limit = h.settings.patience(rollout.Shadow)
	case retrain.Canarying:
		if limit = rollout.Bake; r.Weight == len(rollout.Weights)-1 || !h.answeredBy(r.Version) {
			limit = h.settings.patience(rollout.Bake)
		}
	}
	if age := h.now().Sub(r.StageSince); age > limit+h.slack() {
		h.violate("retraining %s has been %s for %s, at most %s is stated", r.ID, r.Stage, age, limit)
	}
}

// checkIdle demands that a retraining which is due begins, or that an event and
// the status say why not.
func (h *history) checkIdle(t *testing.T, s retrain.Status) {
	if s.Retraining != nil || s.Champion == 0 || !h.settled(h.slack()) {
		return
	}
	all, err := h.stores.Retrain.Retrainings(t.Context(), retrain.RetrainingQuery{Model: chaosName, Last: 1})
	require.NoError(t, err)
	if len(all) == 0 {
		return
	}
	last := all[0]
	if since := h.now().Sub(last.StartedAt); since < h.settings.every+h.slack() || h.now().Sub(last.EndedAt) < h.slack() {
		return
	}
	if !h.explained || len(s.Waiting) == 0 {
		h.violate("a retraining has been due since %s, none has begun, and it is said: by an event %t, by the status %q", last.StartedAt.Add(h.settings.every), h.explained, s.Waiting)
	}
}

// checkTraffic demands that the alias's version answers, and that a challenger is
// on the route only in its stage.
func (h *history) checkTraffic(t *testing.T, s retrain.Status) {
	if !h.settled(h.slack()) {
		return
	}
	route, err := h.stores.Serve.Route(t.Context(), chaosName)
	if err != nil {
		return // nothing is served yet
	}
	alias, err := h.registry().Alias(t.Context(), chaosName, registry.Champion)
	require.NoError(t, err)
	switch {
	case route.Primary == alias.Version:
		h.strayed = time.Time{}
	case h.strayed.IsZero():
		h.strayed = time.Now()
	case time.Since(h.strayed) > h.slack():
		h.violate("the alias names version %d, version %d answers since %s", alias.Version, route.Primary, h.strayed)
	}
	r := s.Retraining
	if route.Shadow != 0 && (r == nil || r.Stage != retrain.Shadowing || r.Version != route.Shadow) {
		h.violate("version %d is a shadow outside its stage", route.Shadow)
	}
	if route.Canary != 0 && (r == nil || r.Stage != retrain.Canarying || r.Version != route.Canary) {
		h.violate("version %d is a canary outside its stage", route.Canary)
	}
}

func (h *history) registry() *registry.Client {
	return registry.New(h.stores.Registry, h.stores.Artifacts, nil)
}

// modelOf returns what a version is made of.
func (h *history) modelOf(t *testing.T, version int64) chaosModel {
	b, _, err := h.registry().Load(t.Context(), registry.VersionRef(chaosName, version))
	require.NoError(t, err)
	m, err := modelOf(b)
	require.NoError(t, err)
	return m
}

func (h *history) describeChampion(t *testing.T) string {
	alias, err := h.registry().Alias(t.Context(), chaosName, registry.Champion)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%d, %+v", alias.Version, h.modelOf(t, alias.Version))
}

func (f *fuse) isDead() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.dead
}

// record returns a retraining by its ID.
func (h *history) record(t *testing.T, id string) retrain.Retraining {
	all, err := h.stores.Retrain.Retrainings(t.Context(), retrain.RetrainingQuery{Model: chaosName})
	require.NoError(t, err)
	i := slices.IndexFunc(all, func(r retrain.Retraining) bool { return r.ID == id })
	require.GreaterOrEqual(t, i, 0, "retraining %s has an event and no record", id)
	return all[i]
}
