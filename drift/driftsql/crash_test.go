package driftsql_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/drift/driftsql"
	"github.com/mlloop/mlloop/internal/crashtest"
)

func TestMain(m *testing.M) { crashtest.Main(m, saveForever) }

// saveForever saves checkpoint n with an alert n, and prints n once it is saved.
func saveForever(ctx context.Context, url string) error {
	s, err := driftsql.Open(ctx, url, nil)
	if err != nil {
		return err
	}
	last, _ := s.Checkpoint(ctx, "m") // the zero value when there is none yet
	for n := last.PredictionSeq + 1; ; n++ {
		a := drift.Alert{ID: strconv.FormatInt(n, 10), Model: "m", FiredAt: time.UnixMilli(n)}
		if err := s.Save(ctx, drift.Checkpoint{Model: "m", Rev: n, PredictionSeq: n, At: time.UnixMilli(n)}, []drift.Alert{a}); err != nil {
			return err
		}
		fmt.Println(n)
	}
}

// Killed at random moments, the store has the checkpoint and the alerts of the
// same save, and every save that was acknowledged.
func TestKilledWhileSaving(t *testing.T) {
	url, acknowledged := fast(t), int64(0)
	rng := rand.New(rand.NewPCG(1, 1))
	for range 4 {
		left := 1 + rng.IntN(40)
		crashtest.Kill(t, url, func(line string) bool {
			n, err := strconv.ParseInt(line, 10, 64)
			require.NoError(t, err, line)
			acknowledged = n
			left--
			return left == 0
		})
		s := openAt(t, url)
		c, err := s.Checkpoint(t.Context(), "m")
		require.NoError(t, err)
		require.GreaterOrEqual(t, c.PredictionSeq, acknowledged)
		alerts, err := s.Alerts(t.Context(), drift.AlertQuery{Model: "m", Limit: 1 << 20})
		require.NoError(t, err)
		require.Len(t, alerts, int(c.PredictionSeq))
	}
}
