package drifttest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/drift"
)

// testCase is one promise of the Store interface.
type testCase struct {
	name string
	why  string // what breaks for users when the case fails
	run  func(t *testing.T, s drift.Store)
}

// Run checks that a store keeps the promises of the drift.Store interface.
// newStore returns a new empty store each time, and sees to its end.
func Run(t *testing.T, newStore func(t *testing.T) drift.Store) {
	RunAlone(t, newStore)
	runCases(t, racing, newStore)
}

// RunAlone is Run without the promises to several goroutines, for a store inside
// a transaction.
func RunAlone(t *testing.T, newStore func(t *testing.T) drift.Store) { runCases(t, alone, newStore) }

var alone = []testCase{
	{"a checkpoint comes back as it was saved", "a restarted monitor goes on from somewhere else", checkRoundTrip},
	{"a checkpoint replaces the one before", "a restarted monitor goes back in time", checkReplace},
	{"an unknown model has no checkpoint and no alerts", "a first start looks like a failure", checkUnknown},
	{"an alert fires and resolves under one id", "an episode is counted twice", checkEpisode},
	{"alerts come in the order of their last change", "a reader that follows them misses one", checkOrder},
	{"alerts are followed by Seq", "a step reads all alerts that ever were, or misses one", checkFollow},
	{"a model sees its own alerts only", "one model's drift retrains another", checkModels},
	{"a bad save stores nothing", "a checkpoint passes an alert that is lost", checkAllOrNothing},
	{"the caller's memory is its own", "a stored alert changes behind the store's back", checkMemory},
	{"times are UTC milliseconds", "alerts cannot be compared by time", checkTimes},
	{"a context that is done stops the call", "a shutdown hangs", checkContext},
	{"of two saves over one checkpoint one wins", "two processes undo each other's reading of the log", checkRev},
	{"a writer that was replaced is refused", "a process that was cut off overwrites its successor's work", checkToken},
	{"alerts are found by id and in pages", "a reader loads every alert that ever was", checkPages},
	{"random operations agree with the memory store", "backends differ where no case looks", checkRandom},
}

var racing = []testCase{
	{"concurrent saves are all kept", "an alert is lost when two loops run at once", checkConcurrent},
	{"racing saves have one winner each", "two processes believe that they saved the same checkpoint", checkRace},
}

func runCases(t *testing.T, cases []testCase, newStore func(t *testing.T) drift.Store) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("why it matters: %s", c.why)
				}
			})
			c.run(t, newStore(t))
		})
	}
}

// at is a time as monitors give it: UTC milliseconds.
func at(ms int64) time.Time { return time.UnixMilli(1_780_000_000_000 + ms).UTC() }

func checkpoint(model string, n int64) drift.Checkpoint {
	return drift.Checkpoint{Model: model, Version: 3, PredictionSeq: n, LabelSeq: n / 2, At: at(n), State: fmt.Append(nil, "state \x00", n)}
}

func numbered(c drift.Checkpoint, rev int64) drift.Checkpoint {
	c.Rev = rev
	return c
}

// save stores the checkpoint as the next one of its model.
func save(t testing.TB, s drift.Store, c drift.Checkpoint, changed ...drift.Alert) error {
	t.Helper()
	stored, err := s.Checkpoint(t.Context(), c.Model)
	if !errors.Is(err, drift.ErrNotFound) {
		require.NoError(t, err)
	}
	c.Rev = stored.Rev + 1
	return s.Save(t.Context(), c, changed)
}

func alert(model, id string, fired int64) drift.Alert {
	return drift.Alert{
		ID: id, Model: model, Version: 3, Source: drift.FeatureDrift, Severity: drift.Critical, FiredAt: at(fired),
		Columns: []drift.ColumnFinding{
			{Column: "prix d'été", Statistic: "psi", Value: 0.1 + 0.2, Threshold: 0.25, PValue: 5e-324},
			{Column: "b", Statistic: "ks", Value: 0.5, Threshold: 0.15, PValue: 1e-9},
		},
		Magnitude: 10.0 / 3, Worst: 1e300,
	}
}

func resolved(a drift.Alert, when int64) drift.Alert {
	a.ResolvedAt, a.Reason = at(when), "back at the reference"
	return a
}

func query(t testing.TB, s drift.Store, q drift.AlertQuery) []drift.Alert {
	t.Helper()
	out, err := s.Alerts(t.Context(), q)
	require.NoError(t, err)
	return out
}

// alerts are those of the model without their Seq, which has to rise.
func alerts(t testing.TB, s drift.Store, model string, firingOnly bool) []drift.Alert {
	t.Helper()
	out, last := query(t, s, drift.AlertQuery{Model: model, FiringOnly: firingOnly}), int64(0)
	for i, a := range out {
		require.Greater(t, a.Seq, last)
		last, out[i].Seq = a.Seq, 0
	}
	return out
}

func checkRoundTrip(t *testing.T, s drift.Store) {
	for _, c := range []drift.Checkpoint{checkpoint("m", 1<<40), {Model: "empty"}, {Model: "négatif", Version: -1, At: time.UnixMilli(-5).UTC()}} {
		c.Rev, c.Token = 1, 1<<40
		require.NoError(t, s.Save(t.Context(), c, nil))
		got, err := s.Checkpoint(t.Context(), c.Model)
		require.NoError(t, err)
		require.Equal(t, c, got)
	}
}

func checkReplace(t *testing.T, s drift.Store) {
	require.NoError(t, save(t, s, checkpoint("m", 10)))
	next := checkpoint("m", 4) // a new version's monitor may begin earlier
	next.Version = 4
	require.NoError(t, save(t, s, next))
	next.Rev = 2
	got, err := s.Checkpoint(t.Context(), "m")
	require.NoError(t, err)
	require.Equal(t, next, got)
}

func checkUnknown(t *testing.T, s drift.Store) {
	require.NoError(t, save(t, s, checkpoint("m", 1)))
	_, err := s.Checkpoint(t.Context(), "n")
	require.ErrorIs(t, err, drift.ErrNotFound)
	require.ErrorContains(t, err, `"n"`)
	require.Empty(t, alerts(t, s, "n", false))
}

func checkEpisode(t *testing.T, s drift.Store) {
	a := alert("m", "1", 5)
	require.NoError(t, save(t, s, checkpoint("m", 5), a))
	require.Equal(t, []drift.Alert{a}, alerts(t, s, "m", true))
	require.NoError(t, save(t, s, checkpoint("m", 5), a))
	require.Equal(t, []drift.Alert{a}, alerts(t, s, "m", false), "the same again changes nothing")
	done := resolved(a, 9)
	require.NoError(t, save(t, s, checkpoint("m", 9), done))
	require.Empty(t, alerts(t, s, "m", true))
	require.Equal(t, []drift.Alert{done}, alerts(t, s, "m", false))
}

func ids(alerts []drift.Alert) (all string) {
	for _, a := range alerts {
		all += a.ID
	}
	return all
}

func checkOrder(t *testing.T, s drift.Store) {
	require.NoError(t, save(t, s, checkpoint("m", 9), alert("m", "z", 5), alert("m", "y", 7)))
	require.NoError(t, save(t, s, checkpoint("m", 9), alert("m", "x", 5), alert("m", "a", 3)))
	require.Equal(t, "zyxa", ids(alerts(t, s, "m", false)))
	require.NoError(t, save(t, s, checkpoint("m", 9), resolved(alert("m", "z", 5), 8)))
	require.Equal(t, "yxaz", ids(alerts(t, s, "m", false)))
	require.Equal(t, "yxa", ids(alerts(t, s, "m", true)))
}

func checkFollow(t *testing.T, s drift.Store) {
	after := func(seq int64, limit int) []drift.Alert {
		return query(t, s, drift.AlertQuery{Model: "m", After: seq, Limit: limit})
	}
	require.NoError(t, save(t, s, checkpoint("m", 1), alert("m", "a", 1), alert("m", "b", 1), alert("m", "c", 1)))
	first := after(0, 2)
	require.Equal(t, "ab", ids(first))
	rest := after(first[1].Seq, 2)
	require.Equal(t, "c", ids(rest))
	last := rest[0].Seq
	require.Empty(t, after(last, 0))

	again := alert("m", "b", 1)
	again.Seq = 1 << 40
	require.NoError(t, save(t, s, checkpoint("m", 2), again))
	require.Empty(t, after(last, 0), "the same again is no change, whatever Seq it says")
	require.NoError(t, save(t, s, checkpoint("n", 2), alert("n", "d", 1)))
	worse := alert("m", "b", 1)
	worse.Worst = 2e300
	require.NoError(t, save(t, s, checkpoint("m", 3), worse, resolved(alert("m", "a", 1), 4)))
	changed := after(last, 0)
	require.Equal(t, "ba", ids(changed), "in the order of the save")
	require.Equal(t, 2e300, changed[0].Worst)
	require.Equal(t, "b", ids(query(t, s, drift.AlertQuery{Model: "m", After: last, FiringOnly: true})))

	for _, q := range []drift.AlertQuery{{Model: "m", After: -1}, {Model: "m", Limit: -1}} {
		_, err := s.Alerts(t.Context(), q)
		require.ErrorIs(t, err, drift.ErrInvalid)
	}
}

func checkModels(t *testing.T, s drift.Store) {
	require.NoError(t, save(t, s, checkpoint("m", 1), alert("m", "1", 1)))
	require.NoError(t, save(t, s, checkpoint("n", 1), alert("n", "2", 1)))
	require.Len(t, alerts(t, s, "m", false), 1)
	require.Len(t, alerts(t, s, "n", false), 1)
	err := save(t, s, checkpoint("n", 9), alert("n", "3", 1), alert("n", "1", 1))
	require.ErrorIs(t, err, drift.ErrConflict, "the id is another model's")
	require.Len(t, alerts(t, s, "n", false), 1, "and nothing of that save is stored")
	got, err := s.Checkpoint(t.Context(), "n")
	require.NoError(t, err)
	require.Equal(t, numbered(checkpoint("n", 1), 1), got)
}

func checkAllOrNothing(t *testing.T, s drift.Store) {
	good, early := alert("m", "good", 1), resolved(alert("m", "early", 5), 4)
	infinite := alert("m", "infinite", 1)
	infinite.Columns[0].Value = math.Inf(1)
	endless := alert("m", "endless", 1)
	endless.Worst = math.Inf(1)
	for name, bad := range map[string][]drift.Alert{
		"no id":                {good, alert("m", "", 1)},
		"twice":                {good, good},
		"another model":        {good, alert("n", "1", 1)},
		"no time":              {good, {ID: "x", Model: "m"}},
		"resolved too early":   {good, early},
		"a figure is infinite": {good, infinite},
		"it is endlessly bad":  {good, endless},
		"U+0000 in its id":     {good, alert("m", "a\x00", 1)},
		"an id of no UTF-8":    {good, alert("m", "a\xff", 1)},
	} {
		require.ErrorIs(t, save(t, s, checkpoint("m", 1), bad...), drift.ErrInvalid, name)
		require.Empty(t, alerts(t, s, "m", false), name)
		_, err := s.Checkpoint(t.Context(), "m")
		require.ErrorIs(t, err, drift.ErrNotFound, name)
	}
	require.ErrorIs(t, s.Save(t.Context(), drift.Checkpoint{Rev: 1}, nil), drift.ErrInvalid, "no model")
	require.ErrorIs(t, s.Save(t.Context(), checkpoint("m", 1), nil), drift.ErrInvalid, "no Rev")
	require.ErrorIs(t, s.Save(t.Context(), drift.Checkpoint{Model: "m", Rev: 1, Token: -1}, nil), drift.ErrInvalid, "a negative Token")
}

func checkMemory(t *testing.T, s drift.Store) {
	c, a := checkpoint("m", 1), alert("m", "1", 1)
	require.NoError(t, save(t, s, c, a))
	c.State[0], a.Columns[0].Column = 'X', "changed"
	got, err := s.Checkpoint(t.Context(), "m")
	require.NoError(t, err)
	require.Equal(t, numbered(checkpoint("m", 1), 1), got)
	got.State[0] = 'Y'
	stored := alerts(t, s, "m", false)
	require.Equal(t, alert("m", "1", 1), stored[0])
	stored[0].Columns[0].Column = "changed"
	again, err := s.Checkpoint(t.Context(), "m")
	require.NoError(t, err)
	require.Equal(t, numbered(checkpoint("m", 1), 1), again)
	require.Equal(t, alert("m", "1", 1), alerts(t, s, "m", false)[0])
}

func checkTimes(t *testing.T, s drift.Store) {
	zone := time.FixedZone("east", 3*3600)
	a, c := resolved(alert("m", "1", 1), 2), checkpoint("m", 3)
	want := a
	a.FiredAt, a.ResolvedAt, c.At = a.FiredAt.Add(999).In(zone), a.ResolvedAt.Add(999_999).In(zone), c.At.Add(5).In(zone)
	require.NoError(t, save(t, s, c, a))
	require.Equal(t, want, alerts(t, s, "m", false)[0])
	got, err := s.Checkpoint(t.Context(), "m")
	require.NoError(t, err)
	require.Equal(t, at(3), got.At)
}

func checkContext(t *testing.T, s drift.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, s.Save(ctx, numbered(checkpoint("m", 1), 1), nil), context.Canceled)
	_, err := s.Checkpoint(ctx, "m")
	require.ErrorIs(t, err, context.Canceled)
	_, err = s.Alerts(ctx, drift.AlertQuery{Model: "m"})
	require.ErrorIs(t, err, context.Canceled)
}
