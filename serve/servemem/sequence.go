package servemem

import "container/heap"

// removable is a record that can be marked as gone.
type removable interface{ removed() bool }

// mark is embedded by records.
type mark struct{ gone bool }

func (m *mark) removed() bool { return m.gone }

// sequence is records in an order, from which any may be taken away at a cost
// that does not grow with their number: a record is marked first, and swept out
// when half of the list is.
type sequence[R removable] struct {
	items  []R
	marked int // of the items
}

func (s *sequence[R]) add(r R) { s.items = append(s.items, r) }

// note takes note that one of the items has been marked.
func (s *sequence[R]) note() {
	s.marked++
	for len(s.items) > 0 && s.items[0].removed() { // what is trimmed comes first as a rule
		var none R
		s.items[0] = none // it may be collected
		s.items = s.items[1:]
		s.marked--
	}
	if 2*s.marked > len(s.items) {
		s.items, s.marked = remaining(s.items), 0
	}
}

// remaining returns the items that are not marked, in memory of their own.
func remaining[R removable](items []R) []R {
	var kept []R
	for _, r := range items {
		if !r.removed() {
			kept = append(kept, r)
		}
	}
	return kept
}

// last returns the last item, or the zero R when there is none.
func (s *sequence[R]) last() (r R) {
	for i := len(s.items) - 1; i >= 0; i-- {
		if !s.items[i].removed() {
			return s.items[i]
		}
	}
	return r
}

// queue is predictions of which the one with the earliest Time is at hand. One
// that is marked stays in it until it comes to the front, or until half are.
type queue struct {
	items  byTime
	marked int
}

func (q *queue) add(p *prediction) { heap.Push(&q.items, p) }

// first returns the earliest, nil when there is none.
func (q *queue) first() *prediction {
	for len(q.items) > 0 && q.items[0].gone {
		heap.Pop(&q.items)
		q.marked--
	}
	if len(q.items) == 0 {
		return nil
	}
	return q.items[0]
}

// take removes the earliest and returns it. There is one.
func (q *queue) take() *prediction { return heap.Pop(&q.items).(*prediction) }

// note takes note that one of the items has been marked.
func (q *queue) note() {
	if q.marked++; 2*q.marked > len(q.items) {
		q.items, q.marked = remaining(q.items), 0
		heap.Init(&q.items)
	}
}

// byTime is a heap in the order of Time, then Seq.
type byTime []*prediction

func (h byTime) Len() int { return len(h) }

func (h byTime) Less(i, j int) bool {
	if c := h[i].Time.Compare(h[j].Time); c != 0 {
		return c < 0
	}
	return h[i].Seq < h[j].Seq
}

func (h byTime) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface.
func (h *byTime) Push(p any) { *h = append(*h, p.(*prediction)) }

// Pop implements heap.Interface.
func (h *byTime) Pop() any {
	last := len(*h) - 1
	p := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return p
}
