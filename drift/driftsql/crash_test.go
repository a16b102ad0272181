package driftsql_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/drift/driftsql"
)

// crashURL names the database to which a child process saves until it is killed.
const crashURL = "MLLOOP_TEST_DRIFT_CRASH_URL"

func TestMain(m *testing.M) {
	if url := os.Getenv(crashURL); url != "" {
		fmt.Println("error", saveForever(context.Background(), url))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// saveForever saves checkpoint n with an alert n, and prints n once it is saved.
func saveForever(ctx context.Context, url string) error {
	s, err := driftsql.Open(ctx, url, nil)
	if err != nil {
		return err
	}
	last, _ := s.Checkpoint(ctx, "m") // the zero value when there is none yet
	for n := last.PredictionSeq + 1; ; n++ {
		a := drift.Alert{ID: strconv.FormatInt(n, 10), Model: "m", FiredAt: time.UnixMilli(n)}
		if err := s.Save(ctx, drift.Checkpoint{Model: "m", PredictionSeq: n, At: time.UnixMilli(n)}, []drift.Alert{a}); err != nil {
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
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), crashURL+"="+url)
		out, err := child.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, child.Start())
		lines := bufio.NewScanner(out)
		for range 1 + rng.IntN(40) {
			require.True(t, lines.Scan(), "the child ended by itself")
			acknowledged, err = strconv.ParseInt(lines.Text(), 10, 64)
			require.NoError(t, err, lines.Text())
		}
		require.NoError(t, child.Process.Kill())
		for lines.Scan() { // printed before it died
			if n, err := strconv.ParseInt(lines.Text(), 10, 64); err == nil {
				acknowledged = n
			}
		}
		_ = child.Wait()
		s := openAt(t, url)
		c, err := s.Checkpoint(t.Context(), "m")
		require.NoError(t, err)
		require.GreaterOrEqual(t, c.PredictionSeq, acknowledged)
		alerts, err := s.Alerts(t.Context(), "m", false)
		require.NoError(t, err)
		require.Len(t, alerts, int(c.PredictionSeq))
	}
}
