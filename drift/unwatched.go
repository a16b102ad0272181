package drift

import (
	"fmt"
	"strings"

	"github.com/mlloop/mlloop/train/profile"
)

// Unwatched is a column in which drift would go unseen.
type Unwatched struct {
	Column string
	Still  []string // the statistics that see something yet: missing values, most often
	Reason string   // with numbers
}

// Unwatched returns the columns that the monitor is blind to, in the reference's
// order: those in which neither PSI nor the Kolmogorov-Smirnov distance can
// exceed its threshold, wherever the values of a window lie, because the
// reference's own windows lie too far from each other; those without any value
// in the reference; and those that have not come with any of the rows so far,
// once a window of rows has passed. Thresholds are for a column that drifts
// alone: where many drift at once they are lower. It is nil while the reference
// is being learned.
func (m *Monitor) Unwatched() []Unwatched {
	m.mu.Lock()
	defer m.mu.Unlock()
	w := &m.inputs
	if w.reference == nil {
		return nil
	}
	blind := w.blindTo(m.opts)
	var out []Unwatched
	for i, c := range w.reference.Columns() {
		u := blind[i]
		if !w.arrived[i] && w.rows >= int64(m.opts.Window) && c.Present > 0 {
			share := 100 * float64(c.Present) / float64(w.reference.Rows())
			u = Unwatched{Reason: fmt.Sprintf("none of the %d rows so far had a value; %.3g %% of the reference's have", w.rows, share)}
		}
		if u.Reason != "" {
			u.Column = c.Name
			out = append(out, u)
		}
	}
	return out
}

// blindTo is blind of every column, computed once a reference: thresholds are
// dear, and a loop asks at every step.
func (w *inputWatch) blindTo(o Options) []Unwatched {
	if w.blind != nil {
		return w.blind
	}
	statistics := 0
	for _, c := range w.reference.Columns() {
		statistics += len(c.Calibrations)
	}
	alone := o.alpha() / float64(max(statistics, 1))
	for _, c := range w.reference.Columns() {
		w.blind = append(w.blind, o.blind(c, alone))
	}
	return w.blind
}

// blind says why no value of the column can fire, at a p-value of level; the
// zero value when one can.
func (o Options) blind(c *profile.Column, level float64) Unwatched {
	var u Unwatched
	var reasons []string
	sees := false
	for _, law := range c.Calibrations {
		reach := c.Reach(law.Statistic, o.Window)
		threshold := max(law.Threshold(level), o.floor(law.Statistic))
		switch {
		case reach < threshold:
			reasons = append(reasons, fmt.Sprintf("%s alarms above %.3g and reaches at most %.3g", law.Statistic, threshold, reach))
		case law.Statistic == profile.Missing:
			u.Still = append(u.Still, law.Statistic)
		default:
			sees = true
		}
	}
	if sees {
		return Unwatched{}
	}
	if c.Present == 0 {
		reasons = append(reasons, "the reference has no value to compare with")
	} else {
		reasons = append(reasons, fmt.Sprintf("windows of %d rows lie too far from each other in the reference", o.Window))
	}
	u.Reason = strings.Join(reasons, "; ")
	return u
}
