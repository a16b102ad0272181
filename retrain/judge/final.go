package judge

import (
	"fmt"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/train/metric"
)

// Final asks what NonInferior asks of two arms that answered different rows,
// each in the order of time: a canary at the end of its last share, whose labels
// are in. It is to be asked once: who asks again and again until it passes has no
// level. The variances of the two means are found as NonInferior finds one, and
// added (Welch 1947). N is the rows of the smaller arm, and Needed is meant for
// it, the other arm growing alike. Errors are NonInferior's; labels may differ.
func Final(name string, challenger, champion metric.Scores, margin float64, o *Options) (Judgement, error) {
	const what = "final non-inferiority"
	m, opts, err := checkQuestion(what, name, challenger, champion, margin, o)
	if err != nil {
		return Judgement{}, err
	}
	e, err := armsEstimate(m, challenger, champion)
	if err != nil {
		return Judgement{}, fault.Errorf(fault.Kind(err), "judge: %s of %s: %w", what, name, err)
	}
	return e.judge(nonInferior{}, m, margin, opts), nil
}

// armsEstimate takes scores that were checked.
func armsEstimate(m metric.Metric, challenger, champion metric.Scores) (estimate, error) {
	e := estimate{n: min(len(challenger.Labels), len(champion.Labels)), block: 1}
	arms := []struct {
		who    string
		sign   float64
		scores metric.Scores
	}{{"challenger", 1, challenger}, {"champion", -1, champion}}
	for _, arm := range arms {
		if text := tooFew(m, arm.scores); text != "" && e.few == "" {
			e.few = fmt.Sprintf("of the %s %s", arm.who, text)
		}
	}
	if e.n == 0 || (m.Name == metric.NameAUC && min(rarest(challenger), rarest(champion)) == 0) {
		return e, nil
	}
	for _, arm := range arms {
		s, err := armSeries(m, arm.scores)
		if err != nil {
			return e, err
		}
		e.add(s, arm.sign)
	}
	return e, nil
}

// armSeries returns one model's metric row by row, larger being better.
func armSeries(m metric.Metric, scores metric.Scores) (series, error) {
	rows, err := m.PerRow(scores)
	if err != nil {
		return series{}, err
	}
	for i := range rows {
		rows[i] *= direction(m)
	}
	return series{gain: rows, floor: coinToss(m, scores), effective: float64(len(rows))}, nil
}
