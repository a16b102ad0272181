package drift

import (
	"math"
	"slices"
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
	usual    Baseline        // what is known from elsewhere: of fewer than WarmUp rows
	learning []labelledError // while the usual errors are not known
	base     Baseline        // known once Rows is above zero
	rise     *driftconcept.PageHinkley
	since    int // errors since rise's sum was 0
	means    *driftconcept.ADWIN
	block    block
	recent   recentErrors
	loud     *ColumnFinding // a rise that no alert tells of yet
	labels   int            // since the firing alert was last looked at
}

// labelledError is the error of the label with the key; 0: it has none.
type labelledError struct {
	Key uint64  `json:"key,omitempty"`
	X   float64 `json:"x"`
}

// block gathers errors into means of as many as are needed to forget each other.
type block struct {
	Sum  float64 `json:"sum"`
	Rows int     `json:"rows"`
}

func newErrorWatch(o Options, usual Baseline) errorWatch {
	w := errorWatch{opts: o, recent: recentErrors{size: o.Window}}
	if usual.Rows < o.WarmUp {
		w.usual = usual
		return w
	}
	w.base = usual
	w.restart()
	return w
}

// usable reports whether sums of the cubes of x stay finite.
func usable(x float64) bool { return math.Abs(x) <= 1e100 }

// begin starts the detectors once enough errors have been learned from.
func (w *errorWatch) begin() {
	if w.usual.Rows+len(w.learning) < w.opts.WarmUp {
		return
	}
	xs := make([]float64, len(w.learning))
	for i, e := range w.learning {
		xs[i] = e.X
	}
	w.base = w.usual.merge(NewBaseline(xs))
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

// observe takes the error of a label that was not counted before.
func (w *errorWatch) observe(e labelledError) {
	w.labels++
	w.recent.add(e)
	if w.base.Rows == 0 {
		w.learning = append(w.learning, e)
		w.begin()
		return
	}
	w.observeRise(e.X)
	w.observeMeans(e.X)
}

// restate puts the error of a corrected label in the place of the one before;
// one that is not usable only takes that out.
func (w *errorWatch) restate(e labelledError) {
	w.learning = restated(w.learning, e)
	if latest := w.recent.inOrder(); len(latest) > 0 {
		w.recent = recentErrors{size: w.recent.size, errors: restated(latest, e)}
	}
}

func restated(errors []labelledError, e labelledError) []labelledError {
	at := slices.IndexFunc(errors, func(o labelledError) bool { return e.Key != 0 && o.Key == e.Key })
	switch {
	case at < 0:
	case usable(e.X):
		errors[at] = e
	default:
		errors = slices.Delete(errors, at, at+1)
	}
	return errors
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

// report keeps the first rise until an alert tells of it.
func (w *errorWatch) report(detector string, mean float64) {
	if w.loud == nil {
		w.loud = &ColumnFinding{Column: ErrorColumn, Statistic: detector, Value: mean, Threshold: w.base.Mean + w.delta()}
	}
}

// criticalRise is the rise of the error, in standard deviations, that makes an
// alert critical: Cohen's medium effect.
const criticalRise = 0.5

// checkErrors looks at the errors after a label.
func (m *Monitor) checkErrors(now time.Time) {
	w := &m.errors
	if m.named(ErrorDrift, ErrorColumn) {
		w.loud = nil
		if w.labels < m.opts.Stride {
			return
		}
		w.labels = 0
		resolved := m.settle(now, ErrorDrift, "the error is back at its usual level", func(Alert) (quiet bool, excess float64) {
			excess = w.excess(w.recent.mean())
			return excess <= 1, excess
		})
		if resolved {
			w.restart()
		}
		return
	}
	if w.loud == nil {
		return
	}
	severity := Warning
	if w.loud.Value-w.base.Mean >= criticalRise*math.Sqrt(w.base.Variance) {
		severity = Critical
	}
	m.fire(now, ErrorDrift, severity, []ColumnFinding{*w.loud}, w.excess(w.loud.Value))
	w.loud, w.labels = nil, 0
}

// excess is the rise of the mean error against the one that is tolerated.
func (w *errorWatch) excess(mean float64) float64 { return max(mean-w.base.Mean, 0) / w.delta() }

// recentErrors are the latest errors.
type recentErrors struct {
	errors []labelledError // a ring once full
	next   int             // the oldest of a full ring
	size   int
}

func (r *recentErrors) add(e labelledError) {
	if len(r.errors) < r.size {
		r.errors = append(r.errors, e)
		return
	}
	r.errors[r.next] = e
	if r.next++; r.next == r.size {
		r.next = 0
	}
}

// inOrder is a copy of the errors, oldest first.
func (r *recentErrors) inOrder() []labelledError {
	return append(append([]labelledError(nil), r.errors[r.next:]...), r.errors[:r.next]...)
}

// mean adds up anew, so that no rounding gathers.
func (r *recentErrors) mean() float64 {
	sum := 0.0
	for _, e := range r.errors {
		sum += e.X
	}
	return sum / float64(max(len(r.errors), 1))
}
