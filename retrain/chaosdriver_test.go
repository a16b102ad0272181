package retrain_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retraintest"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train/frame"
)

const (
	chaosName     = "chaos"
	chaosDeadline = 50 * time.Millisecond // of every request
)

// history is one run of a loop through faults, in a bubble of virtual time. The
// loop runs by itself; the driver asks, brings labels, breaks things and looks.
type history struct {
	seed     uint64
	settings chaosSettings
	world    *chaosWorld
	rng      *rand.Rand
	begin    time.Time
	release  chan struct{} // closed at the end: ends all that hangs

	stores *retrain.Stores // of all lives
	engine *retraintest.Engine
	life   *chaosLife    // nil while the process is down
	offset time.Duration // of the loop's clock from the world's
	due    []chaosAction // in the order of time

	sourceFaults, labelFaults outages
	asked                     map[int]bool
	known                     []retrain.KnownLabel // what the source of labels holds, by the world's time
	waiting                   []serve.LabelInput   // that could not be given yet

	checker
	tally chaosTally
}

// chaosAction is something that is to happen.
type chaosAction struct {
	at   time.Time
	name string
	do   func()
}

// chaosLife is one life of the process.
type chaosLife struct {
	ctx  context.Context
	fuse *fuse
	loop *retrain.Loop
	ran  chan error
	from time.Time
}

// runHistory runs one history and returns it.
func runHistory(t *testing.T, seed uint64, change func(s *chaosSettings)) *history {
	h := &history{seed: seed, rng: rand.New(rand.NewPCG(seed, 2)), release: make(chan struct{}), asked: make(map[int]bool), begin: time.Now()}
	h.settings = drawSettings(h.rng)
	if change != nil {
		change(&h.settings)
	}
	length := time.Duration(h.settings.days) * 24 * time.Hour
	h.world = newChaosWorld(seed, h.begin, length, h.settings.perHour)
	h.stores = retraintest.NewStores()
	h.engine = h.stores.Engine.(*retraintest.Engine)
	if !h.settings.quiet {
		h.drawFaults(length)
	}
	if h.settings.plan != nil {
		h.settings.plan(h)
	}
	h.note("rows an hour %g, %+v", h.settings.perHour, h.settings.config)
	h.startLife(t)
	for row, hour := h.world.live, 1; hour <= h.settings.days*24; hour++ {
		until := h.begin.Add(time.Duration(hour) * time.Hour)
		for ; row < len(h.world.times) && h.world.times[row].Before(until); row++ {
			h.until(h.world.times[row])
			h.ask(t, row)
		}
		h.giveLabels()
		h.until(until.Add(time.Second)) // the steps of the hour are over, or wait
		synctest.Wait()
		h.lookAfter(t)
		if len(h.violations) > 5 {
			break
		}
	}
	h.finish(t)
	return h
}

// until sleeps to a time, and does what is due on the way.
func (h *history) until(at time.Time) {
	for len(h.due) > 0 && !h.due[0].at.After(at) {
		a := h.due[0]
		h.due = h.due[1:]
		time.Sleep(time.Until(a.at))
		h.note("%s", a.name)
		a.do()
	}
	time.Sleep(time.Until(at))
}

func (h *history) later(after time.Duration, name string, do func()) {
	h.due = append(h.due, chaosAction{time.Now().Add(after), name, do})
	slices.SortStableFunc(h.due, func(a, b chaosAction) int { return a.at.Compare(b.at) })
}

func (h *history) now() time.Time { return time.Now().Add(h.offset) }

// startLife starts the process on what the lives before it left.
func (h *history) startLife(t *testing.T) {
	if h.life != nil {
		return
	}
	if h.tally.Lives > 0 {
		h.engine = h.engine.Restart()
	}
	h.tally.Lives++
	ctx, kill := context.WithCancel(context.Background())
	f := &fuse{left: -1, kill: kill, down: h.storesDown}
	stores := *h.stores
	stores.Engine, stores.Retrain = h.engine, fusedRetrain{h.stores.Retrain, f}
	stores.Registry, stores.Serve, stores.Drift = fusedRegistry{h.stores.Registry, f}, fusedServe{h.stores.Serve, f}, fusedDrift{h.stores.Drift, f}
	if h.settings.sabotage.stores != nil {
		h.settings.sabotage.stores(&stores)
	}
	retraintest.EndLease(t, h.stores.Retrain, chaosName)
	loop, err := retrain.New(h.newConfig(&stores))
	if err != nil {
		t.Fatalf("history %d: %v", h.seed, err)
	}
	h.life = &chaosLife{ctx: ctx, fuse: f, loop: loop, ran: make(chan error, 1), from: time.Now()}
	if _, err := loop.Open(ctx); err != nil {
		h.violate("a life cannot be opened: %v", err)
	}
	if h.settings.fitFirst && h.tally.Lives == 1 {
		if err := loop.FitFirst(ctx, h.now(), h.world.table.Slice(0, h.world.live)); err != nil {
			h.violate("FitFirst: %v", err)
		}
	}
	go func(l *chaosLife) { l.ran <- l.loop.Run(ctx) }(h.life)
}

// endLife ends the process, by its signal or as kill -9 does.
func (h *history) endLife(killed bool) {
	l := h.life
	if l == nil {
		return
	}
	h.life = nil
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	l.fuse.mu.Lock()
	killed = killed || l.fuse.dead
	if killed {
		l.fuse.die()
		cancel()
	}
	l.fuse.mu.Unlock()
	l.fuse.kill()
	if err := <-l.ran; err != nil && !killed && h.storesDown == 0 {
		h.violate("Run returned %v", err)
	}
	if err := l.loop.Close(ctx); err != nil && !killed && h.storesDown == 0 {
		h.violate("Close returned %v", err)
	}
}

// finish ends the history and all that hangs in it.
func (h *history) finish(t *testing.T) {
	h.endLife(false)
	h.readTally(t)
	close(h.release)
	synctest.Wait()
	_ = h.engine.Restart().Close(context.Background())
	time.Sleep(time.Hour) // deaf calls and timers run out
	synctest.Wait()
}

// reply is what came of a request.
type reply struct {
	response serve.Response
	err      error
}

// infer calls the loop's handler, without a socket: one never counts as idle.
func (h *history) infer(ctx context.Context, handler http.Handler, row int) (serve.Response, error) {
	r := h.world.table.Row(row)
	body := fmt.Sprintf(`{"id":"r%d","inputs":[{"name":"x","datatype":"FP64","shape":[1],"data":[%g]},{"name":"z","datatype":"FP64","shape":[1],"data":[%g]}]}`,
		row, r.Get("x").Float(), r.Get("z").Float())
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodPost, "/v2/models/"+chaosName+"/infer", strings.NewReader(body)))
	switch w.Code {
	case http.StatusOK:
		return serve.Response{Fallback: strings.Contains(w.Body.String(), `"fallback":true`)}, nil
	case http.StatusNotFound:
		return serve.Response{}, fault.Errorf(fault.NotFound, "%s", w.Body)
	}
	return serve.Response{}, fmt.Errorf("status %d: %s", w.Code, w.Body)
}

// ask asks about a row as a client would, with a deadline.
func (h *history) ask(t *testing.T, row int) {
	l := h.life
	if l == nil || time.Now().After(h.world.times[row].Add(time.Minute)) {
		return
	}
	ctx, cancel := context.WithTimeout(l.ctx, chaosDeadline)
	defer cancel()
	began, answered := time.Now(), make(chan reply, 1)
	go func() {
		response, err := h.infer(ctx, l.loop.Handler(), row)
		answered <- reply{response, err}
	}()
	var got reply
	select {
	case got = <-answered:
	case <-time.After(chaosDeadline + time.Millisecond):
		got.err = errors.New("no answer")
	}
	took := time.Since(began)
	if l.ctx.Err() != nil {
		return // the process has died
	}
	if got.err != nil && !h.served && errors.Is(got.err, fault.NotFound) {
		return // there is no champion yet
	}
	h.served = true
	h.tally.Asked++
	h.tally.Worst = max(h.tally.Worst, took)
	if got.err != nil || took > chaosDeadline {
		h.violate("row %d got %v after %s; champion %s", row, got.err, took, h.describeChampion(t))
		return
	}
	if got.response.Fallback {
		h.tally.Fallbacks++
	}
	h.asked[row] = true
	h.scheduleLabel(row)
}

// scheduleLabel draws when and how the label of a row comes.
func (h *history) scheduleLabel(row int) {
	u := func(what uint64) float64 { return uniform(h.seed, uint64(row), 100+what) }
	if u(0) < 0.03 {
		return // never
	}
	delay := time.Duration((0.3 + 0.65*u(1)) * float64(h.settings.config.LabelDelay))
	if u(2) < h.settings.late {
		delay = time.Duration((1 + 3*u(1)) * float64(h.settings.config.LabelDelay))
	}
	truth := h.world.labels[row]
	label := serve.LabelInput{ID: fmt.Sprintf("r%d", row), Value: frame.IntValue(truth)}
	if u(3) < h.settings.alien {
		label.Value = oneOf(h.rng, frame.IntValue(7), frame.StringValue("churned"))
	} else if u(4) < h.settings.wrong {
		right := label
		label.Value = frame.IntValue(1 - truth)
		if u(5) < 0.5 {
			h.knowAt(time.Now().Add(delay+time.Duration(u(6)*3*float64(24*time.Hour))), right)
		}
	}
	h.knowAt(time.Now().Add(delay), label)
}

func (h *history) knowAt(at time.Time, label serve.LabelInput) {
	h.known = append(h.known, retrain.KnownLabel{LabelInput: label, KnownAt: at.Truncate(time.Millisecond)})
}

// giveLabels brings what has become known to the server, unless the loop
// fetches it.
func (h *history) giveLabels() {
	if h.settings.bySource {
		return
	}
	now := time.Now()
	h.known = slices.DeleteFunc(h.known, func(k retrain.KnownLabel) bool {
		if k.KnownAt.After(now) {
			return false
		}
		h.waiting = append(h.waiting, k.LabelInput)
		return true
	})
	if h.life == nil || len(h.waiting) == 0 || h.labelFaults.at(now) != "" {
		return
	}
	report, err := h.life.loop.Server().Label(h.life.ctx, chaosName, h.waiting)
	if err == nil {
		h.tally.count(report)
		h.waiting = h.waiting[:0]
	} else if h.life.ctx.Err() == nil && h.storesDown == 0 {
		h.violate("labels: %v", err)
	}
}

// Labels implements retrain.LabelSource.
func (h *history) Labels(ctx context.Context, since time.Time, yield func(retrain.KnownLabel) error) error {
	now := time.Now()
	switch h.labelFaults.at(now) {
	case "error":
		return errors.New("the source of labels is down")
	case "panic":
		panic("the source of labels is broken")
	case "hang":
		<-ctx.Done()
		return ctx.Err()
	case "empty":
		return nil
	}
	for _, k := range h.known {
		if !k.KnownAt.Before(since) && !k.KnownAt.After(now) {
			if err := yield(k); err != nil {
				return err
			}
		}
	}
	return nil
}

// drawFaults draws what happens in the history.
func (h *history) drawFaults(length time.Duration) {
	h.sourceFaults, h.labelFaults = drawOutages(h.rng, h.begin, length, 4), drawOutages(h.rng, h.begin, length, 2)
	slices.SortFunc(h.sourceFaults, func(a, b outage) int { return cmp.Compare(a.from.Unix(), b.from.Unix()) })
	at := func() time.Duration { return time.Duration(h.rng.Float64() * float64(length)) }
	for range h.rng.IntN(4) {
		h.planJump(at())
	}
	for range h.rng.IntN(4) {
		h.planRestart(at())
	}
	for range h.rng.IntN(3) {
		h.planOutageOfStores(at())
	}
	for range h.rng.IntN(4) {
		h.planHand(at())
	}
}
