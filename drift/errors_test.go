package drift_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/drift/driftconcept"
	"github.com/mlloop/mlloop/train/frame"
)

// wrong says at each call whether a model errs: a two-state Markov chain with
// the rate and the correlation of neighbours.
func wrong(rng *rand.Rand, rate, correlation float64) func() bool {
	state := false
	return func() bool {
		if rng.Float64() >= correlation {
			state = rng.Float64() < rate
		}
		return state
	}
}

func observe(m *drift.Monitor, err bool) {
	output := int64(1)
	if err {
		output = 0
	}
	m.Observe(labelled(time.Time{}, frame.IntValue(output), frame.IntValue(1)))
}

func TestErrorsThatRiseFireAndResolve(t *testing.T) {
	m := newMonitor(t, drift.Config{}, nil)
	rng := rand.New(rand.NewPCG(1, 1))
	told := news{}
	run := func(rows int, rate float64) []drift.Alert {
		next, changed := wrong(rng, rate, 0), []drift.Alert(nil)
		for i := range rows {
			observe(m, next())
			changed = append(changed, told.of(m.Check(time.Unix(int64(i), 0)))...)
		}
		return changed
	}
	require.Empty(t, run(5000, 0.1))
	fired := run(2000, 0.3)
	require.Len(t, fired, 1)
	a := fired[0]
	require.Equal(t, drift.ErrorDrift, a.Source)
	require.Equal(t, []string{drift.ErrorColumn}, a.ColumnNames())
	require.InDelta(t, 0.3, a.Columns[0].Value, 0.1, "the error since it rose")
	require.InDelta(t, 0.13, a.Columns[0].Threshold, 0.02, "the usual error and a tenth of its deviation")
	resolved := run(3000, 0.1)
	require.Len(t, resolved, 1)
	require.Equal(t, a.ID, resolved[0].ID)
	require.Empty(t, run(5000, 0.1))
	require.Len(t, run(1000, 0.3), 1, "a second episode")
}

func TestErrorsThatFallAreNoDrift(t *testing.T) {
	m := newMonitor(t, drift.Config{}, nil)
	rng := rand.New(rand.NewPCG(1, 2))
	for i, next := range []func() bool{wrong(rng, 0.4, 0), wrong(rng, 0.05, 0)} {
		for range 5000 {
			observe(m, next())
			require.Empty(t, m.Check(time.Unix(0, 0)), "stretch %d", i)
		}
	}
}

func TestHeldOutErrorsSpareTheWarmUp(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 3))
	next, held := wrong(rng, 0.1, 0), []float64(nil)
	for range 1000 {
		x := 0.0
		if next() {
			x = 1
		}
		held = append(held, x)
	}
	cold, warm := newMonitor(t, drift.Config{}, nil), newMonitor(t, drift.Config{Usual: drift.NewBaseline(held)}, nil)
	next = wrong(rng, 0.3, 0)
	for range 400 {
		err := next()
		observe(cold, err)
		observe(warm, err)
	}
	require.Empty(t, cold.Check(time.Unix(0, 0)), "it still learns, and takes these for the usual errors")
	require.Len(t, warm.Check(time.Unix(0, 0)), 1)
}

// Errors that come in runs: textbook detectors cry wolf, the monitor does not.
func TestAutocorrelatedErrorsDoNotCryWolf(t *testing.T) {
	alarms, textbook := 0, 0
	const streams = 20
	for seed := range uint64(streams) {
		m := newMonitor(t, drift.Config{}, &drift.Options{WarmUp: 1000})
		page := driftconcept.NewPageHinkley(nil)
		next := wrong(rand.New(rand.NewPCG(seed, 4)), 0.2, 0.9)
		loud, flagged := false, false
		for range 20_000 {
			err := next()
			observe(m, err)
			x := 0.0
			if err {
				x = 1
			}
			flagged = page.Update(x) == driftconcept.Drift || flagged
			loud = len(m.Check(time.Unix(0, 0))) > 0 || loud
		}
		if loud {
			alarms++
		}
		if flagged {
			textbook++
		}
	}
	t.Logf("false alarms on %d streams: monitor %d, Page-Hinkley with river's defaults %d", streams, alarms, textbook)
	require.LessOrEqual(t, alarms, 2)
	require.Greater(t, textbook, streams/2, "or the case shows nothing")
}

func TestErrorOfAnAnswer(t *testing.T) {
	f, i, s, null := frame.FloatValue, frame.IntValue, frame.StringValue, frame.Value{}
	for name, c := range map[string]struct {
		output, label frame.Value
		rises         bool
	}{
		"equal classes":               {i(1), i(1), false},
		"different classes":           {i(1), i(0), true},
		"a class and its text":        {i(1), s("1"), false},
		"different texts":             {s("yes"), s("no"), true},
		"a number near the truth":     {f(2), f(2.001), false},
		"a number far from the truth": {f(2), f(9), true},
		"a float and an integer":      {f(2), i(2), false},
		"no output":                   {null, i(1), false},
		"no number":                   {f(math.NaN()), f(1), false},
		"infinite":                    {f(math.Inf(1)), f(1), false},
		"absurd":                      {f(1e200), f(1), false},
	} {
		held := make([]float64, 500)
		held[0], held[100] = 0.01, 0.01 // all but perfect until now
		m := newMonitor(t, drift.Config{Usual: drift.NewBaseline(held)}, nil)
		for range 300 {
			m.Observe(labelled(time.Time{}, c.output, c.label))
		}
		require.Equal(t, c.rises, len(m.Check(time.Unix(0, 0))) > 0, name)
	}
}

// A chain with correlation ρ has sums (1+ρ)/(1−ρ) times as variable.
func TestInflationOfCorrelatedErrors(t *testing.T) {
	for _, c := range []struct{ correlation, low, high float64 }{{0, 1, 1.3}, {0.5, 2, 3.2}, {0.9, 10, 25}} {
		next, xs := wrong(rand.New(rand.NewPCG(9, 9)), 0.2, c.correlation), make([]float64, 20_000)
		for i := range xs {
			if next() {
				xs[i] = 1
			}
		}
		b := drift.NewBaseline(xs)
		require.InDelta(t, 0.2, b.Mean, 0.03)
		require.InDelta(t, 0.16, b.Variance, 0.02)
		require.InDelta(t, 0.2*0.8*0.6, b.Skew, 0.02, "p(1−p)(1−2p)")
		require.GreaterOrEqual(t, b.Inflation, c.low, "correlation %g", c.correlation)
		require.LessOrEqual(t, b.Inflation, c.high, "correlation %g", c.correlation)
	}
}

func TestBaselineOfErrorsWithoutVariance(t *testing.T) {
	for name, xs := range map[string][]float64{"none": nil, "one": {1}, "all right": make([]float64, 100)} {
		b := drift.NewBaseline(xs)
		require.GreaterOrEqual(t, b.Inflation, 1.0, name)
		require.False(t, math.IsNaN(b.Mean) || math.IsNaN(b.Variance), name)
		if len(xs) > 0 {
			require.Positive(t, b.Variance, name)
		}
	}
}

// Corrected, a label takes the place of the one before in the mean that
// resolves an alert; it is not counted again, and does not make one fire.
func TestCorrectedLabelsAreRestated(t *testing.T) {
	held := make([]float64, 1000)
	for i := range held {
		held[i] = float64(i % 10 / 9)
	}
	show := func(m *drift.Monitor, from, to int, label, replaces frame.Value) {
		for i := from; i < to; i++ {
			o := labelled(time.Unix(int64(i), 0), frame.IntValue(1), label)
			o.ID, o.Replaces = strconv.Itoa(i), replaces
			m.Observe(o)
		}
	}
	right, wrong, null := frame.IntValue(1), frame.IntValue(0), frame.Value{}
	m := newMonitor(t, drift.Config{Usual: drift.NewBaseline(held)}, nil)
	show(m, 0, 200, wrong, null)
	require.Len(t, news{}.of(m.Check(time.Unix(9, 0))), 1)
	show(m, 200, 600, right, null)
	require.Empty(t, m.Check(time.Unix(9, 0)), "the latest 200 labels are still wrong by half and more")

	show(m, 0, 600, right, wrong) // all were meant to be right
	require.Empty(t, m.Check(time.Unix(9, 0)), "a correction is no label")
	require.EqualValues(t, 600, m.Counts().Labels)
	require.EqualValues(t, 600, m.Counts().Corrections)
	show(m, 600, 600+16*25, right, null)
	changed := m.Check(time.Unix(9, 0))
	require.Len(t, changed, 1)
	require.False(t, changed[0].Firing())

	m = newMonitor(t, drift.Config{Usual: drift.NewBaseline(held)}, nil)
	show(m, 0, 500, right, null)
	show(m, 0, 500, wrong, right)
	require.Empty(t, m.Check(time.Unix(9, 0)), "the detectors do not look back")
	show(m, 500, 520, wrong, frame.FloatValue(math.NaN()))
	m.Check(time.Unix(9, 0))
	require.EqualValues(t, 520, m.Counts().Labels, "what it corrects was never counted: it is a label")
}

func TestCorrectionsWhileTheUsualErrorsAreLearned(t *testing.T) {
	m := newMonitor(t, drift.Config{}, &drift.Options{WarmUp: 100})
	observe := func(i int, label, replaces frame.Value) {
		o := labelled(time.Unix(1, 0), frame.IntValue(1), label)
		o.ID, o.Replaces = strconv.Itoa(i), replaces
		m.Observe(o)
	}
	for i := range 90 {
		observe(i, frame.IntValue(0), frame.Value{})
	}
	for i := range 90 {
		observe(i, frame.IntValue(1), frame.IntValue(0))
	}
	observe(0, frame.FloatValue(math.NaN()), frame.IntValue(1)) // and one that cannot be used at all
	for i := range 11 {
		observe(90+i, frame.IntValue(1), frame.Value{})
	}
	for i := range 100 {
		observe(200+i, frame.IntValue(0), frame.Value{})
	}
	require.Len(t, news{}.of(m.Check(time.Unix(1, 0))), 1, "usually it is right")
}

// The moments of two samples make up those of both.
func TestAShortBaselineIsMadeUpByTheFirstLabels(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 3))
	errs := make([]float64, 500)
	for i := range errs {
		errs[i] = rng.ExpFloat64()
	}
	want := drift.NewBaseline(errs)
	m := newMonitor(t, drift.Config{Usual: drift.NewBaseline(errs[:200])}, nil)
	for _, x := range errs[200:] {
		m.Observe(labelled(time.Unix(1, 0), frame.FloatValue(x), frame.FloatValue(0)))
	}
	m.Check(time.Unix(1, 0))
	b, err := m.MarshalBinary()
	require.NoError(t, err)
	var state struct{ Errors struct{ Base drift.Baseline } }
	require.NoError(t, json.Unmarshal(b, &state))
	got := state.Errors.Base
	require.Equal(t, want.Rows, got.Rows)
	require.InEpsilon(t, want.Mean, got.Mean, 1e-9)
	require.InEpsilon(t, want.Variance, got.Variance, 1e-9)
	require.InEpsilon(t, want.Skew, got.Skew, 1e-9)
}

func TestABaselineTravelsAsJSON(t *testing.T) {
	want := drift.NewBaseline([]float64{0, 1, 0.1, math.NaN(), 3, math.Inf(1), 1e200})
	require.Equal(t, 4, want.Rows)
	b, err := json.Marshal(want)
	require.NoError(t, err)
	var got drift.Baseline
	require.NoError(t, json.Unmarshal(b, &got))
	require.Equal(t, want, got)
	for _, bad := range []drift.Baseline{
		{Rows: -1}, {Rows: 9}, {Rows: 9, Variance: 1}, {Rows: 9, Variance: 1, Inflation: 1e12},
		{Rows: 9, Variance: 1, Inflation: 1, Mean: math.NaN()}, {Rows: 9, Variance: 1, Inflation: 1, Skew: math.Inf(1)},
	} {
		_, err := drift.New(drift.Config{Model: "m", Reference: reference(t, 1), Usual: bad}, nil)
		require.ErrorIs(t, err, drift.ErrInvalid, "%+v", bad)
	}
}
