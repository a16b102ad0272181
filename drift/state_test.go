package drift_test

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/train/frame"
	"github.com/mlloop/mlloop/train/profile"
)

// Saved and restored at random moments, a monitor gives the alerts of an
// undisturbed one, and ends in the same state.
func TestRestoredMonitorGoesOnAsIfNothingHappened(t *testing.T) {
	run := func(interrupt bool) ([]drift.Alert, []byte) {
		fresh := func() *drift.Monitor { return newMonitor(t, drift.Config{}, &drift.Options{WarmUp: 300}) }
		m, s, alerts := fresh(), newSource(5), []drift.Alert(nil)
		when, errs := rand.New(rand.NewPCG(6, 6)), rand.New(rand.NewPCG(7, 7))
		for i := range 6000 {
			s.shiftA, s.constant = 0, 7
			rate := 0.1
			if i > 2000 && i < 3000 {
				s.shiftA, rate = 2, 0.4
			}
			if i > 2500 && i < 3500 {
				s.constant = 9
			}
			now := time.UnixMilli(int64(i))
			m.Observe(answered(now, s.row()))
			observe(m, errs.Float64() < rate)
			if i%7 == 0 {
				alerts = append(alerts, m.Check(now)...)
			}
			if interrupt && when.IntN(50) == 0 {
				b, err := m.MarshalBinary()
				require.NoError(t, err)
				m = fresh()
				require.NoError(t, m.UnmarshalBinary(b))
			}
		}
		b, err := m.MarshalBinary()
		require.NoError(t, err)
		return alerts, b
	}
	alerts, state := run(false)
	require.GreaterOrEqual(t, len(alerts), 6, "or the run shows nothing: %v", alerts)
	again, restored := run(true)
	require.Equal(t, alerts, again)
	require.Equal(t, string(state), string(restored))
}

func savedState(t testing.TB) []byte {
	t.Helper()
	m, s, c := newMonitor(t, drift.Config{}, &drift.Options{WarmUp: 100}), newSource(5), clock{news: news{}}
	for range 300 {
		observe(m, s.rng.IntN(4) == 0)
	}
	s.shiftA = 2
	c.feed(m, s, 400)
	require.NotEmpty(t, m.Alerts())
	m.Observe(answered(time.Unix(1, 0), s.row())) // and these wait
	observe(m, true)
	b, err := m.MarshalBinary()
	require.NoError(t, err)
	return b
}

func TestStatesThatDoNotFitAreRefused(t *testing.T) {
	good := savedState(t)
	swap := func(old, with string) []byte {
		out := bytes.Replace(good, []byte(old), []byte(with), 1)
		require.NotEqual(t, good, out, old)
		return out
	}
	for name, c := range map[string]struct {
		state []byte
		kind  error
		says  string
	}{
		"empty":              {nil, fault.Corrupt, "state"},
		"cut short":          {good[:len(good)-9], fault.Corrupt, "state"},
		"something after":    {append(bytes.Clone(good), '1'), fault.Corrupt, "state"},
		"unknown field":      {swap(`"fired"`, `"fird"`), fault.Corrupt, "fird"},
		"newer":              {swap(`{"version":1`, `{"version":7`), fault.Unsupported, "run the newer mlloop"},
		"another model":      {swap(`"model":"m"`, `"model":"n"`), fault.Conflict, "the state is of n version 3"},
		"another version":    {swap(`"model_version":3`, `"model_version":4`), fault.Conflict, "version 4"},
		"lost rows":          {swap(`"rows":"`, `"rows":"","x":"`), fault.Corrupt, "x"},
		"bad history":        {swap(`"history":[`, `"history":[1,`), fault.Corrupt, "histories"},
		"negative":           {swap(`"since":`, `"since":-1`), fault.Corrupt, ""},
		"a bad variance":     {swap(`"variance":0`, `"variance":-1`), fault.Corrupt, "variance"},
		"a row cut short":    {swap(`"numbers":"`, `"numbers":"AAAAAAAAAAAA`), fault.Corrupt, "event 0"},
		"neither of both":    {swap(`,"error":1`, ``), fault.Corrupt, "neither a row nor a label"},
		"half a key":         {swap(`"repeats":null`, `"repeats":"AAAA"`), fault.Corrupt, "keys"},
		"an error too far":   {swap(`"recent":[{"x":0}`, `"recent":[{"x":1e200}`), fault.Corrupt, "1e+200"},
		"a damaged detector": {swap(`"rise":"UAE`, `"rise":"UQE`), fault.Corrupt, "another detector"},
	} {
		m := newMonitor(t, drift.Config{}, &drift.Options{WarmUp: 100})
		before, err := m.MarshalBinary()
		require.NoError(t, err)
		err = m.UnmarshalBinary(c.state)
		require.ErrorIs(t, err, c.kind, name)
		require.ErrorContains(t, err, c.says, name)
		after, err := m.MarshalBinary()
		require.NoError(t, err)
		require.Equal(t, before, after, "%s: a refused state must change nothing", name)
	}
	other, err := drift.New(drift.Config{Model: "m", Version: 3, Reference: reference(t, 99)}, nil)
	require.NoError(t, err)
	require.ErrorIs(t, other.UnmarshalBinary(good), fault.Conflict, "another reference profile")
}

// tinyMonitor has the smallest window of one column: small states keep the
// fuzzer quick.
func tinyMonitor(t testing.TB) *drift.Monitor {
	rows := make([]frame.Row, 20)
	for i := range rows {
		rows[i].Values = []frame.Value{frame.FloatValue(float64(i % 3))}
	}
	table, err := frame.FromRows(frame.Schema{{Name: "a", Kind: frame.Float64}}, rows)
	require.NoError(t, err)
	p, err := profile.New(table, nil, &profile.Options{Window: 5})
	require.NoError(t, err)
	m, err := drift.New(drift.Config{Model: "m", Version: 3, Reference: p}, &drift.Options{WarmUp: 30})
	require.NoError(t, err)
	return m
}

func FuzzUnmarshal(f *testing.F) {
	both := func(t testing.TB) []*drift.Monitor {
		return []*drift.Monitor{tinyMonitor(t), learning(t, drift.Options{Window: 5, Learn: 20, WarmUp: 30})}
	}
	for i, m := range both(f) {
		for j, o := range stream(uint64(i), 60) {
			m.Observe(o)
			if j%20 == 10 {
				m.Check(o.Time)
			}
			if j%25 == 0 {
				b, err := m.MarshalBinary()
				require.NoError(f, err)
				f.Add(b)
			}
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, m := range both(t) {
			if m.UnmarshalBinary(b) != nil {
				continue
			}
			for i := range 50 {
				observe(m, true)
				m.Observe(answered(time.Time{}, newSource(1).row()))
				m.Check(time.UnixMilli(int64(i)))
			}
			m.Unwatched()
			again, err := m.MarshalBinary()
			require.NoError(t, err)
			require.NoError(t, m.UnmarshalBinary(again))
		}
	})
}
