package driftconcept

import "math"

// DDMOptions are the parameters of DDM; a zero field means its default.
type DDMOptions struct {
	MinRows int     // items before anything is flagged; default 30
	Warning float64 // standard deviations above the best error rate; default 2
	Drift   float64 // default 3
}

// DDM is the drift detection method (Gama and others 2004) on 0/1 errors: with
// the running error rate p and s = sqrt(p(1−p)/n), it keeps the lowest p+s and
// flags when p+s rises above pmin + Drift·smin. It starts over after a drift.
// It false-alarms early in a stream, when its best rate is a lucky one. It is
// not safe for concurrent use.
type DDM struct {
	opts       DDMOptions
	rows       int
	rate       float64
	pMin, sMin float64
	seen       bool // a minimum is known
}

// NewDDM returns a detector at the start of a stream; nil options mean the
// defaults.
func NewDDM(opts *DDMOptions) *DDM {
	var o DDMOptions
	if opts != nil {
		o = *opts
	}
	return &DDM{opts: DDMOptions{MinRows: or(o.MinRows, 30), Warning: or(o.Warning, 2), Drift: or(o.Drift, 3)}}
}

// Reset implements Detector.
func (d *DDM) Reset() { *d = DDM{opts: d.opts} }

// Update implements Detector; x is 1 for an error and 0 for none.
func (d *DDM) Update(x float64) Status {
	if !finite(x) {
		return Stable
	}
	d.rows++
	d.rate += (x - d.rate) / float64(d.rows)
	if d.rows <= d.opts.MinRows {
		return Stable
	}
	s := math.Sqrt(max(d.rate*(1-d.rate), 0) / float64(d.rows))
	if !d.seen || d.rate+s <= d.pMin+d.sMin {
		d.pMin, d.sMin, d.seen = d.rate, s, true
	}
	switch level := d.rate + s; {
	case level > d.pMin+d.opts.Drift*d.sMin:
		d.Reset()
		return Drift
	case level > d.pMin+d.opts.Warning*d.sMin:
		return Warning
	}
	return Stable
}

// MarshalBinary returns the parameters and the state. It never fails.
func (d *DDM) MarshalBinary() ([]byte, error) {
	w := newState(ddmState)
	w.float(d.opts.Warning, d.opts.Drift)
	w.int(d.opts.MinRows, d.rows, boolInt(d.seen))
	w.float(d.rate, d.pMin, d.sMin)
	return w, nil
}

// UnmarshalBinary replaces parameters and state by those that MarshalBinary
// wrote. Errors: Corrupt, Unsupported (a newer version); d is unchanged then.
func (d *DDM) UnmarshalBinary(b []byte) error {
	var n DDM
	r := readState(ddmState, "ddm", b)
	r.float(&n.opts.Warning, &n.opts.Drift)
	r.int(0, maxRows, &n.opts.MinRows, &n.rows)
	r.bool(&n.seen)
	r.float(&n.rate, &n.pMin, &n.sMin)
	if err := r.done(); err != nil {
		return err
	}
	*d = n
	return nil
}
