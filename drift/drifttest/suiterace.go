package drifttest

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/drift/driftmem"
)

// insist stores the checkpoint over whatever is stored, however often another
// is faster.
func insist(t testing.TB, s drift.Store, c drift.Checkpoint, changed ...drift.Alert) {
	for {
		stored, err := s.Checkpoint(t.Context(), c.Model)
		if err != nil && !assert.ErrorIs(t, err, drift.ErrNotFound) {
			return
		}
		c.Rev = stored.Rev + 1
		err = s.Save(t.Context(), c, changed)
		if err == nil || !assert.ErrorIs(t, err, drift.ErrConflict) {
			return
		}
	}
}

func checkConcurrent(t *testing.T, s drift.Store) {
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			model := fmt.Sprint("m", g%2)
			for i := range int64(10) {
				insist(t, s, checkpoint(model, i), alert(model, fmt.Sprint(g, "/", i), i))
			}
		})
	}
	wg.Wait()
	for _, model := range []string{"m0", "m1"} {
		require.Len(t, alerts(t, s, model, true), 20)
		got, err := s.Checkpoint(t.Context(), model)
		require.NoError(t, err)
		require.EqualValues(t, 20, got.Rev)
	}
}

func checkRev(t *testing.T, s drift.Store) {
	require.ErrorIs(t, s.Save(t.Context(), numbered(checkpoint("m", 1), 2), nil), drift.ErrConflict, "none is stored")
	require.NoError(t, s.Save(t.Context(), numbered(checkpoint("m", 1), 1), nil))
	for _, rev := range []int64{1, 3} {
		err := s.Save(t.Context(), numbered(checkpoint("m", 9), rev), []drift.Alert{alert("m", "1", 1)})
		require.ErrorIs(t, err, drift.ErrConflict)
		require.ErrorContains(t, err, "revision 1")
		require.Empty(t, alerts(t, s, "m", false), "nothing of a refused save is stored")
	}
	require.NoError(t, s.Save(t.Context(), numbered(checkpoint("m", 2), 2), nil))
	got, err := s.Checkpoint(t.Context(), "m")
	require.NoError(t, err)
	require.Equal(t, numbered(checkpoint("m", 2), 2), got)
}

func checkToken(t *testing.T, s drift.Store) {
	put := func(rev, token int64) error {
		return s.Save(t.Context(), drift.Checkpoint{Model: "m", Rev: rev, Token: token}, []drift.Alert{alert("m", fmt.Sprint(rev), 1)})
	}
	require.NoError(t, put(1, 5))
	require.NoError(t, put(2, 5))
	require.NoError(t, put(3, 7))
	err := put(4, 6)
	require.ErrorIs(t, err, drift.ErrConflict, "though it knows the revision")
	require.ErrorContains(t, err, "token 7")
	require.ErrorIs(t, put(4, 0), drift.ErrConflict)
	require.Len(t, alerts(t, s, "m", false), 3)
	got, err := s.Checkpoint(t.Context(), "m")
	require.NoError(t, err)
	require.Equal(t, [2]int64{3, 7}, [2]int64{got.Rev, got.Token})
}

func checkRace(t *testing.T, s drift.Store) {
	const writers, rounds = 6, 8
	for round := range int64(rounds) {
		var wg sync.WaitGroup
		var won atomic.Int64
		for w := range writers {
			wg.Go(func() {
				c := numbered(checkpoint("m", int64(w)), round+1)
				err := s.Save(t.Context(), c, []drift.Alert{alert("m", fmt.Sprint(round, "/", w), 1)})
				if err == nil {
					won.Add(1)
					return
				}
				assert.ErrorIs(t, err, drift.ErrConflict)
			})
		}
		wg.Wait()
		require.EqualValues(t, 1, won.Load())
		require.Len(t, alerts(t, s, "m", false), int(round)+1, "the loser's alerts are not stored")
	}
}

func checkPages(t *testing.T, s drift.Store) {
	changed := make([]drift.Alert, drift.DefaultLimit+5)
	for i := range changed {
		changed[i] = drift.Alert{ID: fmt.Sprint(i), Model: "m", FiredAt: at(int64(i))}
	}
	require.NoError(t, save(t, s, checkpoint("m", 1), changed...))
	require.Len(t, query(t, s, drift.AlertQuery{Model: "m"}), drift.DefaultLimit)
	for _, size := range []int{0, 7, len(changed), len(changed) + 1} {
		n := 0
		for a, err := range drift.AllAlerts(t.Context(), s, drift.AlertQuery{Model: "m", Limit: size}) {
			require.NoError(t, err)
			require.Equal(t, fmt.Sprint(n), a.ID)
			n++
		}
		require.Len(t, changed, n)
	}
	for a, err := range drift.AllAlerts(t.Context(), s, drift.AlertQuery{Model: "m"}) {
		require.NoError(t, err)
		require.Equal(t, "0", a.ID)
		break
	}
	for _, err := range drift.AllAlerts(t.Context(), s, drift.AlertQuery{Model: "m", After: -1}) {
		require.ErrorIs(t, err, drift.ErrInvalid)
	}

	require.NoError(t, save(t, s, checkpoint("n", 1), alert("n", "other", 1)))
	named := query(t, s, drift.AlertQuery{Model: "m", IDs: []string{"9", "3", "unknown", "other", "3"}})
	require.Equal(t, "39", ids(named), "each once, by Seq, and none of another model")
	require.Empty(t, query(t, s, drift.AlertQuery{Model: "m", IDs: []string{"3"}, After: named[0].Seq}))
	_, err := s.Alerts(t.Context(), drift.AlertQuery{Model: "m", IDs: make([]string, drift.DefaultLimit+1)})
	require.ErrorIs(t, err, drift.ErrInvalid)
}

func checkRandom(t *testing.T, s drift.Store) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	mem := driftmem.New()
	models := []string{"a", "b"}
	revs, tokens := map[string]int64{}, map[string]int64{}
	for range 150 {
		model := models[rng.IntN(2)]
		c, changed := randomSave(rng, model)
		c.Rev, c.Token = revs[model]+c.Rev, tokens[model]+c.Token
		want, got := mem.Save(t.Context(), c, changed), s.Save(t.Context(), c, changed)
		for _, kind := range []error{drift.ErrInvalid, drift.ErrConflict} {
			require.Equal(t, assert.ErrorIs(quiet{}, want, kind), assert.ErrorIs(quiet{}, got, kind), "%v against %v", want, got)
		}
		require.Equal(t, want == nil, got == nil, "%v against %v", want, got)
		if want == nil {
			revs[model], tokens[model] = c.Rev, c.Token
		}
		for _, m := range models {
			requireAlike(t, rng, mem, s, m)
		}
	}
}

// randomSave returns what a monitor might save. The checkpoint's Rev and Token are
// what is added to those stored: 1 and 0, or a little beside that.
func randomSave(rng *rand.Rand, model string) (drift.Checkpoint, []drift.Alert) {
	var changed []drift.Alert
	for range rng.IntN(3) {
		a := alert(model, fmt.Sprint(rng.IntN(30)), rng.Int64N(10))
		a.Columns, a.Worst = a.Columns[:rng.IntN(3)], float64(rng.IntN(2))
		if rng.IntN(2) == 0 {
			a = resolved(a, 5+rng.Int64N(10))
		}
		changed = append(changed, a)
	}
	c := checkpoint(model, rng.Int64N(100))
	c.Rev, c.Token = 1, 0
	switch rng.IntN(6) {
	case 0:
		c.Rev += rng.Int64N(3) - 1
	case 1:
		c.Token += rng.Int64N(3) - 1
	}
	return c, changed
}

// requireAlike asks both stores the same about a model.
func requireAlike(t *testing.T, rng *rand.Rand, mem, s drift.Store, m string) {
	t.Helper()
	q := drift.AlertQuery{Model: m, FiringOnly: rng.IntN(2) == 0, After: rng.Int64N(60), Limit: rng.IntN(4)}
	for range rng.IntN(4) {
		q.IDs = append(q.IDs, fmt.Sprint(rng.IntN(30)))
	}
	require.Equal(t, clean(query(t, mem, q)), clean(query(t, s, q)), "%+v", q)
	all := drift.AlertQuery{Model: m}
	require.Equal(t, clean(query(t, mem, all)), clean(query(t, s, all)))
	wantC, wantErr := mem.Checkpoint(t.Context(), m)
	gotC, gotErr := s.Checkpoint(t.Context(), m)
	require.Equal(t, wantErr == nil, gotErr == nil)
	require.Equal(t, wantC, gotC)
}

// clean makes no difference between no alerts and none.
func clean(as []drift.Alert) []drift.Alert { return append([]drift.Alert{}, as...) }

// quiet makes assertions into questions.
type quiet struct{}

func (quiet) Errorf(string, ...any) {}
