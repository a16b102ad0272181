package artifact_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/atomicfile"
	"github.com/mlloop/mlloop/internal/atomicfile/atomicfiletest"
	"github.com/mlloop/mlloop/tracking/artifact"
	"github.com/mlloop/mlloop/tracking/artifact/artifacttest"
)

func TestDirOnADiskInMemory(t *testing.T) {
	artifacttest.Run(t, func(*testing.T) artifact.Store { return artifact.DirOn(atomicfiletest.NewDisk(), "a/b/c") })
}

var errDied = errors.New("the machine died")

// dieAt returns a Fail that lets n operations pass.
func dieAt(n int) func(op, name string) error {
	return func(string, string) error {
		if n--; n < 0 {
			return errDied
		}
		return nil
	}
}

// requireWhole reopens the folder on a disk and reads all that it lists.
func requireWhole(t *testing.T, disk *atomicfiletest.Disk) map[string]bool {
	t.Helper()
	s := artifact.DirOn(disk, "a/b/c")
	there := map[string]bool{}
	for info, err := range s.List(t.Context()) {
		require.NoError(t, err)
		_, err := read(s, info.Digest)
		require.NoError(t, err, "what is visible is whole")
		there[info.Digest] = true
	}
	return there
}

// crashes lets a machine die after 0, 1, 2 … operations on the disk, and check
// what its disk may hold then, until do is done before that.
func crashes(t *testing.T, prepare, do func(s artifact.Store) error, check func(there map[string]bool, done bool)) {
	t.Helper()
	rng := rand.New(rand.NewPCG(3, 4))
	for n := 0; ; n++ {
		disk := atomicfiletest.NewDisk()
		require.NoError(t, prepare(artifact.DirOn(disk, "a/b/c")))
		disk.Fail = dieAt(n)
		err := do(artifact.DirOn(disk, "a/b/c")) // another process
		check(requireWhole(t, disk.Crash(nil)), err == nil)
		for range 10 {
			check(requireWhole(t, disk.Crash(rng)), err == nil)
		}
		if err == nil {
			require.Greater(t, n, 1, "the disk was asked")
			return
		}
		require.ErrorIs(t, err, errDied)
		require.ErrorIs(t, err, artifact.ErrUnavailable)
	}
}

// putter returns what puts content, and the digest it will have.
func putter(t *testing.T, content string) (func(s artifact.Store) error, string) {
	digest := put(t, artifact.Memory(), content)
	return func(s artifact.Store) error {
		_, _, err := s.Put(t.Context(), strings.NewReader(content), nil)
		return err
	}, digest
}

// The folder a/b/c is new, and so are the names of a and b.
func TestDirIsDurableInANewFolder(t *testing.T) {
	do, digest := putter(t, strings.Repeat("weights", 1000))
	nothing := func(artifact.Store) error { return nil }
	crashes(t, nothing, do, func(there map[string]bool, done bool) {
		require.True(t, there[digest] || !done, "durable when Put returned")
	})
}

func TestDirIsDurableBesideOthers(t *testing.T) {
	before, first := putter(t, "the first")
	do, second := putter(t, "the second")
	crashes(t, before, do, func(there map[string]bool, done bool) {
		require.True(t, there[first], "what was there stays")
		require.True(t, there[second] || !done, "durable when Put returned")
	})
	crashes(t, before, before, func(there map[string]bool, _ bool) {
		require.True(t, there[first], "to put again never loses it")
	})
}

func TestDirDeletesDurably(t *testing.T) {
	before, digest := putter(t, "old")
	crashes(t, before, func(s artifact.Store) error { return s.Delete(t.Context(), digest) }, func(there map[string]bool, done bool) {
		require.False(t, there[digest] && done, "it does not come back")
	})
	crashes(t, before, func(s artifact.Store) error {
		_, err := s.Expire(t.Context(), digest, time.Now().Add(time.Hour))
		return err
	}, func(there map[string]bool, done bool) {
		require.False(t, there[digest] && done, "it does not come back")
	})
}

// The process before died after it had made some folders.
func TestDirAfterADeadProcess(t *testing.T) {
	do, digest := putter(t, "weights")
	for n := range 12 {
		disk := atomicfiletest.NewDisk()
		disk.Fail = dieAt(n)
		require.ErrorIs(t, do(artifact.DirOn(disk, "a/b/c")), errDied)
		disk.Fail = nil
		require.NoError(t, do(artifact.DirOn(disk, "a/b/c")))
		require.True(t, requireWhole(t, disk.Crash(nil))[digest], "the first process died after %d operations", n)
	}
}

func TestDirOnADiskThatFillsUp(t *testing.T) {
	disk := atomicfiletest.NewDisk()
	left := 100_000
	disk.Fail = func(op, _ string) error {
		if op == "write" {
			if left -= 64 << 10; left < 0 {
				return syscall.ENOSPC
			}
		}
		return nil
	}
	_, _, err := artifact.DirOn(disk, "a").Put(t.Context(), bytes.NewReader(make([]byte, 1<<20)), nil)
	require.ErrorIs(t, err, artifact.ErrUnavailable)
	require.ErrorContains(t, err, "full: free some space")
	require.Empty(t, disk.Files(), "nothing partial stays")
}

// Between its look at a blob's time and the removal, Expire keeps every Put from
// giving the blob a new time.
func TestDirExpiresUnderALock(t *testing.T) {
	disk := atomicfiletest.NewDisk()
	s := artifact.DirOn(disk, "a")
	var names, removals int
	disk.Fail = func(op, name string) error {
		shared, exclusive := disk.Locked()
		switch {
		case op == "rename" || op == "chtimes":
			names++
			require.True(t, shared && !exclusive, "%s %s without the lock", op, name)
		case op == "remove":
			removals++
			require.True(t, exclusive, "%s %s without the lock", op, name)
		}
		return nil
	}
	digest := put(t, s, "x")
	ok, err := s.Expire(t.Context(), digest, time.Now().Add(time.Hour))
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, []int{2, 1}, []int{names, removals})
}

// lockless is a file system without locks.
type lockless struct{ atomicfile.Folder }

func (l lockless) Sub(name string) (atomicfile.Folder, error) {
	f, err := l.Folder.Sub(name)
	return lockless{f}, err
}

func (lockless) Lock(name string, _ bool) (io.Closer, error) {
	return nil, &fs.PathError{Op: "lock", Path: name, Err: errors.ErrUnsupported}
}

func TestDirWithoutLocks(t *testing.T) {
	s := artifact.DirOn(lockless{atomicfiletest.NewDisk()}, "a")
	digest := put(t, s, "x")
	_, err := s.Expire(t.Context(), digest, time.Now().Add(time.Hour))
	require.ErrorIs(t, err, artifact.ErrUnsupported)
	require.ErrorContains(t, err, "keep the artifacts on another one")
	_, err = read(s, digest)
	require.NoError(t, err)
	require.NoError(t, s.Delete(t.Context(), digest))
}
