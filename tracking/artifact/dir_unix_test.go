//go:build unix

package artifact_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/crashtest"
	"github.com/mlloop/mlloop/tracking/artifact"
)

func TestMain(m *testing.M) { crashtest.Main(m, child) }

// child runs in this test binary run again.
func child(ctx context.Context, arg string) error {
	task, folder, _ := strings.Cut(arg, " ")
	switch task {
	case "full":
		return putWithAFullDisk(ctx, folder)
	case "once":
		return putOnce(ctx, folder)
	}
	return putEndlessly(ctx, folder)
}

// A limit on the size of files stands in for a full disk: writes fail half-way.
func putWithAFullDisk(ctx context.Context, folder string) error {
	signal.Ignore(syscall.SIGXFSZ)
	limit := syscall.Rlimit{Cur: 100_000, Max: 100_000}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		fmt.Println("setrlimit:", err)
		return nil
	}
	_, _, err := artifact.Dir(folder).Put(ctx, io.LimitReader(zeros{}, 1<<20), nil)
	fmt.Println(err)
	return nil
}

// putOnce puts one blob and prints its digest, when it is durable.
func putOnce(ctx context.Context, folder string) error {
	digest, _, err := artifact.Dir(folder).Put(ctx, strings.NewReader("the weights"), nil)
	fmt.Println(digest)
	return err
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestDirOnAFullDisk(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "artifacts")
	out, err := crashtest.Command(t, "full "+folder).Output()
	require.NoError(t, err)
	if strings.HasPrefix(string(out), "setrlimit") {
		t.Skip(string(out))
	}
	require.Contains(t, string(out), "full: free some space and try again")
	require.Empty(t, filesBelow(t, folder), "nothing partial stays")
}

// putEndlessly puts ever new blobs and prints the digest of each that is
// durable.
func putEndlessly(ctx context.Context, folder string) error {
	s := artifact.Dir(folder)
	for i := 0; ; i++ {
		content := bytes.Repeat([]byte{byte(i), byte(i >> 8)}, 50_000)
		digest, _, err := s.Put(ctx, bytes.NewReader(content), nil)
		if err != nil {
			return err
		}
		fmt.Println(digest)
	}
}

func TestDirSurvivesAKill(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "artifacts")
	durable := map[string]bool{}
	for round := range 3 {
		left := 5 + round
		crashtest.Kill(t, "endless "+folder, func(digest string) bool {
			durable[digest] = true
			left--
			return left == 0
		})
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
