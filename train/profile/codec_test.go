package profile_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/train/profile"
)

func someProfiles(t testing.TB) map[string]*profile.Profile {
	six, _ := sixColumns(t, 300)
	return map[string]*profile.Profile{
		"numbers":     newProfile(t, six, &profile.Options{Bins: 3}),
		"constant":    newProfile(t, floats(t, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3), nil),
		"all missing": newProfile(t, floats(t, nan, nan, nan, nan, nan, nan, nan, nan, nan, nan), nil),
		"texts":       newProfile(t, texts(t, "a", "b", "a", "b", "a", "<&>", "a", "b", "a", "b"), nil),
		// A value that lies in none of the windows that calibrate.
		"seldom":  newProfile(t, floats(t, append(slices.Repeat([]float64{nan}, 49), 1)...), &profile.Options{Window: 24}),
		"extreme": newProfile(t, floats(t, 1e308, -1e308, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1e-308), nil),
	}
}

func TestDecodedProfileEqualsTheOriginal(t *testing.T) {
	for name, p := range someProfiles(t) {
		b, err := p.Marshal()
		require.NoError(t, err, name)
		again, err := profile.Decode(b)
		require.NoError(t, err, name)
		require.Equal(t, p, again, name)
		bytes2, err := again.Marshal()
		require.NoError(t, err, name)
		require.True(t, bytes.Equal(b, bytes2), name)
	}
}

func TestDamagedProfilesAreRefused(t *testing.T) {
	b, err := someProfiles(t)["constant"].Marshal()
	require.NoError(t, err)
	good := string(b)
	for name, c := range map[string]struct {
		text string
		kind error
		says string
	}{
		"empty":             {"", fault.Corrupt, "decode"},
		"cut short":         {good[:len(good)/2], fault.Corrupt, "decode"},
		"something after":   {good + "{}", fault.Corrupt, "decode"},
		"unknown field":     {strings.Replace(good, `"rows"`, `"lines"`, 1), fault.Corrupt, "lines"},
		"newer version":     {strings.Replace(good, `"version":1`, `"version":2`, 1), fault.Unsupported, "run the newer mlloop"},
		"older version":     {strings.Replace(good, `"version":1`, `"version":0`, 1), fault.Corrupt, "unknown version 0"},
		"counts do not add": {strings.Replace(good, `"counts":[10,`, `"counts":[9,`, 1), fault.Corrupt, "do not add up"},
		"no columns":        {`{"version":1,"rows":10,"window":5,"columns":[],"tail":""}`, fault.Corrupt, "no columns"},
		"null column":       {`{"version":1,"rows":10,"window":5,"columns":[null],"tail":""}`, fault.Corrupt, "null"},
		"wrong tail":        {strings.Replace(good, `"tail":"AAAA`, `"tail":"//8A`, 1), fault.Corrupt, "has no bin 65535"},
	} {
		_, err := profile.Decode([]byte(c.text))
		require.ErrorIs(t, err, c.kind, name)
		require.ErrorContains(t, err, c.says, name)
	}
}

func FuzzDecode(f *testing.F) {
	for name, p := range someProfiles(f) {
		if name == "numbers" {
			continue // small seeds keep the fuzzer quick
		}
		b, err := p.Marshal()
		require.NoError(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := profile.Decode(b)
		if err != nil {
			return
		}
		again, err := p.Marshal()
		require.NoError(t, err)
		_, err = profile.Decode(again)
		require.NoError(t, err)
		w := p.NewWindow()
		for _, bins := range p.Tail() {
			require.NoError(t, w.AddBins(bins))
		}
		w.Add(row(1))
		findings, err := p.Compare(w)
		require.NoError(t, err)
		for _, finding := range findings {
			_ = finding.PValue()
		}
	})
}
