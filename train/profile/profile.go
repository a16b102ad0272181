package profile

import (
	"crypto/sha256"
	"encoding/hex"
	"math"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/train/frame"
)

// Options say how a table is summed up. The zero value of a field is its
// default.
type Options struct {
	// Window is the number of rows in the windows that will be compared with
	// the profile. Default: an eighth of the table's, at most 500. The table
	// needs twice as many rows, and eight times as many for good power.
	Window int
	// Bins is the number of quantile bins of a numeric column for PSI, and the
	// number of distinct values up to which a column is counted by value.
	// Default 10.
	Bins int
	// Categories is how many of a text column's most frequent values have a
	// bin of their own. Default 50.
	Categories int
}

// DefaultWindow is the default of Options.Window where the table has eight
// times as many rows.
const DefaultWindow = 500

// Limits of the options and of a table.
const (
	minWindow         = 5
	defaultBins       = 10
	maxBins           = 1000
	resolution        = 10 // KS bins in a PSI bin
	defaultCategories = 50
	maxCategories     = 10_000
)

// Profile sums up the rows of a table as the reference for later rows. It is
// immutable and safe for concurrent use.
type Profile struct {
	rows    int
	window  int
	columns []*Column
	offsets []int    // of the columns' bins in a window's counts; one more than columns
	tail    []uint16 // bins of the last window rows, row by row

	fingerprint string
}

// New sums up the named columns, all when columns is nil, of the rows of t,
// which are in the order of time. A row is a few hundred nanoseconds a column.
// Errors: Invalid for columns that t lacks or that are named twice, options
// out of range, and fewer than 10 rows or than two windows.
func New(t *frame.Table, columns []string, opts *Options) (*Profile, error) {
	if columns == nil {
		for _, f := range t.Schema() {
			columns = append(columns, f.Name)
		}
	}
	o, err := opts.check(t, columns)
	if err != nil {
		return nil, fault.Errorf(fault.Invalid, "profile: %w", err)
	}
	p := &Profile{rows: t.NumRows(), window: o.Window}
	p.tail = make([]uint16, o.Window*len(columns))
	for i, name := range columns {
		c, bins, err := newColumn(t, name, o)
		if err != nil {
			return nil, err
		}
		c.calibrate(bins, o.Window)
		p.columns = append(p.columns, c)
		for r := range o.Window {
			p.tail[r*len(columns)+i] = bins[len(bins)-o.Window+r]
		}
	}
	return p, p.finish()
}

func (o *Options) check(t *frame.Table, columns []string) (Options, error) {
	var v Options
	if o != nil {
		v = *o
	}
	rows := t.NumRows()
	if v.Window == 0 {
		v.Window = max(minWindow, min(DefaultWindow, rows/8))
	}
	if v.Bins == 0 {
		v.Bins = defaultBins
	}
	if v.Categories == 0 {
		v.Categories = defaultCategories
	}
	var problems fault.Problems
	if v.Window < minWindow {
		problems.Addf("window of %d rows: want at least %d", v.Window, minWindow)
	} else if rows < 2*v.Window {
		problems.Addf("%d rows are not enough data for windows of %d rows: want at least two windows", rows, v.Window)
	}
	if v.Bins < 2 || v.Bins > maxBins {
		problems.Addf("%d bins: want 2 to %d", v.Bins, maxBins)
	}
	if v.Categories < 1 || v.Categories > maxCategories {
		problems.Addf("%d categories: want 1 to %d", v.Categories, maxCategories)
	}
	if len(columns) == 0 {
		problems.Addf("no columns: name at least one")
	}
	seen := map[string]bool{}
	for _, name := range columns {
		if t.Schema().Index(name) < 0 {
			problems.Addf("the table has no column %q", name)
		}
		if seen[name] {
			problems.Addf("column %q is named twice", name)
		}
		seen[name] = true
	}
	return v, problems.Err()
}

// finish derives what is not stored.
func (p *Profile) finish() error {
	p.offsets = make([]int, len(p.columns)+1)
	for i, c := range p.columns {
		p.offsets[i+1] = p.offsets[i] + len(c.Counts)
		c.prepare()
	}
	b, err := p.Marshal()
	if err != nil {
		return err
	}
	sum := sha256.Sum256(b)
	p.fingerprint = hex.EncodeToString(sum[:])
	return nil
}

// Rows returns the number of rows summed up.
func (p *Profile) Rows() int { return p.rows }

// WindowRows returns the length of the windows that the calibration is for.
func (p *Profile) WindowRows() int { return p.window }

// Columns returns the columns in the order they were named. Treat them as
// read-only.
func (p *Profile) Columns() []*Column { return p.columns }

// Fingerprint returns the SHA-256, in hex, of what Marshal returns: profiles
// with the same one give the same bins and findings.
func (p *Profile) Fingerprint() string { return p.fingerprint }

// Tail returns the bins of the reference's last WindowRows rows, oldest first,
// as Bins gives them: a monitor that begins with them can judge from its first
// row on.
func (p *Profile) Tail() [][]uint16 {
	width := len(p.columns)
	out := make([][]uint16, p.window)
	for i := range out {
		out[i] = p.tail[i*width : (i+1)*width : (i+1)*width]
	}
	return out
}

// columnReader finds a row's values by name: the columns mostly come in the
// profile's order, next to each other.
type columnReader struct {
	row frame.Row
	at  int // of the column after the last that was found
}

// value returns the named value; null when the row has none.
func (r *columnReader) value(name string) frame.Value {
	at := r.at
	if at >= len(r.row.Schema) || r.row.Schema[at].Name != name {
		at = r.row.Schema.Index(name)
	}
	r.at = at + 1
	if at < 0 || at >= len(r.row.Values) {
		return frame.Value{}
	}
	return r.row.Values[at]
}

// Bins appends to dst the bin of each column's value in the row, in the order
// of the columns. A column that the row lacks counts as missing.
func (p *Profile) Bins(dst []uint16, row frame.Row) []uint16 {
	r := columnReader{row: row}
	for _, c := range p.columns {
		dst = append(dst, c.bin(r.value(c.Name)))
	}
	return dst
}

// Numbers appends to dst what Bins needs to know of each column's value, in the
// order of the columns: the number itself, the place of a text's category, NaN
// where the value is missing. With BinsOf it is Bins in two steps, of which this
// one does not search.
func (p *Profile) Numbers(dst []float64, row frame.Row) []float64 {
	r := columnReader{row: row}
	for _, c := range p.columns {
		dst = append(dst, c.number(r.value(c.Name)))
	}
	return dst
}

// BinsOf appends to dst the bin of each column's number, as Numbers gave them.
// Columns without one count as missing.
func (p *Profile) BinsOf(dst []uint16, numbers []float64) []uint16 {
	for i, c := range p.columns {
		x := math.NaN()
		if i < len(numbers) {
			x = numbers[i]
		}
		dst = append(dst, c.binOfNumber(x))
	}
	return dst
}
