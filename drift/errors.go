package drift

import (
	"math"
	"time"

	"github.com/mlloop/mlloop/drift/driftconcept"
)

// The detectors that an error alert names as its statistic.
const (
	PageHinkley = "page_hinkley"
	ADWIN       = "adwin"
)

// ErrorColumn stands for the column in error alerts.
const ErrorColumn = "error"

// errorWatch follows the errors: it learns the usual ones, then looks for a
// rise.
type errorWatch struct {
	opts     Options
	learning []float64 // errors seen while the usual ones are not known
	base     Baseline  // known once Rows is above zero
	rise     *driftconcept.PageHinkley
	since    int // errors since rise's sum was 0
	means    *driftconcept.ADWIN
	block    block
	recent   recentMean
	loud     *ColumnFinding // a rise that Check has not seen yet
	labels   int            // since the last Check that looked
}

// block gathers errors into means of as many as are needed to forget each other.
type block struct {
	Sum  float64 `json:"sum"`
	Rows int     `json:"rows"`
}

func newErrorWatch(o Options) errorWatch {
	return errorWatch{opts: o, recent: newRecentMean(o.Window)}
}

// usable reports whether sums of the cubes of x stay finite.
func usable(x float64) bool { return math.Abs(x) <= 1e100 }

// learn takes an error for the usual ones.
func (w *errorWatch) learn(x float64) { w.learning = append(w.learning, x) }

// begin starts the detectors once enough errors have been learned from.
func (w *errorWatch) begin() {
	if len(w.learning) < w.opts.WarmUp {
		return
	}
	w.base = NewBaseline(w.learning)
	w.learning = nil
	w.restart()
}

// restart begins the search for a rise anew.
func (w *errorWatch) restart() {
	w.rise = driftconcept.NewPageHinkley(&driftconcept.PageHinkleyOptions{
		Delta: w.delta(), Lambda: w.base.threshold(w.opts.MinRise*math.Sqrt(w.base.Variance), float64(w.opts.RunLength)), Fade: 1, MinRows: 1,
		Mean: w.base.Mean, MeanRows: w.base.Rows,
	})
	w.means = driftconcept.NewADWIN(&driftconcept.ADWINOptions{Clock: max(1, 32/w.blockRows())})
	w.since, w.block, w.loud = 0, block{}, nil
}

// delta is the rise of the mean that is tolerated: what the options say, but
// no less than two standard errors of the usual mean.
func (w *errorWatch) delta() float64 {
	inMean := math.Sqrt(w.base.Inflation / float64(w.base.Rows))
	return max(w.opts.MinRise, 2*inMean) * math.Sqrt(w.base.Variance)
}

func (w *errorWatch) blockRows() int { return max(1, int(math.Round(w.base.Inflation))) }

func (w *errorWatch) observe(x float64) {
	if !usable(x) {
		return
	}
	w.labels++
	w.recent.add(x)
	if w.base.Rows == 0 {
		w.learn(x)
		w.begin()
		return
	}
	w.observeRise(x)
	w.observeMeans(x)
}

func (w *errorWatch) observeRise(x float64) {
	sum, mean := w.rise.Sum(), w.rise.Mean()
	if sum == 0 {
		w.since = 0
	}
	w.since++
	if w.rise.Update(x) == driftconcept.Drift {
		// S is the sum of what exceeds mean + δ since it was 0.
		w.report(PageHinkley, mean+w.delta()+sum/float64(w.since))
	}
}

func (w *errorWatch) observeMeans(x float64) {
	w.block.Sum += x
	if w.block.Rows++; w.block.Rows < w.blockRows() {
		return
	}
	before := w.means.Mean()
	status := w.means.Update(w.block.Sum / float64(w.block.Rows))
	w.block = block{}
	if after := w.means.Mean(); status == driftconcept.Drift && after > before && after >= w.base.Mean+w.delta() {
		w.report(ADWIN, after)
	}
}

// report keeps the first rise until Check sees it.
func (w *errorWatch) report(detector string, mean float64) {
	if w.loud == nil {
		w.loud = &ColumnFinding{Column: ErrorColumn, Statistic: detector, Value: mean, Threshold: w.base.Mean + w.delta()}
	}
}

// criticalRise is the rise of the error, in standard deviations, that makes an
// alert critical: Cohen's medium effect.
const criticalRise = 0.5

func (m *Monitor) checkErrors(now time.Time) []Alert {
	w := &m.errors
	if m.named(ErrorDrift, ErrorColumn) {
		w.loud = nil
		if w.labels < m.opts.Every {
			return nil
		}
		w.labels = 0
		changed := m.settle(now, ErrorDrift, "the error is back at its usual level", func(Alert) bool {
			return w.recent.mean() <= w.base.Mean+w.delta()
		})
		if len(changed) > 0 {
			w.restart()
		}
		return changed
	}
	if w.loud == nil {
		return nil
	}
	severity := Warning
	if w.loud.Value-w.base.Mean >= criticalRise*math.Sqrt(w.base.Variance) {
		severity = Critical
	}
	alert := m.fire(now, ErrorDrift, severity, []ColumnFinding{*w.loud})
	w.loud, w.labels = nil, 0
	return []Alert{alert}
}

// recentMean is the mean of the latest errors.
type recentMean struct {
	values []float64 // a ring once full
	next   int       // the oldest of a full ring
	size   int
}

func newRecentMean(size int) recentMean { return recentMean{size: size} }

func (r *recentMean) add(x float64) {
	if len(r.values) < r.size {
		r.values = append(r.values, x)
		return
	}
	r.values[r.next] = x
	if r.next++; r.next == r.size {
		r.next = 0
	}
}

// mean adds up anew, so that no rounding gathers.
func (r *recentMean) mean() float64 {
	sum := 0.0
	for _, x := range r.values {
		sum += x
	}
	return sum / float64(max(len(r.values), 1))
}
