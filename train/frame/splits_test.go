package frame_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/train/frame"
)

const halfHours = "at,x\n1996-05-07 00:00:00,3\n1996-05-07 00:30:00,1\n1996-05-07 00:30:00,2\n1996-05-07 01:00:00,5\n"

func TestSplits(t *testing.T) {
	table := read(t, halfHours, nil)
	requireParts := func(want int, before, after *frame.Table, err error) {
		t.Helper()
		require.NoError(t, err)
		require.Equal(t, want, before.NumRows())
		whole, err := frame.Concat(before, after)
		require.NoError(t, err)
		require.Equal(t, table.Digest(), whole.Digest(), "both parts together are the table")
	}
	before, after, err := table.SplitAt(1)
	requireParts(1, before, after, err)
	before, after, err = table.SplitFraction(0.5)
	requireParts(2, before, after, err)
	before, after, err = table.SplitFraction(0.3)
	requireParts(1, before, after, err)

	at := time.Date(1996, 5, 7, 0, 30, 0, 0, time.UTC)
	before, after, err = table.SplitTime("at", at)
	requireParts(1, before, after, err)
	before, after, err = table.SplitTime("at", at.Add(time.Millisecond).In(time.FixedZone("AEST", 36_000)))
	requireParts(3, before, after, err)

	hundred := mustRows(t, allKinds[:1], make100())
	before, _, err = hundred.SplitFraction(0.29)
	require.NoError(t, err)
	require.Equal(t, 29, before.NumRows(), "0.29*100 is less than 29 in floating point")
}

func make100() []frame.Row {
	rows := make([]frame.Row, 100)
	for i := range rows {
		rows[i].Values = []frame.Value{frame.FloatValue(float64(i))}
	}
	return rows
}

func TestSplitErrors(t *testing.T) {
	table := read(t, halfHours, nil)
	split := func(_, _ *frame.Table, err error) error { return err }
	for _, c := range []struct {
		why  string
		err  error
		want string
	}{
		{"nothing before", split(table.SplitAt(0)), "frame: split at row 0 of 4: both parts need rows"},
		{"nothing after", split(table.SplitAt(4)), "frame: split at row 4 of 4: both parts need rows"},
		{"a fraction of NaN", split(table.SplitFraction(math.NaN())), "frame: split fraction NaN is not between 0 and 1"},
		{"all of it", split(table.SplitFraction(1)), "frame: split fraction 1 is not between 0 and 1"},
		{"too small a fraction", split(table.SplitFraction(0.1)), "frame: split at row 0 of 4: both parts need rows"},
		{"no such column", split(table.SplitTime("when", time.Now())), `frame: no column "when"; there are "at", "x"`},
		{"no time", split(table.SplitTime("x", time.Now())), `frame: split by time: column "x" is int64, not time`},
		{"a time after the end", split(table.SplitTime("at", time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))), "frame: split at row 4 of 4: both parts need rows"},
		{"out of order", table.SortedBy("x"), `frame: rows are not ordered by "x": row 1 (1) comes after row 0 (3); sort them first`},
		{"order by nothing", table.SortedBy("when"), `frame: no column "when"; there are "at", "x"`},
		{"a missing time", split(read(t, "at\n1996-05-07\n\"\"\n1996-05-09\n", nil).SplitTime("at", time.Now())), `frame: row 1 has no "at" to order it by`},
		{"a NaN", read(t, "x\n1.5\nNaN\n", nil).SortedBy("x"), `frame: row 1 has no "x" to order it by`},
		{"times out of order", split(read(t, "at\n1996-05-08\n1996-05-07\n1996-05-09\n", nil).SplitTime("at", time.Now())),
			`frame: rows are not ordered by "at": row 1 (831427200000) comes after row 0 (831513600000); sort them first`},
	} {
		t.Run(c.why, func(t *testing.T) {
			require.ErrorIs(t, c.err, fault.Invalid)
			require.EqualError(t, c.err, c.want)
		})
	}
	require.NoError(t, table.SortedBy("at"), "equal neighbours are in order")
	require.NoError(t, read(t, "s\na\nb\nb\n", nil).SortedBy("s"), "text is ordered by its bytes")
}
