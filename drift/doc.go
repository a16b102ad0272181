// Package drift watches a served model: it compares the rows that it answers
// with the ones that it was fitted on, and its errors with those it used to
// make, and raises an alert when one of them has changed and resolves it when
// it is back.
//
//	monitor, err := drift.New(drift.Config{Model: "churn", Version: 3, Reference: reference}, nil)
//	monitor.Observe(answer) // a frame.Observation at each answer
//	monitor.Observe(label)  // and another when the truth is known
//	for _, alert := range monitor.Check(time.Now()) { // every now and then
//		fmt.Println(alert.Source, alert.Columns)
//	}
//
// A Monitor is an observer of serve: it never blocks and never fails. Observe
// puts events into a bounded queue; Check judges them row by row, so that it
// does not matter how often it is called, as long as the queue does not run
// full: Counts tells. The state can be saved and restored, and a Store keeps it
// with the alerts.
//
// A model without a reference profile is watched from one that is learned from
// its first rows. Unwatched names the columns that the monitor is blind to.
//
// # Input drift
//
// The monitor counts the latest rows over the bins of the reference profile
// and after every Options.Stride rows compares them with it: PSI, the
// Kolmogorov-Smirnov distance and the share of missing values of each column.
// A statistic speaks when it is large enough to matter (Options.MinPSI and so
// on) and is rejected at the level
//
//	α = window rows / Options.RunLength
//
// by Benjamini and Hochberg's procedure over all columns and statistics; the
// p-values are the profile's calibrated ones, so that seasons and correlated
// rows inside the reference do not count as drift. A column fires when this
// happens at Options.Hits of the last Options.Of checks. The columns that fire
// together share one alert; one that follows later gets its own. An alert
// resolves after Options.Resolve checks in a row in which none of its columns
// is anywhere near: below the floor, or with a p-value above 10·α.
//
// # Error drift
//
// Errors are 0 or 1 for labels, absolute for numbers. Their usual mean μ and
// standard deviation σ come from Config.Usual, or else from the first
// Options.WarmUp labels, or from both where Usual is of fewer. A Page-Hinkley detector tolerates a rise of
// δ = Options.MinRise·σ. Its threshold λ follows from the wanted run length L
// between false alarms (Siegmund 1985; simulation finds 1.05 to 1.25 times L):
//
//	exp(θλ) − θλ − 1 = L·δ·θ, −δθ + σ²θ²/2 + κ₃θ³/6 = 0
//
// with the third cumulant κ₃ of the errors. Correlated errors wander further:
// θ is divided by the inflation of the variance of their sums, estimated from
// means of blocks (see Baseline). A rise below two standard errors of μ, which
// the inflation enters too, is tolerated in any case. An ADWIN on block means
// finds slow rises, which Page-Hinkley's running mean follows.
//
// # How often, and how soon
//
// With default options, on 200 SEA streams of 40,000 rows each (drifttest.SEA;
// the reference is 4,000 rows, the window 500, labels come at once, and Check is
// called in bursts of up to 5,000 rows, as a loop does):
//
//	no change                        4 streams raise an alert
//	error 10 % → 17 % (theta 8→9)    189 caught within 1,000 rows, half of them within 381
//	error 10 % → 20 % (8→9.5)        197, within 218
//	error 10 % → 23 % (9→7)          197, within 171
//	input shifted by 10 % of range   200 within 2,000 rows, half of them within 479
//	input shifted by 30 % of range   200, within 293
//
// Rows that each keep 80, 95 or 98 % of the one before, or follow a season that
// the reference holds twice, raise an alert in at most 5 % of such streams too.
// go test ./drift/drifttest -v -drift.streams=200 prints them all.
package drift
