package profile

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"sort"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/train/frame"
)

// codecVersion is the version of the JSON that Marshal writes.
const codecVersion = 1

type wire struct {
	Version int       `json:"version"`
	Rows    int       `json:"rows"`
	Window  int       `json:"window"`
	Columns []*Column `json:"columns"`
	Tail    []byte    `json:"tail"` // little-endian 16-bit bins, row by row
}

// Marshal returns the profile as JSON. The same profile gives the same bytes.
func (p *Profile) Marshal() ([]byte, error) {
	w := wire{Version: codecVersion, Rows: p.rows, Window: p.window, Columns: p.columns}
	for _, b := range p.tail {
		w.Tail = binary.LittleEndian.AppendUint16(w.Tail, b)
	}
	out, err := json.Marshal(w)
	if err != nil {
		return nil, fmt.Errorf("profile: marshal: %w", err)
	}
	return out, nil
}

// Decode reads what Marshal wrote, and checks all of it. Errors: Unsupported
// for a newer version, Corrupt for anything else that Marshal does not write.
func Decode(b []byte) (*Profile, error) {
	var head struct{ Version int }
	if err := json.Unmarshal(b, &head); err != nil {
		return nil, fault.Errorf(fault.Corrupt, "profile: decode: %w", err)
	}
	if head.Version > codecVersion {
		return nil, fault.Errorf(fault.Unsupported, "profile: decode: version %d is newer than this program's %d: run the newer mlloop", head.Version, codecVersion)
	}
	var w wire
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&w); err != nil {
		return nil, fault.Errorf(fault.Corrupt, "profile: decode: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fault.Errorf(fault.Corrupt, "profile: decode: something follows the profile")
	}
	if err := w.check(); err != nil {
		return nil, fault.Errorf(fault.Corrupt, "profile: decode: %s", err)
	}
	p := &Profile{rows: w.Rows, window: w.Window, columns: w.Columns}
	for i := 0; i < len(w.Tail); i += 2 {
		p.tail = append(p.tail, binary.LittleEndian.Uint16(w.Tail[i:]))
	}
	if err := p.finish(); err != nil {
		return nil, err
	}
	for _, bins := range p.Tail() {
		if err := p.CheckBins(bins); err != nil {
			return nil, fault.Errorf(fault.Corrupt, "profile: decode: tail: %s", err)
		}
	}
	return p, nil
}

func (w wire) check() error {
	var problems fault.Problems
	if w.Version != codecVersion {
		problems.Addf("unknown version %d", w.Version)
	}
	if w.Window < minWindow || w.Rows/2 < w.Window {
		problems.Addf("windows of %d in %d rows", w.Window, w.Rows)
	}
	if len(w.Columns) == 0 {
		problems.Addf("no columns")
	}
	if width := 2 * len(w.Columns); width == 0 || len(w.Tail)%width != 0 || len(w.Tail)/width != w.Window {
		problems.Addf("a tail of %d bytes for %d rows of %d columns", len(w.Tail), w.Window, len(w.Columns))
	}
	seen := map[string]bool{}
	for i, c := range w.Columns {
		if c == nil {
			problems.Addf("column %d is null", i)
			continue
		}
		if seen[c.Name] {
			problems.Addf("column %q comes twice", c.Name)
		}
		seen[c.Name] = true
		c.check(int64(w.Rows), &problems)
	}
	return problems.Err()
}

func (c *Column) check(rows int64, problems *fault.Problems) {
	numeric := c.Kind == frame.Float64 || c.Kind == frame.Int64 || c.Kind == frame.Bool || c.Kind == frame.Time
	if !numeric && c.Kind != frame.String {
		problems.Addf("column %q: unknown kind %q", c.Name, c.Kind)
	}
	if forms := btoi(c.Edges != nil) + btoi(c.Values != nil) + btoi(c.Categories != nil); forms > 1 || numeric && c.Categories != nil || !numeric && forms > btoi(c.Categories != nil) {
		problems.Addf("column %q: bins cut in several ways", c.Name)
	}
	cells := len(c.Values) + len(c.Categories) + 1
	if c.Edges != nil {
		cells = len(c.Edges) + 1
		c.checkGroups(problems)
	}
	if len(c.Counts) != cells+tailBins || len(c.Counts) > math.MaxUint16 {
		problems.Addf("column %q: %d counts for %d bins", c.Name, len(c.Counts), cells+tailBins)
		return
	}
	if !ascending(c.Edges) || !ascending(c.Values) || !distinctTexts(c.Categories) {
		problems.Addf("column %q: its bins are not distinct and in order", c.Name)
	}
	total := int64(0)
	for _, n := range c.Counts {
		if n < 0 || n > rows {
			problems.Addf("column %q: a bin of %d rows out of %d", c.Name, n, rows)
			return
		}
		total += n
	}
	if total != rows || c.Missing != c.Counts[c.missingBin()] || c.Infinite != c.Counts[c.infiniteBin()] || c.Present != rows-c.Missing-c.Infinite {
		problems.Addf("column %q: its counts do not add up to %d rows", c.Name, rows)
	}
	c.checkCalibrations(problems)
}

func (c *Column) checkGroups(problems *fault.Problems) {
	ok := len(c.Groups) == len(c.Edges)+1 && c.Groups[0] == 0
	for i := 1; ok && i < len(c.Groups); i++ {
		step := c.Groups[i] - c.Groups[i-1]
		ok = step == 0 || step == 1
	}
	if !ok {
		problems.Addf("column %q: its bins are not grouped in order", c.Name)
		c.Groups = make([]int, len(c.Edges)+1)
	}
}

func (c *Column) checkCalibrations(problems *fault.Problems) {
	want := []string{Missing}
	if c.Present > 0 {
		want = append(want, PSI)
		if c.Edges != nil {
			want = append(want, KS)
		}
	}
	ok := len(c.Calibrations) == len(want)
	for i, law := range c.Calibrations {
		ok = ok && law.Statistic == want[i] && positive(law.Mean) && positive(law.DF) && positive(law.Windows)
	}
	if !ok {
		problems.Addf("column %q: its calibrations are not complete", c.Name)
	}
}

// positive leaves out values that no calibration reaches, so that products stay finite.
func positive(x float64) bool { return x > 1e-100 && x < 1e100 }

func ascending(xs []float64) bool {
	for i := 1; i < len(xs); i++ {
		if !(xs[i] > xs[i-1]) {
			return false
		}
	}
	return true
}

func distinctTexts(texts []string) bool {
	sorted := append([]string(nil), texts...)
	sort.Strings(sorted)
	for i := 1; i < len(sorted); i++ {
		if sorted[i] == sorted[i-1] {
			return false
		}
	}
	return true
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
