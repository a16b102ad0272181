package judge

import (
	"fmt"
	"math"

	"github.com/mlloop/mlloop/train/metric"
)

// estimate is a gain with its variance: of one paired series, or of two arms.
type estimate struct {
	n        int
	gain     float64
	variance float64
	df       float64
	block    int
	known    bool   // there is a variance
	few      string // why the rows are no ground for a judgement
	runs     string // why their variance is not settled: they depend on each other for too long
}

// add adds the mean of a series times the sign, as independent of what is there.
func (e *estimate) add(s series, sign float64) {
	sp := spreadOf(s.gain)
	e.gain += sign * sp.mean
	if math.IsInf(sp.variance, 0) {
		return
	}
	// Two rows more, one each way, as large as the largest seen, or as the floor.
	// Of dependent rows an unseen one would not come alone: they are added to the
	// independent rows that these are worth.
	var largest float64
	for _, v := range s.gain {
		largest = max(largest, math.Abs(v-sp.mean))
	}
	own := sp.effective(meanVariance(s.gain))
	v := sp.variance + 2*max(perRow(largest, own), perRow(s.floor, min(own, s.effective)))
	df := sp.df
	if e.known { // Welch and Satterthwaite
		sum := e.variance + v
		df = sum * sum / (e.variance*e.variance/e.df + v*v/sp.df)
	}
	e.variance, e.df, e.known = e.variance+v, df, true
	e.block = max(e.block, sp.block)
	if !sp.settled && e.runs == "" {
		e.runs = fmt.Sprintf("rows depend on each other over more than %d of them, too long for %d rows", sp.block, sp.n)
	}
}

// perRow is the squared part of one row in a mean of so many and two more.
func perRow(size, rows float64) float64 { return size / (rows + 2) * size / (rows + 2) }

func (e estimate) judge(q question, m metric.Metric, margin float64, o Options) Judgement {
	j := Judgement{
		Outcome: Inconclusive, Metric: m.Name, Level: 1 - 2*o.Alpha, Margin: margin, N: e.n, Block: e.block,
		Diff: direction(m) * e.gain, Low: direction(m) * e.gain, High: direction(m) * e.gain,
	}
	if !e.known {
		j.Needed = leastRows
		j.Reason = fmt.Sprintf("%s; %s", q.unknown(m, margin), e.few)
		return j
	}
	se := math.Sqrt(e.variance)
	t := student(1-o.Alpha, e.df)
	f := facts{low: e.gain - t*se, high: e.gain + t*se, gain: e.gain, margin: margin, settled: e.runs == ""}
	j.Low, j.High = f.low, f.high
	if !m.HigherBetter {
		j.Low, j.High = -f.high, -f.low
	}
	j.MDE = (t + student(o.Power, e.df)) * se
	f.mde = j.MDE
	if d := q.distance(f); d > 0 {
		j.Needed = rowsFor(float64(e.n) * (j.MDE / d) * (j.MDE / d))
	}
	if e.few == "" {
		j.Outcome = q.outcome(f)
	}
	if e.few != "" || (e.runs != "" && j.Outcome == Inconclusive) {
		j.Needed = max(j.Needed, e.n*2, leastRows)
	}
	j.Reason = e.reason(q, m, j)
	return j
}

// mostRows bounds Needed, which for tiny margins would overflow.
const mostRows = 1 << 40

func rowsFor(n float64) int { return int(math.Ceil(max(leastRows, min(n, mostRows)))) }

func (e estimate) reason(q question, m metric.Metric, j Judgement) string {
	text := fmt.Sprintf("%s differs by %+.4g [%+.4g, %+.4g] on %d rows", m.Name, j.Diff, j.Low, j.High, j.N)
	if j.Block > 1 {
		text += fmt.Sprintf(" in blocks of %d", j.Block)
	}
	switch {
	case e.few != "":
		text += ": " + e.few
	case e.runs != "" && j.Outcome == Inconclusive:
		text += ": " + e.runs
	default:
		text += ": " + q.says(j.Outcome, m, j.Margin)
	}
	if j.Outcome != Inconclusive {
		return text
	}
	text += fmt.Sprintf("; so many rows show a difference of %.3g", j.MDE)
	if j.Needed > 0 {
		text += fmt.Sprintf(", about %d would do", j.Needed)
	}
	return text
}
