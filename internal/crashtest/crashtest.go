// Package crashtest tests what survives the death of a process. A test runs its
// own binary again as a child, reads the lines in which the child says what is
// durable, and kills it with SIGKILL:
//
//	func TestMain(m *testing.M) { crashtest.Main(m, writeForever) }
//
//	func TestKill(t *testing.T) {
//		folder, durable := t.TempDir(), 0
//		crashtest.Kill(t, folder, func(line string) bool {
//			durable++
//			return durable == 10
//		})
//		// Open the folder: what was durable is there.
//	}
//
// Start runs several children beside one another.
package crashtest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// task is the environment variable that makes a test binary a child.
const task = "MLLOOP_CRASHTEST"

// Main runs the tests, or in a child what is asked of it: child gets the argument
// of Kill or Command, and prints a line to standard output for each thing that is
// durable. It is all that TestMain does.
func Main(m *testing.M, child func(ctx context.Context, arg string) error) {
	arg, ok := os.LookupEnv(task)
	if !ok {
		os.Exit(m.Run())
	}
	if err := child(context.Background(), arg); err != nil {
		fmt.Fprintln(os.Stderr, "child:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// Command returns the child, to be run to its end. It ends with the test.
func Command(t testing.TB, arg string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	child := exec.CommandContext(t.Context(), self)
	child.Env = append(os.Environ(), task+"="+arg)
	child.Stderr = os.Stderr // why it ended by itself
	return child
}

// Kill runs this test binary again as a child and hands each line that it prints
// to line, which returns true when the child is to die. Lines that it printed
// before it died follow, whatever line returns. The test fails when the child
// ends by itself.
func Kill(t testing.TB, arg string, line func(text string) (kill bool)) {
	t.Helper()
	var child *Child
	started := make(chan struct{})
	child = Start(t, arg, nil, func(text string) {
		<-started
		if line(text) {
			child.signal(os.Kill)
		}
	})
	close(started)
	err := child.Wait()
	require.True(t, child.killed.Load(), "the child ended by itself: %v", err)
	require.Error(t, err, "it was killed")
}

// Child is a child that runs beside the test. It is safe for concurrent use.
type Child struct {
	cmd    *exec.Cmd
	read   chan struct{} // closed once all that it printed was handed on
	killed atomic.Bool
	broken error // of reading what it printed
	once   sync.Once
	ended  error
}

// Start runs this test binary again as a child, with env beside the test's own
// environment, and returns at once. line, which may be nil, gets each line that
// the child prints, one at a time, from another goroutine. The child ends with
// the test at the latest.
func Start(t testing.TB, arg string, env []string, line func(text string)) *Child {
	t.Helper()
	c := &Child{cmd: Command(t, arg), read: make(chan struct{})}
	c.cmd.Env = append(c.cmd.Env, env...)
	out, err := c.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, c.cmd.Start())
	go func() {
		defer close(c.read)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if line != nil {
				line(lines.Text())
			}
		}
		c.broken = lines.Err()
	}()
	return c
}

// PID is the child's process id.
func (c *Child) PID() int { return c.cmd.Process.Pid }

// Kill ends the child with SIGKILL and returns when it is gone and all that it
// had printed was handed on. The error says that it had ended by itself.
func (c *Child) Kill() error {
	c.signal(os.Kill)
	err := c.Wait()
	if status, ok := c.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() && status.Signal() == syscall.SIGKILL {
		return nil
	}
	return fmt.Errorf("the child ended by itself: %w", err)
}

// Stop asks the child by SIGTERM to end, waits until it has, and returns how.
func (c *Child) Stop() error {
	c.signal(syscall.SIGTERM)
	return c.Wait()
}

// Wait returns how the child ended, once it has and all that it had printed was
// handed on.
func (c *Child) Wait() error {
	c.once.Do(func() {
		<-c.read
		c.ended = errors.Join(c.broken, c.cmd.Wait())
	})
	return c.ended
}

func (c *Child) signal(s os.Signal) {
	if s == os.Kill {
		c.killed.Store(true)
	}
	_ = c.cmd.Process.Signal(s) // it may have ended
}
