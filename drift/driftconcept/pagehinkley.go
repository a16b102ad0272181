package driftconcept

// PageHinkleyOptions are the parameters of PageHinkley; a zero field means its
// default.
type PageHinkleyOptions struct {
	Delta   float64 // rise above the mean that is tolerated; default 0.005, negative for none
	Lambda  float64 // sum of excesses that is a drift; default 50
	Fade    float64 // factor on the sum at each item, (0, 1]; default 0.9999
	MinRows int     // items before the first drift can be flagged; default 30
	// What was known before the first item: the mean of MeanRows earlier items.
	Mean     float64
	MeanRows int
}

// PageHinkley flags a rise of the mean (Page 1954, Hinkley 1971): with the
// running mean m of all items so far, the present one included,
//
//	S = max(0, Fade·S + x − m − Delta)
//
// and a drift when S reaches Lambda. (River's, up to 0.26 at least, subtracts a
// running minimum instead of the floor at 0: the same where Fade is 1, a little
// different where it is not.) It starts over after a drift. Feed it the
// negated items to find a fall. It is not safe for concurrent use.
type PageHinkley struct {
	opts PageHinkleyOptions
	rows int // since the start
	mean float64
	sum  float64
}

// NewPageHinkley returns a detector at the start of a stream; nil options mean
// the defaults.
func NewPageHinkley(opts *PageHinkleyOptions) *PageHinkley {
	var o PageHinkleyOptions
	if opts != nil {
		o = *opts
	}
	o.Delta = or(o.Delta, 0.005)
	o.Delta = max(o.Delta, 0)
	o.Lambda = or(o.Lambda, 50)
	o.Fade = or(o.Fade, 0.9999)
	o.MinRows = or(o.MinRows, 30)
	d := &PageHinkley{opts: o}
	d.Reset()
	return d
}

// Reset implements Detector.
func (d *PageHinkley) Reset() { d.rows, d.mean, d.sum = 0, d.opts.Mean, 0 }

// Update implements Detector.
func (d *PageHinkley) Update(x float64) Status {
	if !finite(x) {
		return Stable
	}
	d.rows++
	d.mean += (x - d.mean) / float64(d.opts.MeanRows+d.rows)
	d.sum = max(0, d.opts.Fade*d.sum+x-d.mean-d.opts.Delta)
	if d.rows < d.opts.MinRows || d.sum < d.opts.Lambda {
		return Stable
	}
	d.Reset()
	return Drift
}

// Sum returns S, which is a drift when it reaches Lambda.
func (d *PageHinkley) Sum() float64 { return d.sum }

// Mean returns the running mean of the items since the start, with what was
// known before.
func (d *PageHinkley) Mean() float64 { return d.mean }

// MarshalBinary returns the parameters and the state. It never fails.
func (d *PageHinkley) MarshalBinary() ([]byte, error) {
	w := newState(pageHinkleyState)
	w.float(d.opts.Delta, d.opts.Lambda, d.opts.Fade, d.opts.Mean)
	w.int(d.opts.MinRows, d.opts.MeanRows, d.rows)
	w.float(d.mean, d.sum)
	return w, nil
}

// UnmarshalBinary replaces parameters and state by those that MarshalBinary
// wrote. Errors: Corrupt, Unsupported (a newer version); d is unchanged then.
func (d *PageHinkley) UnmarshalBinary(b []byte) error {
	var n PageHinkley
	r := readState(pageHinkleyState, "page-hinkley", b)
	r.float(&n.opts.Delta, &n.opts.Lambda, &n.opts.Fade, &n.opts.Mean)
	r.int(0, maxRows, &n.opts.MinRows, &n.opts.MeanRows, &n.rows)
	r.float(&n.mean, &n.sum)
	if err := r.done(); err != nil {
		return err
	}
	*d = n
	return nil
}
