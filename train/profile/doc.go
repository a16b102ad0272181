// Package profile sums up the rows a model was fitted on, so that later rows
// can be compared with them without keeping them: per column the counts,
// moments, frozen bins, and how far a run of rows usually lies from the rest.
//
//	reference, err := profile.New(table, []string{"age", "plan"}, nil)
//	window := reference.NewWindow()
//	for _, row := range latest {
//		window.Add(row)
//	}
//	findings, err := reference.Compare(window)
//	for _, f := range findings {
//		fmt.Println(f.Column, f.Statistic, f.Value, f.PValue())
//	}
//
// # Bins
//
// A numeric column of more than Options.Bins distinct values is cut at its
// quantiles (type 7); bins are open below, closed above, and the outer ones
// have no end. PSI uses Options.Bins of them, KS ten times as many. A column
// of fewer values, a constant one above all, is counted by value, and every
// other value is "unseen". Text is counted by category, the rare ones together
// with the unseen. Missing values and infinities have bins of their own; a
// value of the wrong kind counts as missing.
//
// # Calibration
//
// Rows in time order are seldom independent: neighbours resemble each other
// and seasons come and go, so that a short run of rows differs from the whole
// by far more than textbook p-values allow. New therefore slides a window of
// Options.Window rows over the table and compares each with all other rows.
// Each statistic T (PSI, D², the squared difference of missing shares) behaves
// like a scaled chi-square variable; scale and degrees of freedom follow from
// the mean and variance over these windows (Satterthwaite 1946):
//
//	ν = 2·mean²/variance, at most what independent rows give, at least 1
//	p = P( F(ν, w·ν) ≥ T/mean )
//
// The F law instead of the chi-square is the price of having seen few windows:
// w = rows/Window·(1−ρ)/(1+ρ), where ρ is the correlation of neighbouring
// windows, not below 0; a season is one observation, however many windows it
// fills. The mean is never taken below what independent rows give, which is
// (k−1)·(1/n+1/m) for PSI over k bins, π²/12·(1/n+1/m) for D², and
// s·(1−s)·(1/n+1/m) for a share s.
//
// A window with fewer present values than usual is held to a mean raised in
// proportion.
package profile
