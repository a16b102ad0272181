package drift

import (
	"math"
	"strings"
	"sync"

	"github.com/mlloop/mlloop/train/frame"
	"github.com/mlloop/mlloop/train/profile"
)

// event is a row or a label that waits to be judged.
type event struct {
	at  int64      // milliseconds since 1970, or noTime
	key uint64     // what a repetition or a correction is known by; 0: none
	row *queuedRow // nil for a label
	// Of a label: its error and that of the label it corrects, NaN for none.
	err, replaced float64
}

// noTime is the time of an event that says none.
const noTime = math.MinInt64

// queuedRow is a row as the reference's numbers, or the row itself while there is
// no reference yet.
type queuedRow struct {
	reference *profile.Profile
	numbers   []float64 // profile.Numbers
	row       frame.Row
}

// keep copies the row: observers keep nothing but values, and a text may lie in
// memory that is used again.
func (r *queuedRow) keep(row frame.Row) {
	r.reference, r.numbers = nil, r.numbers[:0]
	r.row.Schema = append(frame.Schema(nil), row.Schema...)
	r.row.Values = append([]frame.Value(nil), row.Values...)
	for i, v := range r.row.Values {
		if v.Kind() == frame.String {
			r.row.Values[i] = frame.StringValue(strings.Clone(v.Text()))
		}
	}
}

// release hands the row's memory back once nobody reads it.
func (e event) release() {
	if e.row != nil {
		e.row.reference, e.row.row = nil, frame.Row{}
		rowPool.Put(e.row)
	}
}

// key names the row of a request with these inputs; 0 for a request without an ID.
func (r *queuedRow) key(id string, index int) uint64 {
	if id == "" {
		return 0
	}
	d := newDigest().text(id).number(uint64(index))
	if r.reference == nil {
		d = d.text(string(frame.EncodeValues(nil, r.row.Values)))
	}
	for _, x := range r.numbers {
		d = d.number(math.Float64bits(x))
	}
	return d.key()
}

// labelKey names one output of a row of a request; 0 without an ID.
func labelKey(id string, index int, output string) uint64 {
	if id == "" {
		return 0
	}
	return newDigest().text(id).number(uint64(index)).text(output).key()
}

// digest mixes numbers and texts into 64 bits, the same in every process, as
// saved states need: FNV-1a by words, with a shift that carries the upper bits
// down.
type digest uint64

func newDigest() digest { return 14695981039346656037 }

func (d digest) number(n uint64) digest {
	d = (d ^ digest(n)) * 0x9e3779b97f4a7c15
	return d ^ d>>29
}

func (d digest) text(s string) digest {
	for i := range len(s) {
		d = (d ^ digest(s[i])) * 1099511628211
	}
	return d.number(uint64(len(s)))
}

// key is the digest, but for 0.
func (d digest) key() uint64 { return max(uint64(d), 1) }

// blockEvents is how many events share one allocation of a queue that grows.
const blockEvents = 512

// queue holds events in order, at most size. It is safe for concurrent use; its
// lock is never held for more than the making of a block.
type queue struct {
	size int

	mu     sync.Mutex
	blocks [][]event // all full but the last
	n      int
}

// put appends the event and reports whether there was room.
func (q *queue) put(e event) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.n >= q.size {
		return false
	}
	last := len(q.blocks) - 1
	if last < 0 || len(q.blocks[last]) == cap(q.blocks[last]) {
		q.blocks = append(q.blocks, make([]event, 0, min(blockEvents, max(8, q.n))))
		last++
	}
	q.blocks[last] = append(q.blocks[last], e)
	q.n++
	return true
}

// take empties the queue and returns what was in it.
func (q *queue) take() [][]event {
	q.mu.Lock()
	defer q.mu.Unlock()
	blocks := q.blocks
	q.blocks, q.n = nil, 0
	return blocks
}

// replace makes the events those of the queue, whatever its size.
func (q *queue) replace(events []event) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.blocks, q.n = nil, len(events)
	if len(events) > 0 {
		q.blocks = [][]event{events}
	}
}

// all returns the events without taking them.
func (q *queue) all() []event {
	q.mu.Lock()
	defer q.mu.Unlock()
	out := make([]event, 0, q.n)
	for _, b := range q.blocks {
		out = append(out, b...)
	}
	return out
}

func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.n
}

// repeatRows is how many of the latest rows a repeated request is looked for in.
const repeatRows = 4096

// repeats remembers the keys of the latest rows.
type repeats struct {
	ring []uint64 // the oldest at next once full
	next int
	set  map[uint64]struct{}
}

// add notes a key and reports whether it is new; 0 always is.
func (r *repeats) add(key uint64) bool {
	if key == 0 {
		return true
	}
	if _, ok := r.set[key]; ok {
		return false
	}
	if r.set == nil {
		r.set = make(map[uint64]struct{})
	}
	r.set[key] = struct{}{}
	if len(r.ring) < repeatRows {
		r.ring = append(r.ring, key)
		return true
	}
	delete(r.set, r.ring[r.next])
	r.ring[r.next] = key
	r.next = (r.next + 1) % repeatRows
	return true
}

// keys are the remembered ones, oldest first.
func (r *repeats) keys() []uint64 {
	return append(append([]uint64(nil), r.ring[r.next:]...), r.ring[:r.next]...)
}
