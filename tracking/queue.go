package tracking

import (
	"sync"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
)

// room tells those who wait that the queue has room. It is safe for concurrent
// use.
type room struct {
	mu   sync.Mutex
	free chan struct{} // closed when there is room; nil while nobody waits
}

func (r *room) wait() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.free == nil {
		r.free = make(chan struct{})
	}
	return r.free
}

func (r *room) tell() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.free != nil {
		close(r.free)
		r.free = nil
	}
}

// put has a record wait for the store; add appends it to its list. what names
// it if it is dropped: unlike one point of many, for which it is "", such a
// record is missed.
func (r *Run) put(add func(*records), what string) {
	if r.tryPut(add) || r.putLater(add) {
		return
	}
	r.drop(1)
	if r.refuses() {
		return
	}
	if r.trouble.full() {
		r.client.keepIfFirst(r)
		r.say(line{warn: true, text: "tracking: the queue is full, records are dropped", attrs: []any{"run", r.info.ID}})
	}
	if what != "" {
		r.note(fault.Errorf(ErrUnavailable, "%s was dropped: the queue was full", what))
	}
	r.tell()
}

func (r *Run) tryPut(add func(*records)) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.admit() {
		return false
	}
	add(&r.waiting)
	return true
}

// putLater is tryPut for as long as Options.QueueWait says.
func (r *Run) putLater(add func(*records)) bool {
	if r.client.queueWait <= 0 {
		return false
	}
	late := time.NewTimer(r.client.queueWait)
	defer late.Stop()
	for !r.refuses() {
		free := r.client.room.wait() // before the try, so that no room is missed
		if r.tryPut(add) {
			return true
		}
		select {
		case <-free:
		case <-late.C:
			return false
		}
	}
	return false
}

// admit reports whether one more record fits, and counts it. r.mu is held.
//
// All runs share the queue, but each may hold its part of it at any time: a run
// whose records the store does not take cannot keep the others out. So the queue
// holds less than twice its size.
func (r *Run) admit() bool {
	c := r.client
	if r.ending || !r.listed && !c.list(r) {
		return false
	}
	if c.queued.Add(1) <= c.queueSize || r.queued.Load() < c.queueSize/max(1, c.runs.Load()) {
		r.queued.Add(1)
		return true
	}
	c.queued.Add(-1)
	c.wakeFlusher()
	return false
}

// leave takes n records off the queue's count.
func (r *Run) leave(n int) {
	r.queued.Add(int64(-n))
	r.client.queued.Add(int64(-n))
	r.client.room.tell()
}

func (r *Run) drop(n int64) {
	r.dropped.Add(n)
	r.client.dropped.Add(n)
}

// list has the flusher see the run. It reports false when the client is closed.
// r.mu is held.
func (c *Client) list(r *Run) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.waiting[r] = struct{}{}
	c.runs.Store(int64(len(c.waiting)))
	r.listed = true
	return true
}

// unlist is for a run whose records are all written: from now on only its user
// holds it, so that a handle that is given up does not stay in memory.
func (r *Run) unlist() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting.len() > 0 {
		return
	}
	c := r.client
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.waiting, r)
	c.runs.Store(int64(len(c.waiting)))
	r.listed = false
}

// refuse takes no more records from now on.
func (r *Run) refuse() {
	r.mu.Lock()
	r.ending = true
	r.mu.Unlock()
	r.client.room.tell() // who waits for room need not
}

// refuses reports whether the run takes no more records.
func (r *Run) refuses() bool {
	r.mu.Lock()
	ending := r.ending
	r.mu.Unlock()
	return ending || r.client.checkOpen() != nil
}
