package retraindbos

import (
	"errors"
	"os"
	"strings"
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

// machine names the machine and, where it is known, its boot and the space that
// its process ids are of: two containers may share a name, and a process of
// another space would be taken for dead. "": unknown; no process is taken for a
// neighbour then.
func machine() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	// Other systems than Linux have neither.
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	space, _ := os.Readlink("/proc/self/ns/pid")
	return name + " " + strings.TrimSpace(string(boot)) + " " + space
}
