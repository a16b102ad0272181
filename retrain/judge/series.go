package judge

import (
	"fmt"
	"math"
	"slices"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/train/metric"
)

// series is a metric of one model, or the gain of one model on another, row by
// row: larger is better, its mean is what is judged.
type series struct {
	gain []float64
	// floor is the least that one more row might move a sum: what a coin toss
	// loses, or the spread of the champion's own rows. Rows without any difference
	// are no certainty.
	floor float64
	// effective is the number of independent rows that these are worth to either
	// model alone: where the two hardly ever differ, the difference hides it.
	effective float64
}

// pairedSeries returns the challenger's gain on the champion for each row, the
// challenger's metric less the champion's times the metric's direction.
func pairedSeries(m metric.Metric, challenger, champion metric.Scores) (series, error) {
	a, err := m.PerRow(challenger)
	if err != nil {
		return series{}, err
	}
	b, err := m.PerRow(champion)
	if err != nil {
		return series{}, err
	}
	s := series{
		gain: a, floor: max(coinToss(m, champion), math.Sqrt(meanVariance(b)*float64(len(b)))),
		effective: min(effectiveRows(a), effectiveRows(b)),
	}
	if m.Name == metric.NameAUC { // runs of one class, too, make rows few
		s.effective = min(s.effective, effectiveRows(labelRows(champion)))
	}
	for i, v := range b {
		s.gain[i] = direction(m) * (s.gain[i] - v)
	}
	return s, nil
}

func effectiveRows(rows []float64) float64 { return spreadOf(rows).effective(meanVariance(rows)) }

// labelRows tells for each row whether it is of the first class.
func labelRows(s metric.Scores) []float64 {
	rows := make([]float64, len(s.Labels))
	for i, y := range s.Labels {
		if y == 0 {
			rows[i] = 1
		}
	}
	return rows
}

func direction(m metric.Metric) float64 {
	if m.HigherBetter {
		return 1
	}
	return -1
}

// coinToss is what a row loses by a guess: 1 of accuracy, ln k of log-loss,
// 1-1/k of the Brier score (halved for two classes), and of AUC as much as a row of
// the rarest class can move it.
func coinToss(m metric.Metric, s metric.Scores) float64 {
	k := float64(s.Classes)
	switch m.Name {
	case metric.NameLogLoss:
		return math.Log(k)
	case metric.NameBrier:
		if s.Classes == 2 {
			return 0.25
		}
		return 1 - 1/k
	case metric.NameAUC:
		return float64(len(s.Labels)) / float64(max(rarest(s), 1)) / k
	}
	return 1
}

// rarest returns the number of rows of the rarest class.
func rarest(s metric.Scores) int {
	counts := make([]int, s.Classes)
	for _, y := range s.Labels {
		if y >= 0 && y < len(counts) {
			counts[y]++
		}
	}
	return slices.Min(counts)
}

// leastOfClass is how many rows of each class an AUC is judged on at least.
const leastOfClass = 20

// tooFew returns why the rows are no ground for a judgement, or nothing.
func tooFew(m metric.Metric, s metric.Scores) string {
	if len(s.Labels) < leastRows {
		return fmt.Sprintf("%d rows are fewer than the %d that any judgement needs", len(s.Labels), leastRows)
	}
	if n := rarest(s); m.Name == metric.NameAUC && n < leastOfClass {
		return fmt.Sprintf("%d rows of the rarest class are fewer than the %d that a judgement of auc needs", n, leastOfClass)
	}
	return ""
}

func checkScores(challenger, champion metric.Scores) error {
	var problems fault.Problems
	for _, s := range []struct {
		who    string
		scores metric.Scores
	}{{"challenger", challenger}, {"champion", champion}} {
		if len(s.scores.Labels) == 0 && s.scores.Classes >= 2 && len(s.scores.Probabilities) == 0 {
			continue // no rows are no error, but no ground either
		}
		if err := s.scores.Check(); err != nil {
			problems.Addf("%s: %s", s.who, err)
		}
	}
	if challenger.Classes != champion.Classes {
		problems.Addf("the challenger's %d classes against the champion's %d", challenger.Classes, champion.Classes)
	}
	return problems.Err()
}

func checkMargin(p *fault.Problems, margin float64) {
	if !(margin >= 0) || math.IsInf(margin, 0) {
		p.Addf("margin %v: want a number that is not negative", margin)
	}
}
