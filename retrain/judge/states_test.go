package judge_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/retrain/judge"
)

// A canary that does well for long and then fails is caught, also after "no
// harm" was shown, and whatever comes later does not undo it.
func TestHarmThatBeginsLate(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	r, err := judge.NewRates(nil)
	require.NoError(t, err)
	for range 50_000 {
		r.Add(judge.Arm(rng.IntN(2)), rng.Float64() < 0.001)
	}
	require.Equal(t, judge.Pass, r.Judge().Outcome, r.Judge().Reason)
	calls := 0
	for ; r.Judge().Outcome != judge.Fail; calls++ {
		r.Add(judge.Canary, rng.Float64() < 0.9)
		r.Add(judge.Primary, false)
	}
	require.LessOrEqual(t, calls, 60)
	for range 50_000 {
		r.Add(judge.Arm(rng.IntN(2)), false)
	}
	w := r.Judge()
	require.Equal(t, judge.Fail, w.Outcome)
	require.Contains(t, w.Reason, "more than 0.01 above is shown")
}

func TestOneArmAloneShowsNothing(t *testing.T) {
	r, err := judge.NewRates(nil)
	require.NoError(t, err)
	require.Equal(t, judge.Inconclusive, r.Judge().Outcome)
	for range 1000 {
		r.Add(judge.Canary, true)
	}
	w := r.Judge()
	require.Equal(t, judge.Inconclusive, w.Outcome)
	require.Equal(t, -1.0, w.Low)
	require.Equal(t, 1.0, w.High)
}

func TestSlowCalls(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	q, err := judge.NewQuantile(0.99)
	require.NoError(t, err)
	var all []float64
	for range 20_000 {
		ms := math.Exp(rng.NormFloat64())
		q.Add(ms)
		all = append(all, ms)
	}
	q.Add(math.NaN())
	slices.Sort(all)
	require.InEpsilon(t, all[19_800], q.Value(), 0.05)
	l, err := judge.NewLatency(q.Value(), nil)
	require.NoError(t, err)
	calls := 0
	for ; l.Judge().Outcome != judge.Fail; calls++ {
		l.Add(judge.Primary, math.Exp(rng.NormFloat64()))
		l.Add(judge.Canary, 20*math.Exp(rng.NormFloat64()))
	}
	require.LessOrEqual(t, calls, 40)
	for _, threshold := range []float64{0, -1, math.NaN(), math.Inf(1)} {
		_, err := judge.NewLatency(threshold, nil)
		require.ErrorIs(t, err, judge.ErrInvalid)
	}
}

func TestQuantileOfFew(t *testing.T) {
	q, err := judge.NewQuantile(0.5)
	require.NoError(t, err)
	require.True(t, math.IsNaN(q.Value()))
	for i, want := range []float64{9, 1, 5, 1, 5} {
		q.Add([]float64{9, 1, 5, 0, 7}[i])
		require.Equal(t, want, q.Value(), i)
	}
	_, err = judge.NewQuantile(1)
	require.ErrorIs(t, err, judge.ErrInvalid)
}

func TestWatchOptionsOutOfRange(t *testing.T) {
	for _, o := range []judge.WatchOptions{{Margin: 1}, {Margin: -0.1}, {Margin: math.NaN()}, {Alpha: 0.5}, {Alpha: -1}, {Block: -1}} {
		_, err := judge.NewRates(&o)
		require.ErrorIs(t, err, judge.ErrInvalid)
		_, err = judge.NewLosses(1, &o)
		require.ErrorIs(t, err, judge.ErrInvalid)
	}
}

// A state that was stored midway goes on as one that was not.
func TestStatesGoThroughJSON(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	straight, err := judge.NewLosses(4, &judge.WatchOptions{Margin: 0.1, Block: 3})
	require.NoError(t, err)
	stored, err := judge.NewLosses(4, &judge.WatchOptions{Margin: 0.1, Block: 3})
	require.NoError(t, err)
	for range 300 {
		arm, loss := judge.Arm(rng.IntN(2)), 5*rng.Float64()
		straight.Add(arm, loss)
		stored.Add(arm, loss)
		b, err := json.Marshal(stored)
		require.NoError(t, err)
		require.Less(t, len(b), 2000)
		stored = new(judge.Losses)
		require.NoError(t, json.Unmarshal(b, stored))
		require.Equal(t, straight, stored)
	}
	require.Equal(t, straight.Judge(), stored.Judge())
	_, err = json.Marshal(straight.Judge())
	require.NoError(t, err)
}

func TestStatesRefuse(t *testing.T) {
	r, err := judge.NewRates(nil)
	require.NoError(t, err)
	b, err := json.Marshal(r)
	require.NoError(t, err)
	text := string(b)
	for old, kind := range map[string]error{
		`"version":1`: judge.ErrUnsupported, `"kind":"rates"`: judge.ErrCorrupt, `"margin":0.01`: judge.ErrCorrupt,
		`"format":"mlloop`: judge.ErrCorrupt, `"shown":"inconclusive"`: judge.ErrCorrupt, `"calls":[0,0]`: judge.ErrCorrupt,
	} {
		repl := map[string]string{`"version":1`: `"version":2`, `"kind":"rates"`: `"kind":"latency"`, `"margin":0.01`: `"margin":3`,
			`"format":"mlloop`: `"format":"x`, `"shown":"inconclusive"`: `"shown":""`, `"calls":[0,0]`: `"calls":[-1,0]`}[old]
		require.Contains(t, text, old)
		require.ErrorIs(t, new(judge.Rates).UnmarshalJSON([]byte(strings.Replace(text, old, repl, 1))), kind, old)
	}
	require.ErrorIs(t, new(judge.Quantile).UnmarshalJSON([]byte(`{"version":2}`)), judge.ErrUnsupported)
	require.ErrorIs(t, new(judge.Quantile).UnmarshalJSON([]byte(`{"version":1,"p":2}`)), judge.ErrCorrupt)
}

// What is read can be gone on with, whatever the bytes.
func FuzzStates(f *testing.F) {
	r, err := judge.NewRates(nil)
	require.NoError(f, err)
	r.Add(judge.Canary, true)
	r.Add(judge.Primary, false)
	b, err := json.Marshal(r)
	require.NoError(f, err)
	f.Add(b)
	q, err := judge.NewQuantile(0.9)
	require.NoError(f, err)
	for i := range 9 {
		q.Add(float64(i * i % 7))
	}
	b, err = json.Marshal(q)
	require.NoError(f, err)
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		var r judge.Rates
		if r.UnmarshalJSON(b) == nil {
			r.Add(judge.Canary, true)
			r.Add(judge.Primary, true)
			_, err := json.Marshal(r.Judge())
			require.NoError(t, err)
		}
		var q judge.Quantile
		if q.UnmarshalJSON(b) == nil {
			q.Add(1)
			_ = q.Value()
		}
	})
}
