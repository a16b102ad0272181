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
package crashtest

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
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
	child := Command(t, arg)
	out, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	killed := false
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if line(lines.Text()) && !killed {
			require.NoError(t, child.Process.Kill())
			killed = true
		}
	}
	require.NoError(t, lines.Err())
	err = child.Wait()
	require.True(t, killed, "the child ended by itself: %v", err)
	require.Error(t, err, "it was killed")
}
