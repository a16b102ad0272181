//go:build unix

package train_test

import (
	"bytes"
	"context"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/train"
	"github.com/mlloop/mlloop/train/traintest"
)

// processorTime is what this process has used, in user and system mode.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestMLPUsesOneProcessor runs a fit whose matrix products are large enough for
// the math library to split, until its context ends, which it heeds within a
// mini-batch: the processor time is that of one processor, of however many.
func TestMLPUsesOneProcessor(t *testing.T) {
	if runtime.NumCPU() < 2 {
		t.Skip("there is one processor")
	}
	job := traintest.NewJob(t, 4000, 1)
	job.Procs = 1
	m := train.MLP{Hidden: []int{512, 512}, Batch: 512, Epochs: 1 << 20, Patience: 1 << 20}
	runtime.GC()
	ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
	defer cancel()
	most := make(chan int)
	go func() {
		count := 0
		for ctx.Err() == nil {
			count = max(count, multiplying())
			time.Sleep(2 * time.Millisecond)
		}
		most <- count
	}()
	began, used := time.Now(), processorTime(t)
	_, err := m.Fit(ctx, job)
	wall, cpu := time.Since(began), processorTime(t)-used
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Less(t, wall, 5*time.Second, "the fit heeds its context; an epoch alone takes seconds under load")
	require.LessOrEqual(t, cpu.Seconds(), float64(job.MaxProcs())*wall.Seconds()*1.15)
	// On a machine under load the time tells little. What tells there is how many
	// goroutines were inside the math library at one moment.
	count := <-most
	require.Positive(t, count, "it was seen at work")
	require.LessOrEqual(t, count, job.MaxProcs())
	t.Logf("%v of processor time in %v, at most %d goroutines at work", cpu, wall, count)
}

// multiplying counts the goroutines that are inside the math library.
func multiplying() int {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	count := 0
	for stack := range bytes.SplitSeq(stacks, []byte("\n\n")) {
		if bytes.Contains(stack, []byte("gonum.org/v1/gonum/")) {
			count++
		}
	}
	return count
}
