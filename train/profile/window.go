package profile

import (
	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/train/frame"
)

// Window counts rows over the bins of a profile. Rows can be taken out again,
// and windows over the same bins added up. It is not safe for concurrent use.
type Window struct {
	profile *Profile
	rows    int
	counts  []int64  // column after column
	scratch []uint16 // bins of the row at hand
}

// NewWindow returns an empty window over the profile's bins.
func (p *Profile) NewWindow() *Window {
	return &Window{profile: p, counts: make([]int64, p.offsets[len(p.columns)])}
}

// Rows returns the number of rows in the window.
func (w *Window) Rows() int { return w.rows }

// Add counts a row.
func (w *Window) Add(row frame.Row) {
	w.scratch = w.profile.Bins(w.scratch[:0], row)
	for i, b := range w.scratch {
		w.counts[w.profile.offsets[i]+int(b)]++
	}
	w.rows++
}

// AddBins counts a row by the bins that Profile.Bins gave. Errors: Invalid for
// bins of another profile; the window is unchanged then.
func (w *Window) AddBins(bins []uint16) error {
	if err := w.profile.CheckBins(bins); err != nil {
		return err
	}
	for i, b := range bins {
		w.counts[w.profile.offsets[i]+int(b)]++
	}
	w.rows++
	return nil
}

// Remove takes out a row that was added. Errors: Invalid when the window
// cannot hold it; the window is unchanged then.
func (w *Window) Remove(row frame.Row) error {
	w.scratch = w.profile.Bins(w.scratch[:0], row)
	return w.RemoveBins(w.scratch)
}

// RemoveBins takes out a row by its bins. Errors: as Remove and AddBins.
func (w *Window) RemoveBins(bins []uint16) error {
	if err := w.profile.CheckBins(bins); err != nil {
		return err
	}
	for i, b := range bins {
		if w.counts[w.profile.offsets[i]+int(b)] == 0 {
			return fault.Errorf(fault.Invalid, "profile: remove: the window holds no such row: column %q, bin %d", w.profile.columns[i].Name, b)
		}
	}
	for i, b := range bins {
		w.counts[w.profile.offsets[i]+int(b)]--
	}
	w.rows--
	return nil
}

// Merge adds the rows of other, which stays as it is. Errors: Invalid when
// other was made from another profile.
func (w *Window) Merge(other *Window) error {
	if w.profile.fingerprint != other.profile.fingerprint {
		return fault.Errorf(fault.Invalid, "profile: merge: the windows were made from different profiles")
	}
	for i, n := range other.counts {
		w.counts[i] += n
	}
	w.rows += other.rows
	return nil
}

// Counts returns the counts over the bins of column i, as in Column.Counts.
func (w *Window) Counts(i int) []int64 {
	return append([]int64(nil), w.counts[w.profile.offsets[i]:w.profile.offsets[i+1]]...)
}

// CheckBins reports an Invalid error unless there is one bin for each column
// and every column has that bin.
func (p *Profile) CheckBins(bins []uint16) error {
	if len(bins) != len(p.columns) {
		return fault.Errorf(fault.Invalid, "profile: %d bins for %d columns", len(bins), len(p.columns))
	}
	for i, b := range bins {
		if int(b) >= p.offsets[i+1]-p.offsets[i] {
			return fault.Errorf(fault.Invalid, "profile: column %q has no bin %d", p.columns[i].Name, b)
		}
	}
	return nil
}
