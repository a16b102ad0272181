//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package atomicfile

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// lock waits for the lock of an open file, see flock(2).
func lock(f *os.File, exclusive bool) error {
	how := syscall.LOCK_SH
	if exclusive {
		how = syscall.LOCK_EX
	}
	for {
		err := syscall.Flock(int(f.Fd()), how)
		switch {
		case err == syscall.ENOLCK: // a network file system without its lock service
			return fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
		case err != syscall.EINTR:
			return err
		}
	}
}
