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
// like a scaled chi-square variable whose mean μ and variance σ² these windows
// show (Satterthwaite 1946):
//
//	ν = 2·μ²/σ², at least 1 and at most what independent rows give
//	p = P( F(ν, w·ν) ≥ T/μ )
//
// The F law instead of the chi-square is the price of having seen few windows:
// w = (rows/Window − 1)·(1−ρ)/(1+ρ), where ρ is the correlation of neighbouring
// windows, not below 0; a season is one observation, however many windows it
// fills. For the same reason σ² is the mean of what the w windows show and of
// 2·μ₀²/ν₀ + 2·(μ−μ₀)², with the weight of eight windows: all that correlation
// adds to the values μ₀ and ν₀ of independent rows lies along one direction.
// These are, for windows of n rows against m,
//
//	PSI over k bins          μ₀ = (k−1)·(1/n+1/m)    ν₀ = k−1
//	D²                       μ₀ = π²/12·(1/n+1/m)    ν₀ = π²/3
//	a missing share s        μ₀ = s·(1−s)·(1/n+1/m)  ν₀ = 1
//
// and μ is never taken below μ₀.
//
// A window with fewer present values than usual is held to a mean raised in
// proportion.
package profile
