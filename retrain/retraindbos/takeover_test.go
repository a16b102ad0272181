package retraindbos_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/crashtest"
)

// takeOverTime is how long the work of a dead process may lie.
const takeOverTime = 15 * time.Second

// Of three live processes one runs a workflow. It is killed in a step, then so is
// the one that went on, and the third ends the work: each within 15 s, whether the
// dead process can be seen to be dead or was on another machine. Recorded steps
// are not run again.
func TestTakeOver(t *testing.T) {
	for name, hosts := range map[string][2]string{
		"one machine":   {},
		"three of them": {hostVariable + "=first", hostVariable + "=second"},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, dir string) {
				t.Parallel()
				testTakeOver(t, dir, hosts)
			})
		})
	}
}

func testTakeOver(t *testing.T, dir string, hosts [2]string) {
	hung := make(chan struct{}, 2)
	run := func(host string) *crashtest.Child {
		return crashtest.Start(t, dir, []string{host}, func(line string) {
			if line == "hang" {
				hung <- struct{}{}
			}
		})
	}
	first := run(hosts[0])
	<-hung
	second := run(hosts[1])
	require.NoError(t, first.Kill())
	requireWithin(t, hung)

	third := openEngine(t, dir, nil)
	require.NoError(t, third.Register("journal", journal(dir, "step0", "step1", "last")))
	require.NoError(t, third.Launch(t.Context()))
	time.Sleep(3 * time.Second) // it sees the second at work
	require.Equal(t, "step0 step1 hang hang", readJournal(t, dir))
	require.NoError(t, second.Kill())
	begin := time.Now()
	r, err := third.Wait(soon(t.Context(), t), "a/1")
	require.NoError(t, err)
	require.Equal(t, "finished work", string(r.Output))
	require.Less(t, time.Since(begin), takeOverTime)
	t.Logf("taken over after %s in %s", time.Since(begin).Round(time.Millisecond), filepath.Base(t.Name()))
	require.Equal(t, "step0 step1 hang hang last", readJournal(t, dir))
}

func requireWithin(t *testing.T, c <-chan struct{}) {
	t.Helper()
	begin := time.Now()
	select {
	case <-c:
		t.Logf("taken over after %s", time.Since(begin).Round(time.Millisecond))
	case <-time.After(takeOverTime):
		require.Fail(t, "nobody went on")
	}
}
