package retrain

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestHoldoutDefaults holds out the longer of 7 days and the rows that the gates
// need, and at most 30 % of the rows, at one row a day and at one each quarter of
// an hour.
func TestHoldoutDefaults(t *testing.T) {
	for name, c := range map[string]struct {
		every  time.Duration
		rows   int
		margin float64
		want   int
	}{
		"7 days of a row each":              {day, 400, 0.5, 7},
		"the rows that a gate needs":        {day, 2000, 0.05, 446},
		"30 % of a row a day":               {day, 100, 0.05, 30},
		"7 days of 96 rows":                 {day / 96, 40 * 96, 0.05, 7 * 96},
		"30 % of 96 rows a day, of 20 days": {day / 96, 20 * 96, 0.05, 6 * 96},
		"a margin of 0 needs no more":       {day, 400, 0, 7},
	} {
		t.Run(name, func(t *testing.T) {
			by := terms{Gates: []Gate{NonInferior("accuracy", c.margin)}, LabelDelay: 30 * day}
			var times []time.Time
			for i := range c.rows {
				times = append(times, monday.Add(-30*day-time.Duration(c.rows-i)*c.every))
			}
			require.InDelta(t, c.want, len(times)-by.holdoutStart(monday, times), 1)
		})
	}
}

// TestDefaults holds the documented defaults of Config, Rollout, Policy and
// Retention.
func TestDefaults(t *testing.T) {
	c := Config{LabelDelay: 3 * day, Rollout: ShadowThenCanary(0.05, 0.25, 1)}.withDefaults()
	require.Equal(t, time.Minute, c.Interval)
	require.Equal(t, 6*time.Hour, c.FitTimeout)
	require.NotNil(t, c.Logger, "slog.Default")
	require.Equal(t, KeepChampion, c.Inconclusive)
	require.Equal(t, Rollout{
		Shadow: day, ShadowRate: 20, Metric: "log_loss", Margin: 0.05, Weights: []float64{0.05, 0.25}, Bake: day,
		RollbackMargin: 0.25, FailureMargin: 0.01, Patience: 4, Inconclusive: KeepChampion,
	}, c.Rollout)
	require.Zero(t, Rollout{ShadowRate: -1}.withDefaults().ShadowRate, "all, as serve has it")
	require.Equal(t, Policy{Cooldown: 3 * day, MaxFailures: 5, Worse: 1.5, MaxBackoff: 14 * day}, c.Policy)
	require.Equal(t, day, Policy{}.withDefaults(time.Hour).Cooldown)
	require.Equal(t, Retention{Age: 183 * day, Bytes: 20e9}, c.Retention)
	l := termsOf(c)
	require.Equal(t, 16*day, l.patience(c.Rollout.Shadow), "four times a day and the label delay")
	require.Equal(t, 100, l.minLabels())
}

// TestReach says with numbers which waits the traffic cannot meet: at one
// prediction a day, at many, and where few get labels.
func TestReach(t *testing.T) {
	l := termsOf(Config{LabelDelay: day, Rollout: ShadowThenCanary(0.05, 0.25, 1)}.withDefaults())
	texts := l.outOfReach(1, 1)
	require.Len(t, texts, 2)
	require.Contains(t, texts[0], "the shadow needs 100 labelled rows, and in the 7 days that Rollout.Shadow and Rollout.Patience give it, at 1 predictions a day, about 7 come: lengthen Shadow to 100 days, or lower MinLabels")
	require.Contains(t, texts[1], "the canary needs 100 labelled rows")
	require.Contains(t, texts[1], "its last weight of 0.25")
	require.Empty(t, l.outOfReach(5000*86400, 1))
	require.Empty(t, l.outOfReach(100, 1))
	require.Len(t, l.outOfReach(100, 0.01), 2, "where one in a hundred gets a label")
	l.Rollout.Shadow, l.Rollout.Weights = 0, nil
	require.Empty(t, l.outOfReach(1, 1), "nothing is waited for")
}

// TestTryAgainAfter waits a minute, doubled with each try, an hour at most.
func TestTryAgainAfter(t *testing.T) {
	var waits []time.Duration
	for tries := range 9 {
		waits = append(waits, tryAgainAfter(tries))
	}
	m := time.Minute
	require.Equal(t, []time.Duration{m, m, 2 * m, 4 * m, 8 * m, 16 * m, 32 * m, time.Hour, time.Hour}, waits)
	require.Equal(t, time.Hour, tryAgainAfter(1000))
}

// TestPlausible takes times from 1980 on, a century ahead at most, and names the
// unit that others are in.
func TestPlausible(t *testing.T) {
	for _, at := range []time.Time{monday, monday.AddDate(-40, 0, 0), monday.AddDate(5, 0, 0)} {
		require.NoError(t, plausible(at, monday))
	}
	for want, ms := range map[string]int64{
		"it seems to hold seconds, of 2026-03-02: multiply it by 1,000": monday.Unix(),
		"it seems to hold microseconds, of 2026-03-02":                  monday.UnixMicro(),
		"it seems to hold nanoseconds, of 2026-03-02":                   monday.UnixNano(),
		"lies before 1980": 0,
		"is in the year":   1 << 50,
	} {
		err := plausible(time.UnixMilli(ms).UTC(), monday)
		require.ErrorIs(t, err, ErrInvalid)
		require.ErrorContains(t, err, want)
	}
}
