package drift_test

import (
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/train/frame"
	"github.com/mlloop/mlloop/train/profile"
)

var schema = frame.Schema{
	{Name: "a", Kind: frame.Float64}, {Name: "b", Kind: frame.Float64},
	{Name: "constant", Kind: frame.Float64}, {Name: "plan", Kind: frame.String},
}

// source makes rows whose columns tests can push around.
type source struct {
	rng        *rand.Rand
	shiftA     float64
	shiftB     float64
	constant   float64
	plan       string // instead of basic or premium
	missingA   float64
	infiniteB  float64
	leaveOutA  bool
	emptyPlans bool
}

func newSource(seed uint64) *source {
	return &source{rng: rand.New(rand.NewPCG(seed, 1)), constant: 7}
}

func (s *source) row() frame.Row {
	a := frame.FloatValue(s.rng.NormFloat64() + s.shiftA)
	if s.rng.Float64() < s.missingA {
		a = frame.Value{}
	}
	b := frame.FloatValue(s.rng.NormFloat64() + s.shiftB)
	if s.rng.Float64() < s.infiniteB {
		b = frame.FloatValue(math.Inf(1))
	}
	plan := frame.StringValue([]string{"basic", "basic", "premium"}[s.rng.IntN(3)])
	if s.plan != "" {
		plan = frame.StringValue(s.plan)
	}
	if s.emptyPlans {
		plan = frame.Value{}
	}
	r := frame.Row{Schema: schema, Values: []frame.Value{a, b, frame.FloatValue(s.constant), plan}}
	if s.leaveOutA {
		r.Schema, r.Values = r.Schema[1:], r.Values[1:]
	}
	return r
}

func reference(t testing.TB, seed uint64) *profile.Profile {
	t.Helper()
	s := newSource(seed)
	rows := make([]frame.Row, 2000)
	for i := range rows {
		rows[i] = s.row()
	}
	table, err := frame.FromRows(schema, rows)
	require.NoError(t, err)
	p, err := profile.New(table, nil, &profile.Options{Window: 200})
	require.NoError(t, err)
	return p
}

func newMonitor(t testing.TB, c drift.Config, opts *drift.Options) *drift.Monitor {
	t.Helper()
	c.Model, c.Version = "m", 3
	if c.Reference == nil {
		c.Reference = reference(t, 1)
	}
	m, err := drift.New(c, opts)
	require.NoError(t, err)
	return m
}

// answered is a row that version 3 of the model m answered.
func answered(at time.Time, row frame.Row) frame.Observation {
	return frame.Observation{Model: "m", Version: 3, Status: frame.Answered, Row: row, Time: at}
}

var labelSchema = frame.Schema{{Name: "label"}}

// labelled is the truth about an answer of version 3 of the model m.
func labelled(at time.Time, output, label frame.Value) frame.Observation {
	return frame.Observation{
		Model: "m", Version: 3, Status: frame.Answered, Time: at, Label: label,
		Outputs: frame.Row{Schema: labelSchema, Values: []frame.Value{output}},
	}
}

// news leaves out the alerts that have only worsened.
type news map[string]bool

func (n news) of(changed []drift.Alert) (out []drift.Alert) {
	for _, a := range changed {
		if !n[a.ID] || !a.Firing() {
			out = append(out, a)
		}
		n[a.ID] = true
	}
	return out
}

// feed shows the monitor rows, checking after each, and returns what fired or
// resolved. Row i is at second i of the test's clock.
type clock struct {
	rows int
	news news
}

func (c *clock) feed(m *drift.Monitor, s *source, rows int) []drift.Alert {
	var changed []drift.Alert
	for range rows {
		c.rows++
		now := time.Unix(int64(c.rows), 0)
		m.Observe(answered(now, s.row()))
		changed = append(changed, c.news.of(m.Check(now))...)
	}
	return changed
}

func TestEveryKindOfInputDriftNamesItsColumn(t *testing.T) {
	for name, c := range map[string]struct {
		change    func(s *source)
		column    string
		statistic string
	}{
		"a shift":                 {func(s *source) { s.shiftA = 2 }, "a", profile.PSI},
		"a constant moves":        {func(s *source) { s.constant = 8 }, "constant", profile.PSI},
		"a new category":          {func(s *source) { s.plan = "gold" }, "plan", profile.PSI},
		"values go missing":       {func(s *source) { s.missingA = 0.4 }, "a", profile.Missing},
		"all values are missing":  {func(s *source) { s.missingA = 1 }, "a", profile.Missing},
		"no plan any more":        {func(s *source) { s.emptyPlans = true }, "plan", profile.Missing},
		"infinities":              {func(s *source) { s.infiniteB = 0.3 }, "b", profile.Missing},
		"the column is left out":  {func(s *source) { s.leaveOutA = true }, "a", profile.Missing},
		"the constant is no more": {func(s *source) { s.constant = math.NaN() }, "constant", profile.Missing},
	} {
		t.Run(name, func(t *testing.T) {
			m, s, c2 := newMonitor(t, drift.Config{}, nil), newSource(2), clock{news: news{}}
			require.Empty(t, c2.feed(m, s, 2000), "before the change")
			c.change(s)
			changed := c2.feed(m, s, 400)
			require.Len(t, changed, 1)
			a := changed[0]
			require.Equal(t, []string{c.column}, a.ColumnNames())
			require.Equal(t, c.statistic, a.Columns[0].Statistic)
			require.Equal(t, drift.FeatureDrift, a.Source)
			require.Equal(t, "m", a.Model)
			require.EqualValues(t, 3, a.Version)
			require.GreaterOrEqual(t, a.Columns[0].Value, a.Columns[0].Threshold)
			require.Less(t, a.Columns[0].PValue, 1e-3)
			require.True(t, a.Firing())
			require.Equal(t, a.ID, m.Alerts()[0].ID)
		})
	}
}

func TestAnEpisodeFiresOnceAndResolvesOnce(t *testing.T) {
	m, s, c := newMonitor(t, drift.Config{}, nil), newSource(2), clock{news: news{}}
	s.shiftA = 2
	fired := c.feed(m, s, 3000)
	require.Len(t, fired, 1, "however long it lasts")
	s.shiftA = 0
	resolved := c.feed(m, s, 1000)
	require.Len(t, resolved, 1)
	require.Equal(t, fired[0].ID, resolved[0].ID)
	require.False(t, resolved[0].Firing())
	require.Equal(t, fired[0].FiredAt, resolved[0].FiredAt)
	require.Equal(t, "the columns are back at the reference", resolved[0].Reason)
	require.Empty(t, m.Alerts())
	s.shiftA = 2
	again := c.feed(m, s, 400)
	require.Len(t, again, 1)
	require.NotEqual(t, fired[0].ID, again[0].ID, "a new episode")
}

// An alert is told of again when it worsens by a tenth: at first as its window
// fills, which is its magnitude, and then against that.
func TestAnAlertThatWorsensIsToldOfAgain(t *testing.T) {
	m, s := newMonitor(t, drift.Config{}, nil), newSource(2)
	run := func(rows int) []drift.Alert {
		var out []drift.Alert
		for range rows {
			m.Observe(answered(time.Unix(1, 0), s.row()))
			out = append(out, m.Check(time.Unix(1, 0))...)
		}
		return out
	}
	s.shiftA = 1
	first := run(1000)
	require.NotEmpty(t, first)
	last := first[0].Worst
	require.InDelta(t, first[0].Columns[0].Value/first[0].Columns[0].Threshold, last, 1e-9)
	for _, a := range first[1:] {
		require.Equal(t, first[0].ID, a.ID)
		require.GreaterOrEqual(t, a.Worst, 1.1*last)
		last = a.Worst
	}
	require.InDelta(t, first[len(first)-1].Magnitude, last, 0.3*last)
	calm := m.Alerts()[0]
	run(1000)
	steady := m.Alerts()[0]
	require.Equal(t, calm.Magnitude, steady.Magnitude, "the window was full")
	require.Less(t, steady.Worst/steady.Magnitude, 1.5, "chance adds a little")
	last = steady.Worst

	s.shiftA = 3
	worse := run(1000)
	require.NotEmpty(t, worse)
	for _, a := range worse {
		require.Equal(t, calm.ID, a.ID)
		require.True(t, a.Firing())
		require.Equal(t, calm.Magnitude, a.Magnitude)
		require.GreaterOrEqual(t, a.Worst, 1.1*last)
		last = a.Worst
	}
	require.Greater(t, last/calm.Magnitude, 2.0)
	s.shiftA = 1
	require.Empty(t, run(1000), "it never gets better, until it resolves")
	require.Equal(t, last, m.Alerts()[0].Worst)
}

func TestColumnsThatMoveTogetherShareAnAlertWorstFirst(t *testing.T) {
	m, s, c := newMonitor(t, drift.Config{}, nil), newSource(2), clock{news: news{}}
	s.shiftA, s.shiftB = 4, 6
	changed := c.feed(m, s, 400)
	require.Len(t, changed, 1)
	require.ElementsMatch(t, []string{"a", "b"}, changed[0].ColumnNames())
	first, second := changed[0].Columns[0], changed[0].Columns[1]
	require.GreaterOrEqual(t, first.Value/first.Threshold, second.Value/second.Threshold)
	require.Equal(t, drift.Critical, changed[0].Severity)
}

func TestAColumnThatFollowsGetsItsOwnAlert(t *testing.T) {
	m, s, c := newMonitor(t, drift.Config{}, nil), newSource(2), clock{news: news{}}
	s.shiftA = 2
	require.Equal(t, []string{"a"}, c.feed(m, s, 1000)[0].ColumnNames())
	s.constant = 8
	changed := c.feed(m, s, 100)
	require.Len(t, changed, 1)
	require.Equal(t, []string{"constant"}, changed[0].ColumnNames())
	require.Len(t, m.Alerts(), 2)
	s.shiftA = 0
	changed = c.feed(m, s, 1000)
	require.Len(t, changed, 1)
	require.Equal(t, []string{"a"}, changed[0].ColumnNames(), "each resolves by itself")
	require.Len(t, m.Alerts(), 1)
}

func TestOneLoudComparisonIsNotDrift(t *testing.T) {
	m, s, c := newMonitor(t, drift.Config{}, &drift.Options{Stride: 200}), newSource(2), clock{news: news{}}
	require.Empty(t, c.feed(m, s, 400))
	s.shiftA = 3
	require.Empty(t, c.feed(m, s, 200), "one comparison in a window of drift")
	s.shiftA = 0
	require.Empty(t, c.feed(m, s, 2000))
}

func TestCloseResolvesAndStops(t *testing.T) {
	m, s, c := newMonitor(t, drift.Config{}, nil), newSource(2), clock{news: news{}}
	s.shiftA = 2
	fired := c.feed(m, s, 400)
	at := time.Unix(9000, 123_456_789)
	closed := m.Close(at, "version 4 took over")
	require.Len(t, closed, 1)
	require.Equal(t, fired[0].ID, closed[0].ID)
	require.Equal(t, "version 4 took over", closed[0].Reason)
	require.Equal(t, at.UTC().Truncate(time.Millisecond), closed[0].ResolvedAt)
	require.Empty(t, c.feed(m, s, 2000))
	require.Empty(t, m.Close(at, "again"))
}

func TestNewNamesEveryProblem(t *testing.T) {
	_, err := drift.New(drift.Config{Usual: drift.Baseline{Rows: 7, Variance: -1, Inflation: 1}}, &drift.Options{Stride: -1, Learn: 60, Window: 50, Queue: -1, Hits: 4, Of: 3, MinPSI: math.NaN(), WarmUp: 5})
	require.ErrorIs(t, err, drift.ErrInvalid)
	for _, want := range []string{"no name", "variance -1", "Learn is 60", "Queue is -1", "Stride is -1", "Of is 3", "MinPSI is NaN", "WarmUp is 5"} {
		require.ErrorContains(t, err, want)
	}
	_, err = drift.New(drift.Config{Model: "m", Reference: reference(t, 1)}, &drift.Options{Window: 100})
	require.ErrorContains(t, err, "calibrated for 200")
}

func TestMonitorIsSafeForConcurrentUse(t *testing.T) {
	m := newMonitor(t, drift.Config{}, &drift.Options{WarmUp: 100})
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			s := newSource(uint64(g))
			for i := range 300 {
				m.Observe(answered(time.Time{}, s.row()))
				m.Observe(labelled(time.Time{}, frame.IntValue(1), frame.IntValue(int64(i%2))))
				m.Check(time.Unix(int64(i), 0))
				m.Alerts()
				_, err := m.MarshalBinary()
				require.NoError(t, err)
			}
		})
	}
	wg.Wait()
}
