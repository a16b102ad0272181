//go:build unix

package artifact_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/tracking/artifact"
)

// The tests below run this test binary again as a child, which this variable
// tells what to do.
const childTask = "MLLOOP_ARTIFACT_TEST_CHILD"

func TestMain(m *testing.M) {
	task, folder, _ := strings.Cut(os.Getenv(childTask), " ")
	switch task {
	case "":
		os.Exit(m.Run())
	case "full":
		putWithAFullDisk(folder)
	case "endless":
		putEndlessly(folder)
	}
}

func child(t *testing.T, task, folder string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), childTask+"="+task+" "+folder)
	return cmd
}

// A limit on the size of files stands in for a full disk: writes fail half-way.
func putWithAFullDisk(folder string) {
	signal.Ignore(syscall.SIGXFSZ)
	limit := syscall.Rlimit{Cur: 100_000, Max: 100_000}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		fmt.Println("setrlimit:", err)
		return
	}
	_, _, err := artifact.Dir(folder).Put(context.Background(), io.LimitReader(zeros{}, 1<<20))
	fmt.Println(err)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestDirOnAFullDisk(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "artifacts")
	out, err := child(t, "full", folder).Output()
	require.NoError(t, err)
	if strings.HasPrefix(string(out), "setrlimit") {
		t.Skip(string(out))
	}
	require.Contains(t, string(out), "full: free some space and try again")
	require.Empty(t, filesBelow(t, folder), "nothing partial stays")
}

// putEndlessly puts ever new blobs and prints the digest of each that is
// durable.
func putEndlessly(folder string) {
	s := artifact.Dir(folder)
	for i := 0; ; i++ {
		content := bytes.Repeat([]byte{byte(i), byte(i >> 8)}, 50_000)
		digest, _, err := s.Put(context.Background(), bytes.NewReader(content))
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(digest)
	}
}

func TestDirSurvivesAKill(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "artifacts")
	durable := map[string]bool{}
	for round := range 3 {
		cmd := child(t, "endless", folder)
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		lines := bufio.NewScanner(out)
		for range 5 + round {
			require.True(t, lines.Scan())
			durable[lines.Text()] = true
		}
		require.NoError(t, cmd.Process.Kill())
		for lines.Scan() { // what it printed before it died counts too
			if len(lines.Text()) == 64 {
				durable[lines.Text()] = true
			}
		}
		_ = cmd.Wait() // it was killed
	}
	s := artifact.Dir(folder)
	for digest := range durable {
		_, err := read(s, digest)
		require.NoError(t, err, "durable when Put returned")
	}
	for _, name := range filesBelow(t, folder) {
		if strings.HasPrefix(name, "incoming/") {
			continue
		}
		_, err := read(s, filepath.Base(name))
		require.NoError(t, err, "whatever is visible is whole")
	}
}
