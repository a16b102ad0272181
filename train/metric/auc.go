package metric

import (
	"math"
	"slices"

	"github.com/mlloop/mlloop/internal/fault"
)

// ranked is a row with the score of the class in question.
type ranked struct {
	score float64
	row   int32
}

// ranking returns the rows in ascending order of their probability of class c.
func (s Scores) ranking(c int) []ranked {
	order := make([]ranked, len(s.Labels))
	for i := range order {
		order[i] = ranked{s.row(i)[c], int32(i)}
	}
	slices.SortFunc(order, func(a, b ranked) int {
		switch {
		case a.score < b.score:
			return -1
		case a.score > b.score:
			return 1
		}
		return 0
	})
	return order
}

// ties calls f with the bounds of each run of equal scores, ascending.
func ties(order []ranked, f func(from, to int)) {
	for from := 0; from < len(order); {
		to := from + 1
		for to < len(order) && order[to].score == order[from].score {
			to++
		}
		f(from, to)
		from = to
	}
}

// placements are DeLong's structural components for class c against the rest:
// for a row of the class the share of other rows that it beats, for another row
// the share of the class's rows that beat it, ties counting half. Their mean
// over either side is the area.
type placements struct {
	of          []float64 // by row
	area        float64
	inside, out int // rows of the class, rows of the rest
}

func (s Scores) placements(c int) placements {
	order := s.ranking(c)
	p := placements{of: make([]float64, len(order))}
	for _, y := range s.Labels {
		if y == c {
			p.inside++
		}
	}
	p.out = len(order) - p.inside
	var inBelow, outBelow int
	var area float64
	ties(order, func(from, to int) {
		in := 0
		for _, r := range order[from:to] {
			if s.Labels[r.row] == c {
				in++
			}
		}
		out := to - from - in
		beats := (float64(outBelow) + float64(out)/2) / float64(p.out)
		beaten := (float64(p.inside-inBelow-in) + float64(in)/2) / float64(p.inside)
		for _, r := range order[from:to] {
			if s.Labels[r.row] == c {
				p.of[r.row] = beats
			} else {
				p.of[r.row] = beaten
			}
		}
		area += float64(in) * (float64(outBelow) + float64(out)/2)
		inBelow, outBelow = inBelow+in, outBelow+out
	})
	p.area = area / float64(p.inside) / float64(p.out)
	return p
}

// checkClasses returns an error unless each class has rows but not all of them.
func (s Scores) checkClasses() error {
	counts := make([]int, s.Classes)
	for _, y := range s.Labels {
		counts[y]++
	}
	var problems fault.Problems
	for c, n := range counts {
		if n == 0 {
			problems.Addf("class %d has no rows, so nothing can be ranked against it; take more rows", c)
		}
	}
	return problems.Err()
}

func auc(s Scores, opts Options) (Result, error) {
	if err := s.checkClasses(); err != nil {
		return Result{}, err
	}
	if s.Classes == 2 {
		p := s.placements(1)
		return aucResult(p.area, p.delong(s.Labels, 1), min(p.inside, p.out), "delong", opts), nil
	}
	return macroAUC(s, opts), nil
}

// delong returns the variance of the area: the components' sample variances
// over the sizes of their sides. NaN when a side has one row.
func (p placements) delong(labels []int, c int) float64 {
	var inside, out float64
	for i, v := range p.of {
		d := v - p.area
		if labels[i] == c {
			inside += d * d
		} else {
			out += d * d
		}
	}
	m, n := float64(p.inside), float64(p.out)
	return inside/(m-1)/m + out/(n-1)/n
}

// macroAUC averages one-against-the-rest areas.
func macroAUC(s Scores, opts Options) Result {
	n := float64(len(s.Labels))
	mean, influence, smallest := s.areaInfluences()
	var squares float64
	for _, v := range influence {
		squares += v * v
	}
	variance := squares / (n - 1) / n
	if smallest == 1 {
		variance = math.NaN()
	}
	return aucResult(mean, variance, smallest, "normal", opts)
}

func aucResult(area, variance float64, pairs int, method string, opts Options) Result {
	if !(variance > 0) {
		low, high := wilson(area, float64(pairs), opts.z())
		return Result{Value: area, Low: low, High: high, Method: "wilson over disjoint pairs"}
	}
	half := opts.z() * math.Sqrt(variance)
	return Result{Value: area, Low: max(area-half, 0), High: min(area+half, 1), Method: method}
}

// aucStatistic prepares the area for resampling: rows are ranked once, and
// weighed by their blocks each time.
func aucStatistic(s Scores, b blocks) (statistic, error) {
	if err := s.checkClasses(); err != nil {
		return nil, err
	}
	if s.Classes == 2 {
		return areaOf(s, 1, b), nil
	}
	areas := make([]statistic, s.Classes)
	for c := range areas {
		areas[c] = areaOf(s, c, b)
	}
	return func(weights []int32) float64 {
		var mean float64
		for _, area := range areas {
			mean += area(weights) / float64(len(areas))
		}
		return mean
	}, nil
}

// areaOf returns the area of class c against the rest; NaN where the weights
// leave a side empty.
func areaOf(s Scores, c int, b blocks) statistic {
	order := s.ranking(c)
	// One entry a row: its block, and whether it is of the class or ends a tie.
	type entry struct {
		block      int32
		inside, ok bool
	}
	entries := make([]entry, len(order))
	ties(order, func(from, to int) {
		for j := from; j < to; j++ {
			row := order[j].row
			entries[j] = entry{b.of[row], s.Labels[row] == c, j == to-1}
		}
	})
	return func(weights []int32) float64 {
		var area float64
		var in, out, below int64 // in and out of the tie at hand; below: out rows under it
		var insides int64
		for _, e := range entries {
			w := int64(weights[e.block])
			if e.inside {
				in += w
			} else {
				out += w
			}
			if e.ok {
				area += float64(in) * (float64(below) + float64(out)/2)
				insides, below = insides+in, below+out
				in, out = 0, 0
			}
		}
		return area / float64(insides) / float64(below) // 0/0 is NaN
	}
}
