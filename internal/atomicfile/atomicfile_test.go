package atomicfile_test

import (
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/atomicfile"
	"github.com/mlloop/mlloop/internal/atomicfile/atomicfiletest"
)

func text(s string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	}
}

func contentOf(f atomicfile.Folder, name string) (string, error) {
	file, err := f.Open(name)
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(file)
	return string(b), errors.Join(err, file.Close())
}

// errDied is what every operation answers when the machine is dead.
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

// crashes does something to a disk that dies after 0, 1, 2 … operations, and
// checks each of what is left, many times by chance. It ends when all
// operations passed.
func crashes(t *testing.T, prepare, do func(f atomicfile.Folder) error, check func(t *testing.T, left *atomicfiletest.Disk, done bool)) {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	for n := 0; ; n++ {
		disk := atomicfiletest.NewDisk()
		require.NoError(t, prepare(disk))
		disk.Fail = dieAt(n)
		err := do(disk)
		check(t, disk.Crash(nil), err == nil)
		for range 20 {
			check(t, disk.Crash(rng), err == nil)
		}
		if err == nil {
			require.Greater(t, n, 2, "the operations went through Fail")
			return
		}
		require.ErrorIs(t, err, errDied)
	}
}

func TestWriteFileIsAtomicAndDurable(t *testing.T) {
	old := func(f atomicfile.Folder) error { return atomicfile.WriteFile(f, "state", text("old")) }
	write := func(f atomicfile.Folder) error { return atomicfile.WriteFile(f, "state", text("the new state")) }
	crashes(t, old, write, func(t *testing.T, left *atomicfiletest.Disk, done bool) {
		got, err := contentOf(left, "state")
		require.NoError(t, err)
		if done || got != "old" {
			require.Equal(t, "the new state", got)
		}
	})
}

func TestMkdirAllIsDurable(t *testing.T) {
	nothing := func(atomicfile.Folder) error { return nil }
	mkdir := func(f atomicfile.Folder) error { return atomicfile.MkdirAll(f, "a/b/c") }
	crashes(t, nothing, mkdir, func(t *testing.T, left *atomicfiletest.Disk, done bool) {
		_, err := left.Lstat("a/b/c")
		require.True(t, err == nil || !done, "all three names are durable")
	})
}

// One process makes the folders, and dies before it has synced them; another
// finds some of them.
func TestMkdirAllAfterADeadProcess(t *testing.T) {
	for n := range 6 {
		disk := atomicfiletest.NewDisk()
		disk.Fail = dieAt(n)
		require.ErrorIs(t, atomicfile.MkdirAll(disk, "a/b/c"), errDied)
		disk.Fail = nil
		require.NoError(t, atomicfile.MkdirAll(disk, "a/b/c"))
		_, err := disk.Crash(nil).Lstat("a/b/c")
		require.NoError(t, err, "the first process died after %d operations", n)
	}
}

func TestMkdirAllRefusesAFile(t *testing.T) {
	disk := atomicfiletest.NewDisk()
	require.NoError(t, atomicfile.WriteFile(disk, "file", text("")))
	require.ErrorIs(t, atomicfile.MkdirAll(disk, "file/below"), syscall.ENOTDIR)
	dir := t.TempDir()
	require.NoError(t, atomicfile.MkdirAll(atomicfile.OS(), filepath.Join(dir, "a", "b")))
	require.NoError(t, atomicfile.MkdirAll(atomicfile.OS(), filepath.Join(dir, "a", "b")))
	require.NoError(t, os.Symlink(filepath.Join(dir, "a"), filepath.Join(dir, "link")))
	require.NoError(t, atomicfile.MkdirAll(atomicfile.OS(), filepath.Join(dir, "link", "c")))
	require.DirExists(t, filepath.Join(dir, "a", "c"))
}

func fill(tree *atomicfile.Tree) error {
	return errors.Join(tree.Write("x/y/deep", text("deep")), tree.Write("x/near", text("near")), tree.Write("top", text("top")))
}

func TestWriteDirIsAtomicAndDurable(t *testing.T) {
	parent := func(f atomicfile.Folder) error { return atomicfile.MkdirAll(f, "models") }
	write := func(f atomicfile.Folder) error { return atomicfile.WriteDir(f, "models/1", fill) }
	crashes(t, parent, write, func(t *testing.T, left *atomicfiletest.Disk, done bool) {
		if _, err := left.Lstat("models/1"); errors.Is(err, fs.ErrNotExist) {
			require.False(t, done, "it is durable")
			return
		}
		for name, want := range map[string]string{"x/y/deep": "deep", "x/near": "near", "top": "top"} {
			got, err := contentOf(left, "models/1/"+name)
			require.NoError(t, err, "what is visible is whole")
			require.Equal(t, want, got)
		}
	})
}

func TestFailedWritesLeaveNothing(t *testing.T) {
	boom := errors.New("boom")
	fails := func(io.Writer) error { return boom }
	disk := atomicfiletest.NewDisk()
	require.ErrorIs(t, atomicfile.WriteFile(disk, "f", fails), boom)
	require.ErrorIs(t, atomicfile.WriteDir(disk, "d", func(tree *atomicfile.Tree) error {
		return errors.Join(tree.Write("a/b", text("x")), tree.Write("c", fails))
	}), boom)
	require.Empty(t, disk.Files())
}

// The operating system does what the disk in memory does.
func TestOS(t *testing.T) {
	dir := t.TempDir()
	root, err := atomicfile.OS().Sub(dir)
	require.NoError(t, err)
	for _, c := range []struct {
		f      atomicfile.Folder
		prefix string
	}{{atomicfile.OS(), dir + "/plain"}, {root, "rooted"}} {
		require.NoError(t, atomicfile.MkdirAll(c.f, c.prefix+"/a/b"))
		require.NoError(t, atomicfile.WriteFile(c.f, c.prefix+"/a/f", text("one")))
		require.NoError(t, atomicfile.WriteFile(c.f, c.prefix+"/a/f", text("two")))
		got, err := contentOf(c.f, c.prefix+"/a/f")
		require.NoError(t, err)
		require.Equal(t, "two", got)
		require.NoError(t, atomicfile.WriteDir(c.f, c.prefix+"/d", fill))
		require.Error(t, atomicfile.WriteDir(c.f, c.prefix+"/d", fill), "it is there")
		require.Error(t, atomicfile.WriteDir(c.f, c.prefix+"/none/d", fill), "no folder for it")
		entries, err := c.f.ReadDir(c.prefix)
		require.NoError(t, err)
		require.Len(t, entries, 2, "nothing temporary is left: %v", entries)
	}
	_, err = contentOf(root, "../outside")
	require.Error(t, err)
	require.NoError(t, root.Close())
}

func TestLockExcludes(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "lock")
	first, err := atomicfile.OS().Lock(name, false)
	require.NoError(t, err)
	second, err := atomicfile.OS().Lock(name, false)
	require.NoError(t, err, "shared")
	got := make(chan error)
	go func() {
		exclusive, err := atomicfile.OS().Lock(name, true)
		if err == nil {
			err = exclusive.Close()
		}
		got <- err
	}()
	require.NoError(t, first.Close())
	select {
	case <-got:
		t.Fatal("the lock is still shared")
	default:
	}
	require.NoError(t, second.Close())
	require.NoError(t, <-got)
}

func TestTempIsHiddenAndNew(t *testing.T) {
	a, b := atomicfile.Temp("folder/file"), atomicfile.Temp("folder/file")
	require.NotEqual(t, a, b)
	require.Equal(t, "folder", filepath.Dir(a))
	require.True(t, strings.HasPrefix(filepath.Base(a), ".file.tmp-"), a)
}
