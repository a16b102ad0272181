package tracking_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/tracking"
	"github.com/mlloop/mlloop/tracking/trackingmem"
	"github.com/mlloop/mlloop/tracking/trackingtest"
)

func TestStartReportsEveryProblem(t *testing.T) {
	c := trackingtest.New(t)
	_, err := c.Start(t.Context(), "", &tracking.RunOptions{
		ID:   "-x",
		Name: strings.Repeat("n", 251),
		Tags: map[string]string{"": "v", "long": strings.Repeat("v", 8001), "a//b": "\xff"},
	})
	require.ErrorIs(t, err, tracking.ErrInvalid)
	for _, text := range []string{"experiment name is empty", `run id "-x"`, "run name is longer than 250", `tag key "" is empty`,
		`value of tag "long" is longer than 8000`, `tag key "a//b" is no clean relative path`, `value of tag "a//b" is no valid UTF-8`} {
		require.ErrorContains(t, err, text)
	}
	es, err := c.Experiments(t.Context())
	require.NoError(t, err)
	require.Empty(t, es, "nothing was made")

	for _, id := range []string{strings.Repeat("a", 256), "0", "A_b-c"} {
		run := start(t, c, &tracking.RunOptions{ID: id})
		require.Equal(t, id, run.ID())
	}
	for _, id := range []string{strings.Repeat("a", 257), "_a", "a b", "a/b", "ä"} {
		_, err := c.Start(t.Context(), "churn", &tracking.RunOptions{ID: id})
		require.ErrorIs(t, err, tracking.ErrInvalid, id)
	}
	_, err = c.Start(t.Context(), "a\x00b", nil)
	require.ErrorContains(t, err, "zero byte")
	_, err = c.Start(t.Context(), strings.Repeat("é", 501), nil)
	require.ErrorContains(t, err, "longer than 500 characters")
	_, err = c.Start(t.Context(), strings.Repeat("é", 500), nil)
	require.NoError(t, err, "characters, not bytes")
}

// What MLflow's key rules allow, and what not.
func TestKeys(t *testing.T) {
	good := []string{"loss", "val_loss", "auc/region: north", "a.b-c d", "größe", "模型", "a/b/c", "_", strings.Repeat("k", 250), strings.Repeat("é", 250)}
	bad := []string{"", "a=b", "a\nb", `a\b`, "a;b", "/a", "a/", "a//b", ".", "..", "...", "./a", "../a", "a/../b", "a/.", "\xff", "a\x00", "🚀", strings.Repeat("k", 251)}
	for _, key := range good {
		c := tracking.New(trackingmem.New(), nil)
		run := start(t, c, nil)
		run.LogMetric(key, 1, 1)
		run.LogParam(key, "v")
		run.SetTag(key, "v")
		require.NoError(t, run.Finish(t.Context()), "%q", key)
		require.Contains(t, fetch(t, c, run.ID()).Metrics, key)
		require.NoError(t, c.Close(t.Context()))
	}
	for _, key := range bad {
		c := tracking.New(trackingmem.New(), nil)
		run := start(t, c, nil)
		run.LogMetric(key, 1, 1)
		run.LogParam(key, "v")
		run.SetTag(key, "v")
		run.LogMetric("good", 1, 1)
		err := run.Finish(t.Context())
		require.ErrorIs(t, err, tracking.ErrInvalid, "%q", key)
		for _, what := range []string{"metric key", "param key", "tag key"} {
			require.ErrorContains(t, err, what, "%q", key)
		}
		got := fetch(t, c, run.ID())
		require.Equal(t, tracking.Finished, got.Status)
		require.Len(t, got.Metrics, 1)
		require.Empty(t, got.Params)
		require.Empty(t, got.Tags)
		require.NoError(t, c.Close(t.Context()))
	}
}

func TestValues(t *testing.T) {
	c := tracking.New(trackingmem.New(), nil)
	run := start(t, c, nil)
	run.LogParam("p", strings.Repeat("é", 6000))
	run.LogParam("long", strings.Repeat("é", 6001))
	run.LogParam("empty", "")
	run.SetTag("t", strings.Repeat("é", 8000))
	run.SetTag("long", strings.Repeat("é", 8001))
	run.LogInput(tracking.Input{Rows: -1, Name: strings.Repeat("n", 501), Source: "\x00"})
	err := run.Finish(t.Context())
	require.ErrorIs(t, err, tracking.ErrInvalid)
	for _, text := range []string{`value of param "long" is longer than 6000`, `value of tag "long" is longer than 8000`,
		"name is longer than 500", "digest is empty", "source holds a zero byte", "-1 rows"} {
		require.ErrorContains(t, err, text)
	}
	got := fetch(t, c, run.ID())
	require.Len(t, got.Params, 2)
	require.Len(t, got.Tags, 1)
	require.Empty(t, got.Inputs)
	require.NoError(t, c.Close(t.Context()))
}

// A loop that logs a bad key a million times must not fill the memory.
func TestProblemsAreBounded(t *testing.T) {
	c := tracking.New(trackingmem.New(), nil)
	run := start(t, c, nil)
	for i := range 300 {
		run.LogMetric("bad="+strings.Repeat("x", i), 1, 1)
		run.LogMetric("same=", 1, 1)
	}
	err := run.Finish(t.Context())
	require.Equal(t, 1, strings.Count(err.Error(), `"same="`))
	require.Equal(t, 100, strings.Count(err.Error(), ";"))
	require.ErrorContains(t, err, "; 201 more were wrong")
	require.NoError(t, c.Close(t.Context()))
}

// Whatever is logged, Finish ends the run, and what it does not name as wrong
// is stored.
func FuzzLog(f *testing.F) {
	f.Add("lr", "0.1", 0.5, int64(1))
	f.Add("a//b", "\xff", 0.0, int64(-1))
	f.Fuzz(func(t *testing.T, key, value string, metric float64, step int64) {
		c := tracking.New(trackingmem.New(), nil)
		run := start(t, c, nil)
		run.LogMetric(key, metric, step)
		run.LogParam(key, value)
		run.SetTag(key, value)
		run.LogInput(tracking.Input{Name: key, Digest: value})
		err := run.Finish(t.Context())
		got := fetch(t, c, run.ID())
		require.Equal(t, tracking.Finished, got.Status)
		if err == nil {
			require.True(t, utf8.ValidString(key))
			require.Equal(t, value, got.Params[key])
			require.Equal(t, value, got.Tags[key])
			require.Len(t, got.Metrics, 1)
			require.Len(t, got.Inputs, 1)
		}
		require.NoError(t, c.Close(t.Context()))
	})
}
