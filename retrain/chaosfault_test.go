package retrain_test

import (
	"context"
	"math"
	"time"

	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/retrain"
)

// planJump sets the loop's clock ahead or back, for a while or for good.
func (h *history) planJump(at time.Duration) {
	by := time.Duration(float64(time.Minute) * math.Pow(8000, h.rng.Float64())) // a minute to five days
	if h.rng.IntN(20) == 0 {
		by = 365 * 24 * time.Hour
	}
	if h.rng.IntN(2) == 0 {
		by = -by
	}
	back := time.Duration(h.rng.Float64() * float64(4*24*time.Hour))
	forGood := h.rng.IntN(3) == 0 && by < 30*24*time.Hour
	h.later(at, "the clock jumps by "+by.String(), func() {
		h.jump(by)
		if !forGood {
			h.later(back, "the clock is right again", func() { h.jump(-by) })
		}
	})
}

func (h *history) jump(by time.Duration) {
	h.offset += by
	h.jumps = append(h.jumps, clockJump{time.Now(), h.now(), by})
}

// planRestart ends a life: in good order, by a kill, or by a kill at one of the
// writes to come; another begins some time later.
func (h *history) planRestart(at time.Duration) {
	down := time.Duration(float64(time.Second) * math.Pow(100_000, h.rng.Float64())) // a second to a day
	switch h.rng.IntN(3) {
	case 0:
		h.later(at, "the process is stopped", func() { h.endLife(false); h.planStart(down) })
	case 1:
		h.later(at, "the process is killed", func() { h.endLife(true); h.planStart(down) })
	case 2:
		writes, before := h.rng.IntN(60), h.rng.IntN(2) == 0
		h.later(at, "the process will be killed at a write", func() {
			if l := h.life; l != nil {
				l.fuse.mu.Lock()
				l.fuse.left, l.fuse.before = writes, before
				l.fuse.mu.Unlock()
			}
		})
	}
}

func (h *history) planStart(after time.Duration) {
	h.later(after, "the process starts", func() { h.starts = true })
}

// The stores, as bits: which of them take no writes.
const (
	downRetrain = 1 << iota
	downServe
	downRegistry
	downDrift
	downNowAndThen // all of them, each seventh write
)

// planOutageOfStores keeps some of the stores from writing for a while.
func (h *history) planOutageOfStores(at time.Duration) {
	which := oneOf(h.rng, downRetrain, downServe, downRegistry, downDrift, downNowAndThen, downRetrain|downServe|downRegistry|downDrift)
	took := time.Duration(float64(time.Minute) * math.Pow(1000, h.rng.Float64())) // a minute to 16 hours
	h.later(at, "stores take no writes", func() {
		h.setDown(which)
		h.later(took, "stores take writes again", func() { h.setDown(0) })
	})
}

func (h *history) setDown(which int) {
	h.storesDown = which
	h.storesDownAt = time.Now()
	if l := h.life; l != nil {
		l.fuse.mu.Lock()
		l.fuse.down = which
		l.fuse.mu.Unlock()
	}
}

// planHand has a person take the wheel.
func (h *history) planHand(at time.Duration) {
	hold := time.Duration(h.rng.Float64() * float64(5*24*time.Hour))
	with := func(do func(ctx context.Context, l *retrain.Loop) error) func() {
		return func() {
			if h.life == nil {
				return
			}
			if err := do(h.life.ctx, h.life.loop); err != nil {
				h.note("by hand: %v", err)
			}
		}
	}
	unpause := with(func(ctx context.Context, l *retrain.Loop) error { return l.Unpause(ctx) })
	switch h.rng.IntN(4) {
	case 0:
		h.later(at, "pause", with(func(ctx context.Context, l *retrain.Loop) error {
			h.later(hold, "unpause", unpause)
			return l.Pause(ctx, "chaos")
		}))
	case 1:
		h.later(at, "retrain", with(func(ctx context.Context, l *retrain.Loop) error { return l.Retrain(ctx, "chaos") }))
	case 2:
		h.later(at, "roll back", with(func(ctx context.Context, l *retrain.Loop) error {
			h.later(hold, "unpause", unpause)
			return l.RollBack(ctx, "chaos")
		}))
	case 3:
		h.later(at, "move the alias", func() { h.moveAlias() })
	}
}

// moveAlias has a person make version 1 champion again, in the registry alone.
func (h *history) moveAlias() {
	ctx := context.Background()
	models := registry.New(h.stores.Registry, h.stores.Artifacts, nil)
	alias, err := models.Alias(ctx, chaosName, registry.Champion)
	if err != nil || alias.Version == 1 {
		return
	}
	if _, err := models.SetAlias(ctx, chaosName, registry.Champion, alias.Version, 1, registry.Change{Actor: "jo"}); err != nil {
		h.note("by hand: %v", err)
	}
}
