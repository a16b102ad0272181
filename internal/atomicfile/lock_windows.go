package atomicfile

import (
	"os"
	"syscall"
	"unsafe"
)

// lock waits for the lock of an open file, see LockFileEx.
func lock(f *os.File, exclusive bool) error {
	const exclusively = 2 // LOCKFILE_EXCLUSIVE_LOCK
	var how uintptr
	if exclusive {
		how = exclusively
	}
	call := syscall.NewLazyDLL("kernel32.dll").NewProc("LockFileEx")
	if err := call.Find(); err != nil {
		return err
	}
	var place syscall.Overlapped
	ok, _, err := call.Call(f.Fd(), how, 0, 1, 0, uintptr(unsafe.Pointer(&place)))
	if ok == 0 {
		return err
	}
	return nil
}
