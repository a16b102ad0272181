package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// keys are the example's interface with scripts.
var keys = []string{
	"rows", "frozen_accuracy", "loop_accuracy", "calendar_accuracy", "fortnight_accuracy", "yesterday_accuracy",
	"loop_minus_calendar_low", "loop_minus_calendar_high", "alerts", "alerts_before_widening", "first_widening_alert_rows",
	"retrains", "promotions", "rejections", "rollbacks", "inconclusive", "canaries_judged", "canaries_unjudged",
	"predictions_logged", "labels_joined", "seconds", "peak_rss_mb",
}

func runExample(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, errs bytes.Buffer
	err = run(t.Context(), args, &out, &errs)
	return out.String(), errs.String(), err
}

// TestReplayInTwoParts replays 1,700 rows at once, and again in two parts in
// one folder: the second part goes on where the first ended.
func TestReplayInTwoParts(t *testing.T) {
	whole, _, err := runExample(t, "-rows", "1700", "-json", "-dir", filepath.Join(t.TempDir(), "whole"))
	require.NoError(t, err)
	var figures map[string]any
	require.NoError(t, json.Unmarshal([]byte(whole), &figures))
	for _, key := range keys {
		require.Contains(t, figures, key)
	}
	require.Len(t, figures, len(keys))
	require.EqualValues(t, 1700, figures["rows"])
	require.EqualValues(t, 1700, figures["predictions_logged"])
	require.EqualValues(t, 1700-labelDelay, figures["labels_joined"])
	require.EqualValues(t, 1, figures["retrains"])
	require.EqualValues(t, 1, figures["promotions"])
	require.EqualValues(t, 1, figures["canaries_judged"].(float64)+figures["canaries_unjudged"].(float64))
	require.Greater(t, figures["loop_accuracy"], 0.75)

	dir := t.TempDir()
	_, _, err = runExample(t, "-rows", "900", "-json", "-dir", dir)
	require.NoError(t, err)
	parts, _, err := runExample(t, "-rows", "1700", "-json", "-dir", dir)
	require.NoError(t, err)
	var again map[string]any
	require.NoError(t, json.Unmarshal([]byte(parts), &again))
	for _, key := range keys {
		if key != "seconds" && key != "peak_rss_mb" {
			require.Equal(t, figures[key], again[key], key)
		}
	}
}

func TestTableAndEvents(t *testing.T) {
	stdout, stderr, err := runExample(t, "-rows", "200", "-dir", t.TempDir())
	require.NoError(t, err)
	for _, text := range []string{"accuracy on the next 200 rows", "the loop", "no interval", "loop.db", "sqlite3"} {
		require.Contains(t, stdout, text)
	}
	require.Contains(t, stderr, "version 1 is the champion")
	require.Contains(t, stderr, "200 of 200 rows")
}

func TestBadCommandLines(t *testing.T) {
	begun := t.TempDir()
	_, _, err := runExample(t, "-rows", "1", "-json", "-dir", begun)
	require.NoError(t, err)
	damaged := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(damaged, "loop.db"), []byte("this was never a database, but it is long enough to look like one"), 0o600))
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"-rows", "36601"}, "there are 1 to 36600 rows to replay"},
		{[]string{"-rows", "-1"}, "there are 1 to 36600 rows to replay"},
		{[]string{"-speed", "9"}, "flag provided but not defined"},
		{[]string{"fast"}, `"fast" is no flag`},
		{[]string{"-rows", "1", "-dir", begun, "-seed", "2"}, "give the same -seed, or another -dir"},
		{[]string{"-rows", "1", "-dir", damaged}, "no SQLite file"},
		{[]string{"-rows", "1", "-dir", filepath.Join(damaged, "loop.db")}, "not a directory"},
	} {
		_, _, err := runExample(t, c.args...)
		require.ErrorContains(t, err, c.want, c.args)
	}
}
