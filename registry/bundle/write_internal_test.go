package bundle

import (
	"errors"
	"io/fs"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/atomicfile"
	"github.com/mlloop/mlloop/internal/atomicfile/atomicfiletest"
)

func TestFullDiskSaysWhatToDo(t *testing.T) {
	err := storageFault(&fs.PathError{Op: "write", Path: "weights.safetensors", Err: syscall.ENOSPC})
	require.ErrorIs(t, err, ErrUnavailable)
	require.EqualError(t, err, "the disk is full: free some space and try again: write weights.safetensors: no space left on device")
	require.ErrorIs(t, storageFault(syscall.ENOTEMPTY), ErrAlreadyExists)
}

// A folder that a machine died over is whole or not there.
func TestWriteDirOnADiskThatDies(t *testing.T) {
	b, err := New(Spec{Flavor: "x", CreatedAt: time.Unix(1e9, 0)}, map[string][]byte{"deep/weights": []byte("w")})
	require.NoError(t, err)
	died := errors.New("the machine died")
	for n := 0; ; n++ {
		disk, left := atomicfiletest.NewDisk(), n
		require.NoError(t, atomicfile.MkdirAll(disk, "models"))
		disk.Fail = func(string, string) error {
			if left--; left < 0 {
				return died
			}
			return nil
		}
		err := b.writeDir(t.Context(), disk, "models/1")
		after := disk.Crash(nil)
		if err == nil {
			require.Equal(t, []string{"models/1/MLmodel", "models/1/deep/weights", "models/1/manifest.json"}, after.Files())
			require.Greater(t, n, 5)
			return
		}
		require.ErrorIs(t, err, died)
		if _, err := after.Lstat("models/1"); err == nil {
			require.Len(t, after.Files(), 3, "what is visible is whole")
		}
	}
}
