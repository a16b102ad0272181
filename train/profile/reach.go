package profile

import "math"

// Reach returns the largest value that the statistic can take for a window of
// the given number of rows, wherever they lie: what a threshold beyond it can
// never be exceeded by. It is 0 for a statistic that the column has no law of.
func (c *Column) Reach(statistic string, rows int) float64 {
	present, all := sums(c.Counts)
	switch {
	case all == 0 || rows <= 0:
		return 0
	case statistic == Missing:
		share := float64(all-present) / float64(all)
		return max(share, 1-share)
	case present == 0:
		return 0
	case statistic == PSI:
		return c.reachPSI(present, int64(rows))
	case statistic == KS && c.Edges != nil:
		// All rows in the first bin, or all in the last.
		ref := c.present(c.Counts)
		return 1 - float64(min(ref[0], ref[len(ref)-1]))/float64(present)
	}
	return 0
}

// reachPSI puts all rows into one bin, each in turn: PSI is convex in the
// shares of the window, so that it is largest in a corner.
func (c *Column) reachPSI(present, rows int64) float64 {
	ref := c.present(c.Counts)
	largest, in := math.Inf(-1), make([]int64, len(ref))
	for i := range ref {
		if c.Edges != nil && i > 0 && c.Groups[i] == c.Groups[i-1] {
			continue
		}
		in[i] = rows
		largest = max(largest, c.psi(ref, in, present, rows))
		in[i] = 0
	}
	return largest
}
