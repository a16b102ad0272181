package retrain_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/retrain"
)

// The waits between attempts double up to a minute.
func TestStepBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var at []time.Duration
		fail := func(context.Context) ([]byte, error) {
			at = append(at, time.Since(begin))
			return nil, errors.New("down")
		}
		_, err := (&retrain.StepOptions{Retries: 8}).Run(t.Context(), fail)
		require.EqualError(t, err, "down")
		var seconds []float64
		for _, d := range at {
			seconds = append(seconds, d.Seconds())
		}
		require.Equal(t, []float64{0, 1, 3, 7, 15, 31, 63, 123, 183}, seconds)
	})
}

// A context that ends cuts the wait short, and is told from the step's own time.
func TestStepContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
		defer cancel()
		begin := time.Now()
		_, err := (&retrain.StepOptions{Retries: 100, Backoff: time.Hour}).Run(ctx, func(context.Context) ([]byte, error) {
			return nil, errors.New("down")
		})
		require.EqualError(t, err, "down")
		require.Equal(t, 90*time.Second, time.Since(begin))
		_, err = (&retrain.StepOptions{Timeout: time.Second}).Run(ctx, func(ctx context.Context) ([]byte, error) {
			return nil, context.Cause(ctx)
		})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NotErrorIs(t, err, fault.Unavailable, "it is not the step's time that was up")
	})
}
