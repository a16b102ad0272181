package crashtest_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/crashtest"
)

func TestMain(m *testing.M) { crashtest.Main(m, child) }

// child appends numbers to a file, and prints each when it is there.
func child(_ context.Context, path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	for n := 0; err == nil; n++ {
		_, err = fmt.Fprintln(f, n)
		fmt.Println(n)
	}
	return errors.Join(err, f.Close())
}

func TestKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "numbers")
	var printed []string
	for round := 1; round <= 3; round++ {
		left := 10 * round
		crashtest.Kill(t, path, func(text string) bool {
			printed = append(printed, text)
			left--
			return left == 0
		})
	}
	require.GreaterOrEqual(t, len(printed), 10+20+30)
	written, err := os.ReadFile(path)
	require.NoError(t, err)
	require.GreaterOrEqual(t, strings.Count(string(written), "\n"), len(printed), "what was printed had been written")
}

// Children run beside one another, and one that is killed leaves the others
// alone.
func TestStart(t *testing.T) {
	dir := t.TempDir()
	printed := make([]atomic.Int64, 3)
	children := make([]*crashtest.Child, len(printed))
	for i := range children {
		children[i] = crashtest.Start(t, filepath.Join(dir, fmt.Sprint(i)), nil, func(string) { printed[i].Add(1) })
	}
	above := func(child int, lines int64) {
		require.Eventually(t, func() bool { return printed[child].Load() > lines }, 30*time.Second, time.Millisecond)
	}
	above(0, 10)
	require.NoError(t, children[0].Kill())
	last := printed[0].Load()
	for _, i := range []int{1, 2} {
		above(i, printed[i].Load())
	}
	require.Equal(t, last, printed[0].Load(), "a dead child prints nothing")
	require.Error(t, children[1].Stop(), "it has no handler for SIGTERM")
	require.NoError(t, children[2].Kill())
	require.Error(t, children[1].Kill(), "it had ended")
	written, err := os.ReadFile(filepath.Join(dir, "0"))
	require.NoError(t, err)
	require.GreaterOrEqual(t, int64(strings.Count(string(written), "\n")), last)
}
