package profile

import "github.com/mlloop/mlloop/internal/fault"

// Finding is one statistic of one column of a window.
type Finding struct {
	Column    string
	Statistic string      // PSI, KS or Missing
	Value     float64     // the effect size: PSI ≥ 0, D in 0..1, difference of shares in 0..1
	Law       Calibration // what windows of the reference give
}

// PValue returns the chance that a window of rows like the reference's lies as
// far away.
func (f Finding) PValue() float64 { return f.Law.PValue(f.Value) }

// leastPresent is how many values PSI and KS need to mean anything.
const leastPresent = 2

// Compare measures how far the window lies from the profile: Missing for every
// column, PSI and, for quantile bins, KS where both hold values. The findings
// are in the order of the columns. The p-values are for windows of WindowRows
// rows; shorter ones lie further away by chance alone. Errors: Invalid for a
// window of another profile or without rows.
func (p *Profile) Compare(w *Window) ([]Finding, error) {
	if w.profile.fingerprint != p.fingerprint {
		return nil, fault.Errorf(fault.Invalid, "profile: compare: the window was made from another profile")
	}
	if w.rows == 0 {
		return nil, fault.Errorf(fault.Invalid, "profile: compare: the window is empty")
	}
	findings := make([]Finding, 0, 3*len(p.columns))
	for i, c := range p.columns {
		d := c.distances(c.Counts, w.counts[p.offsets[i]:p.offsets[i+1]])
		for _, law := range c.Calibrations {
			f := Finding{Column: c.Name, Statistic: law.Statistic, Law: law}
			if law.Statistic == Missing {
				f.Value = d.missing
				findings = append(findings, f)
				continue
			}
			if d.present < leastPresent {
				continue
			}
			f.Value = d.psi
			if law.Statistic == KS {
				f.Value = d.ks
			}
			if usual := float64(c.Present) / float64(p.rows) * float64(p.window); float64(d.present) < usual {
				f.Law.Mean *= usual / float64(d.present)
			}
			findings = append(findings, f)
		}
	}
	return findings, nil
}
