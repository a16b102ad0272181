package bundle

import (
	"io/fs"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFullDiskSaysWhatToDo(t *testing.T) {
	err := storageFault(&fs.PathError{Op: "write", Path: "weights.safetensors", Err: syscall.ENOSPC})
	require.ErrorIs(t, err, ErrUnavailable)
	require.EqualError(t, err, "the disk is full: free some space and try again: write weights.safetensors: no space left on device")
	require.ErrorIs(t, storageFault(syscall.ENOTEMPTY), ErrAlreadyExists)
}
