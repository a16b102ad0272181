package driftconcept_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/drift/driftconcept"
	"github.com/mlloop/mlloop/internal/fault"
)

// Saved and restored at random moments, a detector flags where an undisturbed one does.
func TestRestoredDetectorGoesOnAsIfNothingHappened(t *testing.T) {
	items := streams(t)["elec2_no_change_errors"].items()
	for name, fresh := range detectors() {
		rng := rand.New(rand.NewPCG(7, 7))
		want := drifts(fresh(), items)
		d, got := fresh(), []int{}
		for i, x := range items {
			if rng.IntN(200) == 0 {
				b, err := d.MarshalBinary()
				require.NoError(t, err)
				// The state carries the parameters: any detector of the type will do.
				d = fresh()
				d.Reset()
				require.NoError(t, d.UnmarshalBinary(b))
			}
			if d.Update(x) == driftconcept.Drift {
				got = append(got, i)
			}
		}
		require.Equal(t, want, got, name)
	}
}

func TestResetForgetsTheStream(t *testing.T) {
	items := streams(t)["np12345_bern_0.2_0.8"].items()
	for name, fresh := range detectors() {
		d := fresh()
		want := drifts(d, items)
		d.Reset()
		require.Equal(t, want, drifts(d, items), name)
	}
}

func TestMissingItemsArePassedOver(t *testing.T) {
	for name, fresh := range detectors() {
		d := fresh()
		d.Update(1)
		before, err := d.MarshalBinary()
		require.NoError(t, err)
		for _, x := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
			require.Equal(t, driftconcept.Stable, d.Update(x), name)
		}
		after, err := d.MarshalBinary()
		require.NoError(t, err)
		require.Equal(t, before, after, name)
	}
}

func TestDamagedStatesAreRefused(t *testing.T) {
	for name, fresh := range detectors() {
		d := fresh()
		for range 100 {
			d.Update(1)
		}
		good, err := d.MarshalBinary()
		require.NoError(t, err)
		damaged := func(change func(b []byte) []byte) []byte { return change(append([]byte(nil), good...)) }
		for what, c := range map[string]struct {
			state []byte
			kind  error
			text  string
		}{
			"empty":            {nil, fault.Corrupt, "too few"},
			"cut short":        {good[:len(good)-1], fault.Corrupt, "cut short"},
			"too long":         {damaged(func(b []byte) []byte { return append(b, 0) }), fault.Corrupt, "left over"},
			"another detector": {damaged(func(b []byte) []byte { b[0] = 'X'; return b }), fault.Corrupt, "another detector"},
			"newer version":    {damaged(func(b []byte) []byte { b[1] = 99; return b }), fault.Unsupported, "run the newer mlloop"},
			"not a number":     {damaged(func(b []byte) []byte { copy(b[2:], "\xff\xff\xff\xff\xff\xff\xff\xff"); return b }), fault.Corrupt, "not finite"},
		} {
			err := d.UnmarshalBinary(c.state)
			require.ErrorIs(t, err, c.kind, "%s: %s", name, what)
			require.ErrorContains(t, err, c.text, "%s: %s", name, what)
			same, err := d.MarshalBinary()
			require.NoError(t, err)
			require.Equal(t, good, same, "%s: %s: a refused state must change nothing", name, what)
		}
	}
}

func FuzzUnmarshal(f *testing.F) {
	for _, fresh := range detectors() {
		d := fresh()
		for i := range 500 {
			d.Update(float64(i % 3))
		}
		b, err := d.MarshalBinary()
		require.NoError(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for name, fresh := range detectors() {
			d := fresh()
			if d.UnmarshalBinary(b) != nil {
				continue
			}
			again, err := d.MarshalBinary()
			require.NoError(t, err)
			require.Equal(t, b, again, name)
			for i := range 100 {
				d.Update(float64(i % 2))
			}
		}
	})
}

// Nanoseconds an item; the yardstick is adding it to a running mean.
func BenchmarkUpdate(b *testing.B) {
	items := streams(b)["elec2_no_change_errors"].items()
	b.Run("mean", func(b *testing.B) {
		mean := 0.0
		for b.Loop() {
			for i, x := range items {
				mean += (x - mean) / float64(i+1)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(items)), "ns/item")
	})
	for name, fresh := range detectors() {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				drifts(fresh(), items)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(items)), "ns/item")
		})
	}
}
