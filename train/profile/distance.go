package profile

import "math"

// distances measures how far counts cur lie from counts ref, both over this
// column's bins.
type distances struct {
	psi, ks float64 // of the rows with a value
	missing float64 // difference of the shares of rows without a finite value
	present int64   // rows of cur with a value; without any, psi and ks mean nothing
}

func (c *Column) distances(ref, cur []int64) distances {
	var d distances
	refPresent, refAll := sums(ref)
	curPresent, curAll := sums(cur)
	if refAll > 0 && curAll > 0 {
		d.missing = math.Abs(1 - float64(curPresent)/float64(curAll) - (1 - float64(refPresent)/float64(refAll)))
	}
	if refPresent == 0 || curPresent == 0 {
		return d
	}
	d.present = curPresent
	p, q := c.present(ref), c.present(cur)
	if c.Edges != nil {
		d.ks = ks(p, q, refPresent, curPresent)
	}
	d.psi = c.psi(p, q, refPresent, curPresent)
	return d
}

// sums returns the rows with a value and all rows.
func sums(counts []int64) (present, all int64) {
	for _, n := range counts[:len(counts)-tailBins] {
		present += n
	}
	return present, present + counts[len(counts)-2] + counts[len(counts)-1]
}

// psiBins returns the number of bins that PSI is taken over.
func (c *Column) psiBins() int {
	if c.Edges != nil {
		return c.Groups[len(c.Groups)-1] + 1
	}
	return len(c.Counts) - tailBins
}

// psi is the population stability index Σ (p−q)·ln(p/q) with half a row added
// to each bin (driftstat.PSI with Laplace), over the groups of bins.
func (c *Column) psi(ref, cur []int64, n, m int64) float64 {
	k := float64(c.psiBins())
	scaleP, scaleQ := 1/(float64(n)+k/2), 1/(float64(m)+k/2)
	sum := 0.0
	for i := 0; i < len(ref); {
		a, b := ref[i], cur[i]
		i++
		if c.Edges != nil {
			for i < len(ref) && c.Groups[i] == c.Groups[i-1] {
				a, b = a+ref[i], b+cur[i]
				i++
			}
		}
		p, q := (float64(a)+0.5)*scaleP, (float64(b)+0.5)*scaleQ
		sum += (p - q) * math.Log(p/q)
	}
	return sum
}

// ks is the largest distance between the two cumulative distributions.
func ks(ref, cur []int64, n, m int64) float64 {
	d, a, b := 0.0, int64(0), int64(0)
	scaleA, scaleB := 1/float64(n), 1/float64(m)
	for i := range ref {
		a += ref[i]
		b += cur[i]
		d = max(d, math.Abs(float64(a)*scaleA-float64(b)*scaleB))
	}
	return min(d, 1)
}
