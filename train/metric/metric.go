package metric

import (
	"math"
	"strings"

	"github.com/mlloop/mlloop/internal/fault"
)

// The names that ByName knows.
const (
	NameAccuracy = "accuracy"
	NameLogLoss  = "log_loss"
	NameAUC      = "auc"
	NameBrier    = "brier"
)

// Metric is a metric by name, with its direction.
type Metric struct {
	Name         string
	HigherBetter bool

	evaluate     func(Scores, Options) (Result, error)
	statistic    func(Scores, blocks) (statistic, error)
	contribution func(Scores, int) float64 // of a row, where the metric is a mean over rows
}

// All returns every metric.
func All() []Metric {
	return []Metric{
		{NameAccuracy, true, accuracy, meanOf(hit), hit},
		{NameLogLoss, false, logLoss, meanOf(surprise), surprise},
		{NameAUC, true, auc, aucStatistic, nil},
		{NameBrier, false, brier, meanOf(squaredError), squaredError},
	}
}

// ByName returns the metric accuracy, log_loss, auc or brier. Errors: Invalid
// for another name.
func ByName(name string) (Metric, error) {
	var names []string
	for _, m := range All() {
		if m.Name == name {
			return m, nil
		}
		names = append(names, m.Name)
	}
	return Metric{}, fault.Errorf(fault.Invalid, "metric: unknown metric %q; there are %s", name, strings.Join(names, ", "))
}

// Evaluate is the function of the metric's name: Accuracy, LogLoss, AUC or Brier.
func (m Metric) Evaluate(s Scores, opts *Options) (Result, error) {
	o, err := opts.withDefaults(len(s.Labels))
	if err == nil {
		err = s.Check()
	}
	if err != nil {
		return Result{}, fault.Errorf(fault.Invalid, "metric: %s: %w", m.Name, err)
	}
	var r Result
	if o.Blocks == nil {
		r, err = m.evaluate(s, o)
	} else {
		r, err = m.bootstrap(o, s)
	}
	if err != nil {
		return Result{}, fault.Errorf(fault.Kind(err), "metric: %s: %w", m.Name, err)
	}
	r.Name, r.N, r.Level = m.Name, len(s.Labels), o.Level
	return r, nil
}

// Options say how sure an interval is to be and what is independent. Nil and
// the zero value are the documented defaults.
type Options struct {
	// Level is the confidence level, between 0 and 1. 0: 0.95.
	Level float64
	// Blocks names the block of each row, such as its week. Rows within a block may
	// depend on each other, blocks may not; the interval then comes from resampling
	// whole blocks. Some twenty blocks make it trustworthy. Nil: rows are independent.
	Blocks []int
	// Resamples is the number of bootstrap resamples. 0: 2000.
	Resamples int
	// Seed is that of the bootstrap.
	Seed uint64
}

const maxResamples = 1_000_000

func (o *Options) withDefaults(rows int) (Options, error) {
	var out Options
	if o != nil {
		out = *o
	}
	if out.Level == 0 {
		out.Level = 0.95
	}
	if out.Resamples == 0 {
		out.Resamples = 2000
	}
	var problems fault.Problems
	if !(out.Level > 0 && out.Level < 1) {
		problems.Addf("level %v is not between 0 and 1", out.Level)
	}
	if out.Resamples < 1 || out.Resamples > maxResamples {
		problems.Addf("%d resamples, want 1 to %d", out.Resamples, maxResamples)
	}
	if out.Blocks != nil && len(out.Blocks) != rows {
		problems.Addf("%d block ids for %d rows", len(out.Blocks), rows)
	}
	return out, problems.Err()
}

// z returns the normal quantile that leaves (1-level)/2 on each side.
func (o Options) z() float64 { return math.Sqrt2 * math.Erfinv(o.Level) }

// Result is a metric's value with its confidence interval. All numbers are finite.
type Result struct {
	Name   string  `json:"name"`
	Value  float64 `json:"value"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
	N      int     `json:"n"`      // rows
	Level  float64 `json:"level"`  // of confidence, such as 0.95
	Method string  `json:"method"` // of the interval
}

// Accuracy is the share of rows whose most probable class (the first of equals)
// is the label: from 0 to 1, higher is better. The interval is Wilson's score
// interval (1927), which holds up at 0, at 1 and for one row.
//
// Errors, of this and the other metrics: Invalid for scores that fail
// Scores.Check (no rows, NaN …), options out of range, and fewer than two blocks
// where Blocks are given.
func Accuracy(s Scores, opts *Options) (Result, error) { return evaluate(NameAccuracy, s, opts) }

// LogLoss is the mean of -ln p over the rows, where p is the probability given
// to the label, held within [ε, 1-ε] with ε = 2⁻⁵² as scikit-learn does: from 0
// to 36, lower is better. The interval is normal, from the standard error of the
// rows' losses; it needs two rows at least, else the error is Invalid.
func LogLoss(s Scores, opts *Options) (Result, error) { return evaluate(NameLogLoss, s, opts) }

// Brier is the mean squared error of the probabilities: (p₁-y)² for two
// classes, from 0 to 1; the sum over the classes for more (Brier 1950), from 0 to
// 2. Lower is better. The interval is normal, as for LogLoss.
func Brier(s Scores, opts *Options) (Result, error) { return evaluate(NameBrier, s, opts) }

// AUC is the area under the ROC curve: the probability that a row of class 1
// gets a higher probability of it than a row of class 0, ties counting half.
// For more classes it is the plain mean over the classes of one against the
// rest. From 0 to 1, higher is better.
//
// The interval is DeLong's (DeLong, DeLong and Clarke-Pearson 1988, by the
// midranks of Sun and Xu 2014), cut to [0, 1]; for more than two classes it is
// normal by the same method's influence functions. Where that variance is zero
// or unknown (the classes are fully separated, or one has a single row) it is
// Wilson's for as many disjoint pairs as the smaller class has rows: wider, but
// true.
//
// Errors: Invalid where a class has no rows or all of them, besides those that
// Accuracy lists.
func AUC(s Scores, opts *Options) (Result, error) { return evaluate(NameAUC, s, opts) }

func evaluate(name string, s Scores, opts *Options) (Result, error) {
	m, err := ByName(name)
	if err != nil {
		return Result{}, err
	}
	return m.Evaluate(s, opts)
}
