package frame

import (
	"math"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
)

// SplitAt returns the rows before row and those from it on: the earlier and the
// later ones of a table in the order of time. Neither part is copied. Errors:
// Invalid unless both parts hold at least one row.
func (t *Table) SplitAt(row int) (before, after *Table, err error) {
	if row <= 0 || row >= t.rows {
		return nil, nil, fault.Errorf(fault.Invalid, "frame: split at row %d of %d: both parts need rows", row, t.rows)
	}
	return t.Slice(0, row), t.Slice(row, t.rows), nil
}

// SplitFraction splits so that before holds fraction of the rows, rounded
// down. Errors: Invalid unless 0 < fraction < 1 and both parts hold rows.
func (t *Table) SplitFraction(fraction float64) (before, after *Table, err error) {
	if !(fraction > 0 && fraction < 1) {
		return nil, nil, fault.Errorf(fault.Invalid, "frame: split fraction %v is not between 0 and 1", fraction)
	}
	// The nudge makes 0.29 of 100 rows 29, not 28.
	return t.SplitAt(int(math.Floor(fraction*float64(t.rows) + 1e-9)))
}

// SplitTime splits a table that is ordered by the named Time column: before
// holds the rows earlier than at (taken to the millisecond), after the rest.
// Errors: Invalid when there is no such column, it is no Time, the rows are
// not ordered by it, or a part would be empty.
func (t *Table) SplitTime(name string, at time.Time) (before, after *Table, err error) {
	c, err := t.column(name)
	if err != nil {
		return nil, nil, err
	}
	if k := t.schema[c].Kind; k != Time {
		return nil, nil, fault.Errorf(fault.Invalid, "frame: split by time: column %q is %s, not time", name, k)
	}
	if err := t.SortedBy(name); err != nil {
		return nil, nil, err
	}
	ms := at.UnixMilli()
	lo, hi := 0, t.rows
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		if t.Value(mid, c).Int() < ms {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return t.SplitAt(lo)
}

// SortedBy returns nil when the rows are in ascending order of the named
// column, equal neighbours allowed; else an Invalid error that names the first
// row out of order, or the first null or NaN.
func (t *Table) SortedBy(name string) error {
	c, err := t.column(name)
	if err != nil {
		return err
	}
	var last Value
	i := 0
	for _, r := range t.records {
		col := r.Column(c)
		for j := range col.Len() {
			v := valueAt(col, j)
			if v.IsNull() || v.kind == Float64 && math.IsNaN(v.Float()) {
				return fault.Errorf(fault.Invalid, "frame: row %d has no %q to order it by", i, name)
			}
			if i > 0 && v.Compare(last) < 0 {
				return fault.Errorf(fault.Invalid, "frame: rows are not ordered by %q: row %d (%s) comes after row %d (%s); sort them first",
					name, i, v.Text(), i-1, last.Text())
			}
			last = v
			i++
		}
	}
	return nil
}
