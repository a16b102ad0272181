package drifttest_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/drift/drifttest"
)

// recorder is a testing.TB that notes failures instead of ending the test.
type recorder struct {
	testing.TB
	failed bool
}

func (r *recorder) Helper()               {}
func (r *recorder) Errorf(string, ...any) { r.failed = true }
func (r *recorder) FailNow()              { r.failed = true }

func TestAssertions(t *testing.T) {
	s := drifttest.New(t)
	drifttest.RequireNoAlert(t, s, "churn")
	r := &recorder{TB: t}
	drifttest.RequireAlert(r, s, "churn", "age")
	require.True(t, r.failed, "there is none")

	a := drifttest.Fire(t, s, "churn", time.UnixMilli(5), "plan", "age")
	require.Equal(t, a.ID, drifttest.RequireAlert(t, s, "churn", "age").ID)
	require.Equal(t, []string{"plan", "age"}, a.ColumnNames())
	drifttest.RequireNoAlert(t, s, "other")
	r = &recorder{TB: t}
	drifttest.RequireNoAlert(r, s, "churn")
	require.True(t, r.failed)
	r = &recorder{TB: t}
	drifttest.RequireAlert(r, s, "churn", "city")
	require.True(t, r.failed)
}

func TestFireKeepsTheCheckpoint(t *testing.T) {
	s := drifttest.New(t)
	c := drift.Checkpoint{Model: "m", Version: 2, Rev: 1, PredictionSeq: 9, At: time.UnixMilli(1).UTC()}
	require.NoError(t, s.Save(t.Context(), c, nil))
	drifttest.Fire(t, s, "m", time.UnixMilli(2), "a")
	got, err := s.Checkpoint(t.Context(), "m")
	require.NoError(t, err)
	c.Rev = 2
	require.Equal(t, c, got)
}

func TestSEA(t *testing.T) {
	schema := drifttest.SEASchema()
	o := &drifttest.SEAOptions{Theta: 8, NewTheta: 9.5, ChangeAt: 50_000, Noise: 0.1}
	s, same := drifttest.NewSEA(1, o), drifttest.NewSEA(1, o)
	wrong := [2]int{}
	for i := range 100_000 {
		row, label := s.Next(schema)
		row2, label2 := same.Next(schema)
		require.Equal(t, row.Values, row2.Values)
		require.Equal(t, label, label2)
		a, b := row.Values[0].Float(), row.Values[1].Float()
		require.True(t, a >= 0 && a < 10 && b >= 0 && b < 10)
		if label.Int() != drifttest.SEALabel(a, b, 8) {
			wrong[i/50_000]++
		}
	}
	// The old rule errs on the noise, and after the change on 8 < a+b ≤ 9.5 too:
	// (9.5²−8²)/200 of the square.
	require.InDelta(t, 0.1, float64(wrong[0])/50_000, 0.01)
	require.InDelta(t, 0.1+0.8*(9.5*9.5-64)/200, float64(wrong[1])/50_000, 0.01)
}
