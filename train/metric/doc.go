// Package metric evaluates classifiers: accuracy, log-loss, AUC and the Brier
// score, each with a confidence interval, and the difference of two models on
// the same rows.
//
//	s := metric.Scores{Labels: labels, Probabilities: p, Classes: 2}
//	auc, err := metric.AUC(s, nil)               // auc.Value, auc.Low, auc.High
//	d, err := metric.Difference("accuracy", challenger, champion, &metric.Options{Blocks: weeks})
//	better := d.Low > 0
//
// Everything works on plain slices. Functions that draw random numbers take a
// seed and give the same result for the same seed.
//
// # Intervals
//
// Intervals take rows for independent, or whole blocks of rows where Blocks
// are given. Rows of a time series that lie close together are not independent:
// give blocks (weeks, say), or the interval will be too narrow.
package metric
