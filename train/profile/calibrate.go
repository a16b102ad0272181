package profile

import (
	"math"

	"gonum.org/v1/gonum/mathext"
)

// The statistics that windows are compared by.
const (
	PSI     = "psi"     // population stability index over quantile bins, values or categories
	KS      = "ks"      // largest distance between the distribution functions; quantile bins only
	Missing = "missing" // difference of the shares of missing and infinite values
)

// Calibration is the law of one statistic over windows of the reference, as
// the package comment derives it.
type Calibration struct {
	Statistic string  `json:"statistic"`
	Mean      float64 `json:"mean"`    // of T, which is PSI, D², or the difference squared
	DF        float64 `json:"df"`      // ν
	Windows   float64 `json:"windows"` // w, independent windows seen
}

// PValue returns the chance that a window of rows like the reference's gives
// this value or a larger one.
func (c Calibration) PValue(value float64) float64 {
	if math.IsNaN(value) || value <= 0 {
		return 1
	}
	return survivalF(c.form(value)/c.Mean, c.DF, c.Windows*c.DF)
}

// Threshold returns the value whose p-value is p, which is in (0, 1).
func (c Calibration) Threshold(p float64) float64 {
	low, high := -50.0, 50.0 // of ln(T/Mean): the p-value falls from 1 to 0 in between
	for range 60 {
		mid := (low + high) / 2
		if survivalF(math.Exp(mid), c.DF, c.Windows*c.DF) > p {
			low = mid
		} else {
			high = mid
		}
	}
	t := c.Mean * math.Exp((low+high)/2)
	if c.Statistic == PSI {
		return t
	}
	return math.Sqrt(t)
}

// form is the quadratic form T of a value.
func (c Calibration) form(value float64) float64 {
	if c.Statistic == PSI {
		return value
	}
	return value * value
}

// survivalF is P(F(a, b) ≥ x).
func survivalF(x, a, b float64) float64 {
	return mathext.RegIncBeta(b/2, a/2, b/(b+a*x))
}

// Of the Kolmogorov law K: the mean of K² is π²/12, and its tail 2·exp(−2x)
// falls like that of a scaled chi-square with π²/3 degrees of freedom.
const (
	kolmogorovSquare = math.Pi * math.Pi / 12
	kolmogorovDF     = 4 * kolmogorovSquare
)

// strides is how many windows start within one window's length.
const strides = 8

// calibrate slides a window over the rows' bins and learns the laws of the
// statistics.
func (c *Column) calibrate(bins []uint16, window int) {
	stride := max(1, window/strides)
	rest, in := append([]int64(nil), c.Counts...), make([]int64, len(c.Counts))
	var psi, ks, missing []float64
	for i, b := range bins {
		in[b]++
		rest[b]--
		if i < window-1 {
			continue
		}
		if (i-window+1)%stride == 0 {
			d := c.distances(rest, in)
			missing = append(missing, d.missing*d.missing)
			if d.present > 0 {
				psi = append(psi, d.psi)
				ks = append(ks, d.ks*d.ks)
			}
		}
		old := bins[i-window+1]
		in[old]--
		rest[old]++
	}
	n, m := float64(window), float64(len(bins)-window)
	share := (float64(len(bins)) - float64(c.Present) + 0.5) / (float64(len(bins)) + 1)
	c.Calibrations = []Calibration{fit(Missing, missing, share*(1-share)*(1/n+1/m), 1, n, m, stride)}
	if c.Present == 0 {
		return
	}
	// Only rows with a value count for the others.
	present := float64(c.Present) / float64(len(bins))
	independent := 1/(n*present) + 1/(m*present)
	k := float64(c.psiBins())
	c.Calibrations = append(c.Calibrations, fit(PSI, psi, (k-1)*independent, k-1, n, m, stride))
	if c.Edges != nil {
		c.Calibrations = append(c.Calibrations, fit(KS, ks, kolmogorovSquare*independent, kolmogorovDF, n, m, stride))
	}
}

// What correlation adds to the mean is taken to lie along one direction, a
// shift most often, until windows have shown otherwise: it counts as much as
// priorWindows of them.
const (
	priorDF      = 1
	priorWindows = 8
)

// fit matches the law to the statistic's values over windows that start every
// stride rows, as the package comment derives it. mean and df are those under
// independent rows.
func fit(statistic string, t []float64, mean, df, window, rest float64, stride int) Calibration {
	c := Calibration{Statistic: statistic, Mean: mean, DF: df, Windows: max(1, rest/window)}
	got, variance := meanVariance(t)
	if got <= mean {
		return c
	}
	rho := correlation(t, max(1, int(window)/stride))
	c.Windows = max(1, c.Windows*(1-rho)/(1+rho))
	c.Mean = got
	excess := got - mean
	prior := 2*mean*mean/df + 2*excess*excess/priorDF
	variance = (c.Windows*variance + priorWindows*prior) / (c.Windows + priorWindows)
	c.DF = min(df, max(1, 2*got*got/variance))
	return c
}

func meanVariance(x []float64) (mean, variance float64) {
	if len(x) == 0 {
		return 0, 0
	}
	m2 := 0.0
	for i, v := range x {
		old := mean
		mean += (v - old) / float64(i+1)
		m2 += (v - old) * (v - mean)
	}
	return mean, m2 / float64(len(x))
}

// correlation is the autocorrelation of x at the lag, not below 0.
func correlation(x []float64, lag int) float64 {
	mean, variance := meanVariance(x)
	if variance == 0 || len(x) <= lag {
		return 0
	}
	sum := 0.0
	for i := lag; i < len(x); i++ {
		sum += (x[i] - mean) * (x[i-lag] - mean)
	}
	return min(max(0, sum/variance/float64(len(x))), 0.95)
}
