//go:build linux

package artifact_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/crashtest"
	"github.com/mlloop/mlloop/tracking/artifact"
)

// traced runs the child under strace and returns its calls, one a line.
func traced(t *testing.T, arg string) []string {
	t.Helper()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("LEFT OUT: strace is not installed, so that the system calls of a durable Put were not checked")
	}
	trace := filepath.Join(t.TempDir(), "trace")
	child := crashtest.Command(t, arg)
	calls := "trace=mkdir,mkdirat,rename,renameat,renameat2,fsync,fdatasync,write"
	cmd := exec.CommandContext(t.Context(), strace, "-f", "-y", "-s", "80", "-e", calls, "-o", trace, child.Path)
	cmd.Env = child.Env
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("LEFT OUT: strace may not trace here (%v: %s), so that the system calls of a durable Put were not checked", err, out)
	}
	text, err := os.ReadFile(trace)
	require.NoError(t, err)
	return strings.Split(string(text), "\n")
}

// position returns the place of the first call from the place on that matches.
func position(t *testing.T, calls []string, from int, pattern string) int {
	t.Helper()
	form := regexp.MustCompile(pattern)
	i := slices.IndexFunc(calls[from:], form.MatchString)
	require.GreaterOrEqual(t, i, 0, "no call like %s after call %d of\n%s", pattern, from, strings.Join(calls, "\n"))
	return from + i
}

// What Put asks of the kernel, in order: each new folder's name is synced, the
// bytes before the rename, the new name after it; only then does Put return.
func TestDirSystemCalls(t *testing.T) {
	base, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	folder := filepath.Join(base, "a", "b", "c")
	calls := traced(t, "once "+folder)
	digest := put(t, artifact.Memory(), "the weights")
	returned := position(t, calls, 0, `write\(1<.*"`+digest)
	fsync := func(name string) string { return `f(data)?sync\(\d+<` + regexp.QuoteMeta(name) + `>\)` }

	for _, made := range []string{"a", "a/b", "a/b/c", "a/b/c/" + digest[:2], "a/b/c/" + digest[:2] + "/" + digest[2:4]} {
		name := filepath.Base(made)
		parent := filepath.Join(base, filepath.Dir(made))
		mkdir := position(t, calls, 0, `mkdir(at)?\(.*[/"]`+name+`"`)
		require.Less(t, position(t, calls, mkdir, fsync(parent)), returned, "the name of %s is durable", made)
	}
	renamed := position(t, calls, 0, `rename.*"`+digest+`"`)
	require.Less(t, position(t, calls, 0, `f(data)?sync\(\d+<`+regexp.QuoteMeta(folder)+`/incoming/`), renamed, "the bytes are durable before they are visible")
	require.Less(t, position(t, calls, renamed, fsync(filepath.Join(folder, digest[:2], digest[2:4]))), returned, "the blob's name is durable")
}
