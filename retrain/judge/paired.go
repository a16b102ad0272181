package judge

import (
	"slices"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/train/metric"
)

// NonInferior asks whether the challenger's metric is worse than the champion's
// by less than the margin, on the same rows in the order of time. It passes
// where the bound of the paired difference lies on the good side of the margin,
// fails where the whole interval lies beyond it, and is inconclusive between: a
// margin of 0 asks for proof that it is better. The probability that a
// challenger worse by the margin passes is at most Alpha (Piaggio and others,
// JAMA 308, 2012).
//
// The interval is Student's, of the mean of the rows' differences, with the
// variance of blocks whose length follows from the autocorrelation; AUC enters by
// DeLong's influence of each row (DeLong, DeLong and Clarke-Pearson 1988). Rows
// without a difference are no certainty: two rows that differ, one each way, are
// added to the variance (Bonett and Price, Journal of Educational and Behavioral
// Statistics 37, 2012). Too few rows, or rows that depend on each other for so
// long that the level would not hold, are inconclusive.
//
// Errors: Invalid for an unknown metric, scores that fail Scores.Check, labels
// that differ, a margin that is negative or not finite, options out of range.
// Scores with classes but without rows are inconclusive.
func NonInferior(name string, challenger, champion metric.Scores, margin float64, o *Options) (Judgement, error) {
	return paired("non-inferiority", nonInferior{}, name, challenger, champion, margin, o)
}

// NoHarm asks whether the challenger's metric is proven worse than the
// champion's by more than the margin: then it fails. Else it passes where what is
// seen is within the margin, or where harm of twice the margin would have been
// shown with the wanted power; of rows that depend on each other for too long it
// passes only what is seen to be no worse at all. It is inconclusive on too few
// rows, and where harm is seen that is neither shown nor ruled out. It is for those
// to whom freshness matters: the probability that a challenger worse by just the
// margin fails is at most Alpha, and about half of such pass. Interval and errors
// are NonInferior's.
func NoHarm(name string, challenger, champion metric.Scores, margin float64, o *Options) (Judgement, error) {
	return paired("no harm", noHarm{}, name, challenger, champion, margin, o)
}

// Superior asks whether the challenger's metric is better than the champion's
// by more than the margin. It passes where the bound of the paired difference
// shows it, fails where the whole interval lies below the margin, and is
// inconclusive between. The probability that an equal challenger passes is at
// most Alpha. Interval and errors are NonInferior's.
func Superior(name string, challenger, champion metric.Scores, margin float64, o *Options) (Judgement, error) {
	return paired("superiority", superior{}, name, challenger, champion, margin, o)
}

func paired(what string, q question, name string, challenger, champion metric.Scores, margin float64, o *Options) (Judgement, error) {
	m, opts, err := checkQuestion(what, name, challenger, champion, margin, o)
	if err != nil {
		return Judgement{}, err
	}
	if !slices.Equal(challenger.Labels, champion.Labels) {
		return Judgement{}, fault.Errorf(fault.Invalid, "judge: %s of %s: the labels differ: both must answer the same rows in the same order", what, name)
	}
	e, err := pairedEstimate(m, challenger, champion)
	if err != nil {
		return Judgement{}, fault.Errorf(fault.Kind(err), "judge: %s of %s: %w", what, name, err)
	}
	return e.judge(q, m, margin, opts), nil
}

// pairedEstimate takes scores that were checked.
func pairedEstimate(m metric.Metric, challenger, champion metric.Scores) (estimate, error) {
	e := estimate{n: len(champion.Labels), block: 1, few: tooFew(m, champion)}
	if e.n == 0 || (m.Name == metric.NameAUC && rarest(champion) == 0) {
		return e, nil
	}
	s, err := pairedSeries(m, challenger, champion)
	if err == nil {
		e.add(s, 1)
	}
	return e, err
}

// checkQuestion gathers everything that is wrong with what was asked.
func checkQuestion(what, name string, challenger, champion metric.Scores, margin float64, o *Options) (metric.Metric, Options, error) {
	var problems fault.Problems
	m, err := metric.ByName(name)
	if err != nil {
		problems.Addf("%s", err)
	}
	opts, err := o.withDefaults()
	if err != nil {
		problems.Addf("%s", err)
	}
	checkMargin(&problems, margin)
	if err := checkScores(challenger, champion); err != nil {
		problems.Addf("%s", err)
	}
	if err := problems.Err(); err != nil {
		return m, opts, fault.Errorf(fault.Invalid, "judge: %s of %s: %w", what, name, err)
	}
	return m, opts, nil
}
