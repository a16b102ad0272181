package servehttp

import (
	"cmp"
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"time"
)

// pace is how slowly a client may send a body or take an answer.
type pace struct {
	stall time.Duration // longest pause; negative: any
	rate  int64         // bytes a second of a body, on average after the first stall; negative: any
}

const (
	defaultStall = 10 * time.Second
	defaultRate  = 4 << 10
)

// withDefaults puts the defaults in the place of zeros.
func (p pace) withDefaults() pace {
	return pace{cmp.Or(p.stall, defaultStall), cmp.Or(p.rate, defaultRate)}
}

// guardedBody reads a request's body under a deadline that moves on as bytes
// come. One flat limit would cut off large bodies on slow links, or be so long
// that a client which sends nothing holds its connection for minutes.
type guardedBody struct {
	io.ReadCloser
	ctl      http.ResponseController
	mu       sync.Mutex // orders the deadlines that Read and hurry set
	pace     pace
	began    time.Time
	grace    time.Duration // before the rate counts
	received int64
	hurried  bool
	done     bool // at its end, or under a ResponseWriter that knows no deadlines
}

// guard returns the request with its body under a deadline, which holds from
// now on: what a handler leaves unread, net/http reads. The body is nil when
// there is none. A body that is guarded already takes on the new pace.
func guard(w http.ResponseWriter, r *http.Request, p pace) (*http.Request, *guardedBody) {
	if r.Body == nil || r.Body == http.NoBody {
		return r, nil
	}
	if b, ok := r.Body.(*guardedBody); ok {
		b.adopt(p)
		return r, b
	}
	b := &guardedBody{ReadCloser: r.Body, ctl: *http.NewResponseController(w), pace: p, began: time.Now(), grace: p.stall}
	b.move()
	guarded := *r
	guarded.Body = b
	return &guarded, b
}

// adopt replaces the pace, unless the client has been told to hurry.
func (b *guardedBody) adopt(p pace) {
	b.mu.Lock()
	if !b.hurried {
		b.pace, b.grace = p, p.stall
	}
	if b.pace.stall < 0 && !b.done {
		_ = b.ctl.SetReadDeadline(time.Time{}) // the one of the pace before
	}
	b.mu.Unlock()
	b.move()
}

// Read implements io.Reader. Errors: os.ErrDeadlineExceeded when the client is too slow.
func (b *guardedBody) Read(p []byte) (int, error) {
	b.move()
	n, err := b.ReadCloser.Read(p)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.received += int64(n)
	if errors.Is(err, io.EOF) && !b.done {
		// net/http goes on reading to notice when the client leaves: no
		// deadline may end that while the prediction is made.
		b.done = true
		_ = b.ctl.SetReadDeadline(time.Time{})
	}
	return n, err
}

// move sets the deadline of the next read.
func (b *guardedBody) move() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.done || b.pace.stall < 0 {
		return
	}
	end := time.Now().Add(b.pace.stall)
	if b.pace.rate > 0 {
		earned := time.Duration(float64(b.received) / float64(b.pace.rate) * float64(time.Second))
		if slowest := b.began.Add(b.grace + earned); slowest.Before(end) {
			end = slowest
		}
	}
	b.done = b.ctl.SetReadDeadline(end) != nil
}

// hurry lets the client pause for less from now on.
func (b *guardedBody) hurry(stall time.Duration) {
	b.mu.Lock()
	b.pace.stall, b.hurried = stall, true
	b.mu.Unlock()
	b.move()
}

// guardedBodies are the bodies of the requests in flight.
type guardedBodies struct {
	mu    sync.Mutex
	set   map[*guardedBody]bool
	stall time.Duration // of those that come, once it is positive
}

func (g *guardedBodies) add(b *guardedBody) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.set[b] = true
	if g.stall > 0 {
		b.hurry(g.stall)
	}
}

func (g *guardedBodies) remove(b *guardedBody) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.set, b)
}

// hurry lets all clients pause for less from now on.
func (g *guardedBodies) hurry(stall time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stall = stall
	for b := range g.set {
		b.hurry(stall)
	}
}

// tooSlow reports whether reading failed for want of progress.
func tooSlow(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
