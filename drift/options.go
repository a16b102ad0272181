package drift

import (
	"log/slog"
	"math"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/train/frame"
	"github.com/mlloop/mlloop/train/profile"
)

// Config says what a monitor watches.
type Config struct {
	Model   string // required
	Version int64  // of the model, whose alerts these are
	// Reference sums up the rows that the version was fitted on. Without one, such
	// as for a model made elsewhere, the monitor learns it from the first
	// Options.Learn rows, and compares the later ones with those.
	Reference *profile.Profile
	// Usual is the law of the version's errors on held-out rows. When it is of
	// fewer than Options.WarmUp, none above all, the first labels make up the rest.
	Usual Baseline
}

// DefaultWindow is the window of a reference profile made with the default
// options from enough rows.
const DefaultWindow = profile.DefaultWindow

// Options are a monitor's settings; the zero value of a field is its default.
type Options struct {
	// Window is the number of latest rows that are compared with the reference.
	// It is the reference's, where Config has one: thresholds hold for windows of
	// that length, and any value but zero is checked against it.
	Window int
	// Stride is the number of rows between comparisons. Default: an eighth of
	// the window.
	Stride int
	// RunLength is how many rows without any drift should pass between false
	// alerts, for inputs and for errors each. Default 2,000,000.
	RunLength int
	// The smallest effects worth an alert: MinPSI (default 0.2), MinKS (D,
	// default 0.15) and MinMissing (difference of shares, default 0.05).
	MinPSI, MinKS, MinMissing float64
	// A column fires after drift at Hits of the last Of comparisons. Default 2 of 3.
	Hits, Of int
	// Resolve is how many quiet comparisons in a row resolve an alert. Default
	// 16: two windows.
	Resolve int
	// MinRise is the rise of the mean error that is tolerated, in standard
	// deviations of the usual error. Default 0.1.
	MinRise float64
	// Learn is the number of rows from which a missing reference is learned.
	// Default: eight windows. Windows are then an eighth of it, at most
	// DefaultWindow rows, unless Window says otherwise.
	Learn int
	// Queue is how many events wait for Check at most; those that find it full are
	// dropped and counted. A row takes 8 bytes a column of the reference. Default
	// 65,536, with more than 256 columns as many as take 128 MiB.
	Queue int
	// WarmUp is the number of errors from which the usual ones are learned.
	// Default 500.
	WarmUp int
	// Output is the output whose labels are judged. Default: all labels.
	Output string
	// Error returns the error of an answer, NaN for none. Default: the absolute
	// difference when either is a float64, else 0 when the texts are equal and 1
	// when not.
	Error func(output, label frame.Value) float64
	// Logger is told of alerts; nil is silent.
	Logger *slog.Logger
}

// The defaults.
const (
	defaultRunLength  = 2_000_000
	defaultMinPSI     = 0.2
	defaultMinKS      = 0.15
	defaultMinMissing = 0.05
	defaultHits       = 2
	defaultOf         = 3
	maxOf             = 64 // bits of a history
	defaultResolve    = 16
	defaultMinRise    = 0.1
	defaultWarmUp     = 500
	leastWarmUp       = 30
	stridesPerWindow  = 8
	windowsToLearn    = 8
	leastWindow       = 5 // of profile.New
	defaultQueue      = 1 << 16
	defaultQueueCells = 1 << 24
)

func or[T int | float64](v, ifZero T) T {
	if v == 0 {
		return ifZero
	}
	return v
}

// withDefaults returns the options with every zero filled in.
func (o *Options) withDefaults(reference *profile.Profile) Options {
	var v Options
	if o != nil {
		v = *o
	}
	if reference != nil {
		v.Window = or(v.Window, reference.WindowRows())
	} else if v.Window == 0 {
		v.Window = DefaultWindow
		if v.Learn != 0 {
			v.Window = max(leastWindow, min(DefaultWindow, v.Learn/windowsToLearn))
		}
	}
	v.Learn = or(v.Learn, windowsToLearn*v.Window)
	if v.Queue == 0 {
		v.Queue = defaultQueue
		if reference != nil {
			v.Queue = min(defaultQueue, defaultQueueCells/len(reference.Columns()))
		}
	}
	v.Stride = or(v.Stride, max(1, v.Window/stridesPerWindow))
	v.RunLength = or(v.RunLength, defaultRunLength)
	v.MinPSI = or(v.MinPSI, defaultMinPSI)
	v.MinKS = or(v.MinKS, defaultMinKS)
	v.MinMissing = or(v.MinMissing, defaultMinMissing)
	if v.Of == 0 {
		v.Of = max(defaultOf, v.Hits)
	}
	v.Hits = or(v.Hits, min(defaultHits, v.Of))
	v.Resolve = or(v.Resolve, defaultResolve)
	v.MinRise = or(v.MinRise, defaultMinRise)
	v.WarmUp = or(v.WarmUp, defaultWarmUp)
	if v.Error == nil {
		v.Error = absoluteError
	}
	if v.Logger == nil {
		v.Logger = slog.New(slog.DiscardHandler)
	}
	return v
}

// Check reports everything that is wrong with options for a monitor whose
// reference is not there yet, nil included. Errors: Invalid.
func (o *Options) Check() error {
	return Config{Model: "any"}.check(o.withDefaults(nil))
}

// check reports everything that is wrong with the configuration and the
// completed options.
func (c Config) check(o Options) error {
	var problems fault.Problems
	if c.Model == "" {
		problems.Addf("the model has no name")
	}
	if c.Reference != nil && o.Window != c.Reference.WindowRows() {
		problems.Addf("windows of %d rows, but the reference is calibrated for %d: leave Window at 0 or make the profile for %d", o.Window, c.Reference.WindowRows(), o.Window)
	}
	c.Usual.check(&problems)
	for _, v := range []struct {
		name  string
		value float64
		low   float64
	}{
		{"Window", float64(o.Window), leastWindow}, {"Learn", float64(o.Learn), 2 * float64(o.Window)}, {"Queue", float64(o.Queue), 1},
		{"Stride", float64(o.Stride), 1}, {"RunLength", float64(o.RunLength), float64(o.Window)},
		{"MinPSI", o.MinPSI, 0}, {"MinKS", o.MinKS, 0}, {"MinMissing", o.MinMissing, 0},
		{"Hits", float64(o.Hits), 1}, {"Of", float64(o.Of), float64(o.Hits)}, {"Resolve", float64(o.Resolve), 1},
		{"MinRise", o.MinRise, 0}, {"WarmUp", float64(o.WarmUp), leastWarmUp},
	} {
		if !(v.value >= v.low) || math.IsInf(v.value, 0) {
			problems.Addf("%s is %g: want at least %g", v.name, v.value, v.low)
		}
	}
	if o.Of > maxOf {
		problems.Addf("Of is %d: want at most %d", o.Of, maxOf)
	}
	return problems.Err()
}

func absoluteError(output, label frame.Value) float64 {
	if output.IsNull() || label.IsNull() {
		return math.NaN()
	}
	if output.Kind() == frame.Float64 || label.Kind() == frame.Float64 {
		return math.Abs(output.Float() - label.Float())
	}
	if output == label || output.Text() == label.Text() {
		return 0
	}
	return 1
}
