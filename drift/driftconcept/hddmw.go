package driftconcept

import "math"

// HDDMWOptions are the parameters of HDDMW; a zero field means its default.
type HDDMWOptions struct {
	Drift    float64 // confidence of a drift, (0, 1); default 0.001
	Warning  float64 // confidence of a warning, (0, 1); default 0.005
	Lambda   float64 // weight of the newest item, (0, 1); default 0.05
	TwoSided bool    // also flag a fall
}

// HDDMW is the Hoeffding drift detection method with weighted averages
// (Frías-Blanco and others 2015) on values in 0..1: it compares the moving
// average up to the best cut point with the one since, by McDiarmid's
// inequality. It starts over after a drift. It is not safe for concurrent use.
type HDDMW struct {
	opts       HDDMWOptions
	all        average
	rise, fall cut
}

// average is an exponentially weighted mean and the sum of its squared weights.
type average struct {
	mean, weight float64
	seen         bool
}

func (a *average) add(x, lambda float64) {
	if !a.seen { // as in river, the first item's weight is already one step old
		*a = average{mean: x, weight: 1, seen: true}
	}
	a.mean = lambda*x + (1-lambda)*a.mean
	a.weight = lambda*lambda + (1-lambda)*(1-lambda)*a.weight
}

// cut is the averages before and after a cut point of the stream.
type cut struct {
	before, after average
	bound         float64 // of the average at the cut point
}

// NewHDDMW returns a detector at the start of a stream; nil options mean the
// defaults.
func NewHDDMW(opts *HDDMWOptions) *HDDMW {
	var o HDDMWOptions
	if opts != nil {
		o = *opts
	}
	o.Drift, o.Warning, o.Lambda = or(o.Drift, 0.001), or(o.Warning, 0.005), or(o.Lambda, 0.05)
	return &HDDMW{opts: o}
}

// Reset implements Detector.
func (d *HDDMW) Reset() { *d = HDDMW{opts: d.opts} }

// Update implements Detector.
func (d *HDDMW) Update(x float64) Status {
	if !finite(x) {
		return Stable
	}
	d.all.add(x, d.opts.Lambda)
	margin := mcDiarmid(d.all.weight, d.opts.Drift)
	d.rise.update(x, d.all, d.all.mean+margin, 1, d.opts.Lambda)
	d.fall.update(x, d.all, d.all.mean-margin, -1, d.opts.Lambda)
	if d.rise.exceeds(d.opts.Drift, 1) || (d.opts.TwoSided && d.fall.exceeds(d.opts.Drift, -1)) {
		d.Reset()
		return Drift
	}
	if d.rise.exceeds(d.opts.Warning, 1) || (d.opts.TwoSided && d.fall.exceeds(d.opts.Warning, -1)) {
		return Warning
	}
	return Stable
}

// update moves the cut point to here when bound, signed, is the lowest so far,
// and adds x to the average after the cut otherwise.
func (c *cut) update(x float64, all average, bound, sign, lambda float64) {
	if !c.before.seen || sign*bound < sign*c.bound {
		*c = cut{before: all, bound: bound}
		return
	}
	c.after.add(x, lambda)
}

func (c *cut) exceeds(confidence, sign float64) bool {
	return c.before.seen && c.after.seen &&
		sign*(c.after.mean-c.before.mean) > mcDiarmid(c.before.weight+c.after.weight, confidence)
}

func mcDiarmid(weight, confidence float64) float64 {
	return math.Sqrt(weight * math.Log(1/confidence) / 2)
}

// MarshalBinary returns the parameters and the state. It never fails.
func (d *HDDMW) MarshalBinary() ([]byte, error) {
	w := newState(hddmWState)
	w.float(d.opts.Drift, d.opts.Warning, d.opts.Lambda)
	w.int(boolInt(d.opts.TwoSided))
	for _, a := range d.averages() {
		w.float(a.mean, a.weight)
		w.int(boolInt(a.seen))
	}
	w.float(d.rise.bound, d.fall.bound)
	return w, nil
}

// UnmarshalBinary replaces parameters and state by those that MarshalBinary
// wrote. Errors: Corrupt, Unsupported (a newer version); d is unchanged then.
func (d *HDDMW) UnmarshalBinary(b []byte) error {
	var n HDDMW
	r := readState(hddmWState, "hddm_w", b)
	r.float(&n.opts.Drift, &n.opts.Warning, &n.opts.Lambda)
	r.bool(&n.opts.TwoSided)
	for _, a := range n.averages() {
		r.float(&a.mean, &a.weight)
		r.bool(&a.seen)
	}
	r.float(&n.rise.bound, &n.fall.bound)
	if err := r.done(); err != nil {
		return err
	}
	*d = n
	return nil
}

func (d *HDDMW) averages() []*average {
	return []*average{&d.all, &d.rise.before, &d.rise.after, &d.fall.before, &d.fall.after}
}
