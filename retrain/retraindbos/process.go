package retraindbos

import (
	"errors"
	"os"
	"syscall"
)

// processGone reports whether no process of this machine has the id. Where the
// system does not say, it is false.
func processGone(pid int) bool {
	p, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	defer func() { _ = p.Release() }()
	return errors.Is(p.Signal(syscall.Signal(0)), os.ErrProcessDone)
}
