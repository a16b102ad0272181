package crashtest_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
