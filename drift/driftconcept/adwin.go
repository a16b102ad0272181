package driftconcept

import "math"

// ADWINOptions are the parameters of ADWIN; a zero field means its default.
type ADWINOptions struct {
	Delta float64 // confidence: chance of a false cut at one check, (0, 1); default 0.002
	Clock int     // items between checks; default 32
	// ResetAfterDrift throws the whole window away at a drift, as river's later
	// releases do, instead of its older part only.
	ResetAfterDrift bool
}

// ADWIN keeps a window of the latest items, as long as its parts have the same
// mean (Bifet and Gavaldà 2007): every Clock items it compares each older part
// with the rest, and drops the oldest items while the means differ by more
// than
//
//	ε = sqrt(2·m·v·d) + ⅔·d·m, d = ln(2·ln(W)/Delta), m = 1/(n₀−4) + 1/(n₁−4)
//
// for n₀ and n₁ items in the parts and the variance v of the window. Memory is
// O(log W): the window is kept as sums over powers of two. A drift, up or
// down, keeps the newer part; the check after it may well drop more and flag
// again. It is not safe for concurrent use.
type ADWIN struct {
	opts  ADWINOptions
	tick  int
	width int     // items in the window
	sum   float64 // of the window
	m2    float64 // sum of squared deviations from the window's mean
	rows  []bucketRow
}

const (
	maxBuckets   = 5 // in a row before its two oldest are merged
	minWindow    = 10
	minSubWindow = 5
)

// bucketRow is the buckets of 2^row items, oldest first.
type bucketRow struct {
	n       int
	sum, m2 [maxBuckets + 1]float64
}

// NewADWIN returns a detector at the start of a stream; nil options mean the
// defaults.
func NewADWIN(opts *ADWINOptions) *ADWIN {
	var o ADWINOptions
	if opts != nil {
		o = *opts
	}
	o.Delta, o.Clock = or(o.Delta, 0.002), or(o.Clock, 32)
	return &ADWIN{opts: o}
}

// Reset implements Detector.
func (d *ADWIN) Reset() { *d = ADWIN{opts: d.opts, rows: d.rows[:0]} }

// Width returns the number of items in the window.
func (d *ADWIN) Width() int { return d.width }

// Mean returns the mean of the window, 0 when it is empty.
func (d *ADWIN) Mean() float64 {
	if d.width == 0 {
		return 0
	}
	return d.sum / float64(d.width)
}

// Update implements Detector.
func (d *ADWIN) Update(x float64) Status {
	if !finite(x) {
		return Stable
	}
	d.insert(x)
	d.tick++
	if d.tick%d.opts.Clock != 0 || d.width <= minWindow {
		return Stable
	}
	status := Stable
	for d.cut() {
		status = Drift
		d.dropOldest()
	}
	if status == Drift && d.opts.ResetAfterDrift {
		d.Reset()
	}
	return status
}

func (d *ADWIN) insert(x float64) {
	if d.width > 0 {
		d.m2 += between(d.width, d.sum, 1, x)
	}
	d.width++
	d.sum += x
	d.push(0, x, 0)
	for i := 0; i < len(d.rows) && d.rows[i].n > maxBuckets; i++ {
		row := &d.rows[i]
		size := 1 << i
		m2 := row.m2[0] + row.m2[1] + between(size, row.sum[0], size, row.sum[1])
		sum := row.sum[0] + row.sum[1]
		row.drop(2)
		d.push(i+1, sum, m2)
	}
}

func (d *ADWIN) push(row int, sum, m2 float64) {
	if row == len(d.rows) {
		d.rows = append(d.rows, bucketRow{})
	}
	r := &d.rows[row]
	r.sum[r.n], r.m2[r.n] = sum, m2
	r.n++
}

func (r *bucketRow) drop(k int) {
	copy(r.sum[:], r.sum[k:r.n])
	copy(r.m2[:], r.m2[k:r.n])
	r.n -= k
}

// between is the part of the joint sum of squares that lies between two
// groups: n·m/(n+m)·(mean difference)².
func between(n int, sumN float64, m int, sumM float64) float64 {
	fn, fm := float64(n), float64(m)
	diff := sumN/fn - sumM/fm
	return fn * fm * diff * diff / (fn + fm)
}

// cut reports whether some older part of the window has another mean than the
// rest. As in MOA, and in river up to 0.21, the newest bucket of each row counts as part of
// the rest only, which makes it a little slower and surer than the paper.
func (d *ADWIN) cut() bool {
	if d.width <= minWindow {
		return false
	}
	variance := max(d.m2, 0) / float64(d.width)
	confidence := math.Log(2 * math.Log(float64(d.width)) / d.opts.Delta)
	n0, sum0 := 0, 0.0
	for i := len(d.rows) - 1; i >= 0; i-- {
		row := &d.rows[i]
		for k := range row.n - 1 {
			n0 += 1 << i
			sum0 += row.sum[k]
			n1 := d.width - n0
			if n0 < minSubWindow || n1 < minSubWindow {
				continue
			}
			m := 1/float64(n0-minSubWindow+1) + 1/float64(n1-minSubWindow+1)
			epsilon := math.Sqrt(2*m*variance*confidence) + 2.0/3*confidence*m
			if math.Abs(sum0/float64(n0)-(d.sum-sum0)/float64(n1)) > epsilon {
				return true
			}
		}
	}
	return false
}

// dropOldest takes the oldest bucket out of the window.
func (d *ADWIN) dropOldest() {
	last := len(d.rows) - 1
	row, size := &d.rows[last], 1<<last
	sum, m2 := row.sum[0], row.m2[0]
	d.width -= size
	d.sum -= sum
	d.m2 -= m2
	if d.width > 0 {
		d.m2 -= between(size, sum, d.width, d.sum)
	}
	d.m2 = max(d.m2, 0)
	row.drop(1)
	for len(d.rows) > 0 && d.rows[len(d.rows)-1].n == 0 {
		d.rows = d.rows[:len(d.rows)-1]
	}
}

// MarshalBinary returns the parameters and the state. It never fails.
func (d *ADWIN) MarshalBinary() ([]byte, error) {
	w := newState(adwinState)
	w.float(d.opts.Delta)
	w.int(d.opts.Clock, boolInt(d.opts.ResetAfterDrift), d.tick, d.width)
	w.float(d.sum, d.m2)
	w.int(len(d.rows))
	for _, row := range d.rows {
		w.int(row.n)
		for k := range row.n {
			w.float(row.sum[k], row.m2[k])
		}
	}
	return w, nil
}

// UnmarshalBinary replaces parameters and state by those that MarshalBinary
// wrote. Errors: Corrupt, Unsupported (a newer version); d is unchanged then.
func (d *ADWIN) UnmarshalBinary(b []byte) error {
	var n ADWIN
	r := readState(adwinState, "adwin", b)
	r.float(&n.opts.Delta)
	r.int(1, maxRows, &n.opts.Clock)
	r.bool(&n.opts.ResetAfterDrift)
	r.int(0, maxRows, &n.tick, &n.width)
	r.float(&n.sum, &n.m2)
	var levels, items int
	r.int(0, 56, &levels)
	for i := range levels {
		var row bucketRow
		r.int(0, maxBuckets, &row.n)
		for k := range row.n {
			r.float(&row.sum[k], &row.m2[k])
		}
		items += row.n << i
		n.rows = append(n.rows, row)
	}
	if r.err == nil && (items != n.width || levels > 0 && n.rows[levels-1].n == 0) {
		r.failf("its buckets hold %d items, the window %d", items, n.width)
	}
	if err := r.done(); err != nil {
		return err
	}
	*d = n
	return nil
}
