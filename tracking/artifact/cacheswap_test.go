package artifact_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/atomicfile"
	"github.com/mlloop/mlloop/tracking/artifact"
)

// swapping is a folder that another process puts files into: before the second
// time that one is opened.
type swapping struct {
	atomicfile.Folder
	path  string
	opens *int
}

func (s swapping) Sub(name string) (atomicfile.Folder, error) {
	sub, err := s.Folder.Sub(name)
	return swapping{sub, name, s.opens}, err
}

func (s swapping) Open(name string) (atomicfile.File, error) {
	if *s.opens++; *s.opens == 2 {
		path := filepath.Join(s.path, name)
		if err := os.Remove(path); err != nil {
			return nil, err
		}
		if err := os.WriteFile(path, []byte("other"), 0o666); err != nil {
			return nil, err
		}
	}
	return s.Folder.Open(name)
}

// What was verified, or fetched, is what is read, also where the file is replaced
// in between.
func TestCacheWhoseFileIsReplaced(t *testing.T) {
	for _, found := range []bool{false, true} {
		s, dir, opens := artifact.Memory(), t.TempDir(), 0
		digest, _, err := s.Put(t.Context(), strings.NewReader("bytes"), nil)
		require.NoError(t, err)
		if found {
			requireOpen(t, artifact.NewCache(dir, nil), s, digest, "bytes")
		}
		c := artifact.CacheOn(swapping{atomicfile.OS(), "", &opens}, dir)
		requireOpen(t, c, s, digest, "bytes")
		require.Equal(t, int64(1), c.Stats().Streamed)
		requireOpen(t, c, s, digest, "bytes")
		require.Equal(t, int64(1), c.Stats().Damaged)
	}
}
