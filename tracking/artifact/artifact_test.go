package artifact_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/tracking/artifact"
	"github.com/mlloop/mlloop/tracking/artifact/artifacttest"
)

func TestMemory(t *testing.T) {
	artifacttest.Run(t, func(*testing.T) artifact.Store { return artifact.Memory() })
}

func TestDir(t *testing.T) {
	artifacttest.Run(t, func(t *testing.T) artifact.Store {
		return artifact.Dir(filepath.Join(t.TempDir(), "deep", "artifacts"))
	})
}

func put(t *testing.T, s artifact.Store, content string) string {
	t.Helper()
	digest, _, err := s.Put(t.Context(), strings.NewReader(content), nil)
	require.NoError(t, err)
	return digest
}

func read(s artifact.Store, digest string) (string, error) {
	rc, err := s.Get(context.Background(), digest)
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(rc)
	return string(b), errors.Join(err, rc.Close())
}

// filesBelow lists the files in a folder, but for the lock.
func filesBelow(t *testing.T, folder string) (names []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(folder, path)
			if rel != "lock" {
				names = append(names, filepath.ToSlash(rel))
			}
		}
		return err
	}))
	return names
}

func TestDirLayout(t *testing.T) {
	folder := t.TempDir()
	digest := put(t, artifact.Dir(folder), "abc")
	require.Equal(t, []string{digest[:2] + "/" + digest[2:4] + "/" + digest}, filesBelow(t, folder))
	content, err := read(artifact.Dir(folder), digest)
	require.NoError(t, err, "another process sees it")
	require.Equal(t, "abc", content)
}

func TestDirFindsDamage(t *testing.T) {
	folder := t.TempDir()
	s := artifact.Dir(folder)
	digest := put(t, s, "precious bytes")
	file := filepath.Join(folder, filesBelow(t, folder)[0])
	for why, content := range map[string]string{"a flipped bit": "precious bytez", "cut short": "precious", "longer": "precious bytes!", "empty": ""} {
		require.NoError(t, os.WriteFile(file, []byte(content), 0o644))
		_, err := read(s, digest)
		require.ErrorIs(t, err, artifact.ErrCorrupt, why)
		require.ErrorContains(t, err, "restore it", why)
	}
	put(t, s, "precious bytes")
	_, err := read(s, digest)
	require.NoError(t, err, "putting it again mends it")
}

func TestDirGetOfAMissingFolder(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "none")
	_, err := artifact.Dir(folder).Get(t.Context(), strings.Repeat("0", 64))
	require.ErrorIs(t, err, artifact.ErrNotFound)
	require.NoDirExists(t, folder, "reading makes nothing")
}

func TestDirThatCannotBeMade(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o644))
	for _, folder := range []string{file, filepath.Join(file, "below")} {
		_, _, err := artifact.Dir(folder).Put(t.Context(), strings.NewReader("x"), nil)
		require.ErrorIs(t, err, artifact.ErrUnavailable, folder)
		require.ErrorContains(t, err, "check the folder", folder)
	}
}

// A symbolic link planted in the folder must not lead out of it.
func TestDirStaysInside(t *testing.T) {
	outside, folder := t.TempDir(), t.TempDir()
	s := artifact.Dir(folder)
	digest := put(t, artifact.Memory(), "abc")
	if err := os.Symlink(outside, filepath.Join(folder, digest[:2])); err != nil {
		t.Skip("no symbolic links here:", err)
	}
	_, _, err := s.Put(t.Context(), strings.NewReader("abc"), nil)
	require.ErrorIs(t, err, artifact.ErrUnavailable)
	require.Empty(t, filesBelow(t, outside))

	require.NoError(t, os.MkdirAll(filepath.Join(outside, digest[2:4]), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(outside, digest[2:4], digest), []byte("abc"), 0o644))
	_, err = read(s, digest)
	require.ErrorIs(t, err, artifact.ErrUnavailable)
}

func TestDirSweepsWhatDeadWritersLeft(t *testing.T) {
	folder := t.TempDir()
	put(t, artifact.Dir(folder), "first")
	dead, live := filepath.Join(folder, "incoming", "dead"), filepath.Join(folder, "incoming", "live")
	for _, name := range []string{dead, live} {
		require.NoError(t, os.WriteFile(name, []byte("part"), 0o644))
	}
	old := time.Now().Add(-25 * time.Hour)
	require.NoError(t, os.Chtimes(dead, old, old))
	put(t, artifact.Dir(folder), "second")
	require.NoFileExists(t, dead)
	require.FileExists(t, live)
}

// Random operations on a folder, some by a second handle, are compared with a
// map.
func TestDirAgainstAMap(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	folder := t.TempDir()
	stores := []artifact.Store{artifact.Dir(folder), artifact.Dir(folder)}
	want := map[string]string{}
	for range 100 {
		content := fmt.Sprintf("%*d", 1+rng.IntN(3000), rng.IntN(40))
		digest, size, err := stores[rng.IntN(2)].Put(t.Context(), strings.NewReader(content), nil)
		require.NoError(t, err)
		require.EqualValues(t, len(content), size)
		want[digest] = content
	}
	for digest, content := range want {
		got, err := read(stores[rng.IntN(2)], digest)
		require.NoError(t, err)
		require.Equal(t, content, got)
	}
	require.Len(t, filesBelow(t, folder), len(want), "one file a blob, and none left in incoming")
}

func FuzzDir(f *testing.F) {
	f.Add([]byte("abc"), "../../etc/passwd")
	f.Add([]byte{}, strings.Repeat("a", 64))
	s := artifact.Dir(f.TempDir())
	f.Fuzz(func(t *testing.T, content []byte, name string) {
		digest, _, err := s.Put(t.Context(), bytes.NewReader(content), nil)
		require.NoError(t, err)
		got, err := read(s, digest)
		require.NoError(t, err)
		require.Equal(t, string(content), got)
		if rc, err := s.Get(t.Context(), name); err == nil {
			require.NoError(t, rc.Close())
			require.Len(t, name, 64, "only a digest names a blob")
		}
	})
}
