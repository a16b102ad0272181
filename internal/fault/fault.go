// Package fault holds the kinds of error that every mlloop package reports.
//
// A kind is a sentinel for errors.Is; the text around it says what was asked,
// what was wrong and what to do next:
//
//	tracking: get run 0192f3…: not found
//
// Each domain package re-exports the kinds it returns (tracking.ErrNotFound is
// fault.NotFound), so that one errors.Is works across the whole loop.
package fault

import (
	"errors"
	"fmt"
	"strings"
)

// The kinds.
var (
	// NotFound: the thing asked for does not exist.
	NotFound = errors.New("not found")
	// AlreadyExists: a thing of that name or id exists and differs.
	AlreadyExists = errors.New("already exists")
	// Conflict: the state changed since the caller looked, or forbids the change.
	Conflict = errors.New("conflict")
	// Invalid: the caller's input breaks a rule; trying again cannot help.
	Invalid = errors.New("invalid")
	// Unsupported: the backend, or this release, cannot do it.
	Unsupported = errors.New("unsupported")
	// Unavailable: a resource is out of reach (disk full, database locked); trying again may help.
	Unavailable = errors.New("unavailable")
	// Closed: the value was used after Close.
	Closed = errors.New("closed")
	// Corrupt: stored data fails its own checks.
	Corrupt = errors.New("corrupt")
	// Denied: the actor may not do this.
	Denied = errors.New("denied")
)

var kinds = []error{NotFound, AlreadyExists, Conflict, Invalid, Unsupported, Unavailable, Closed, Corrupt, Denied}

// Kind returns the kind of err: that of the outermost error made here, else
// the first kind that err wraps, else nil.
func Kind(err error) error {
	var f *fault
	if errors.As(err, &f) {
		return f.kind
	}
	for _, k := range kinds {
		if errors.Is(err, k) {
			return k
		}
	}
	return nil
}

// fault is an error with a kind: it prints the error alone and unwraps to both.
type fault struct {
	kind error
	err  error
}

func (f *fault) Error() string { return f.err.Error() }

func (f *fault) Unwrap() []error { return []error{f.kind, f.err} }

// Errorf returns an error of the kind whose text is the formatted message.
// A %w in the format is kept for errors.Is and errors.As.
func Errorf(kind error, format string, args ...any) error {
	return &fault{kind: kind, err: fmt.Errorf(format, args...)}
}

// Problems gathers everything that is wrong with one input, so that the
// caller is told all of it at once. The zero value is ready to use; it is not
// safe for concurrent use.
type Problems []string

// Addf notes one problem.
func (p *Problems) Addf(format string, args ...any) {
	*p = append(*p, fmt.Sprintf(format, args...))
}

// Err returns nil without problems, else one Invalid error that lists them all.
func (p Problems) Err() error {
	if len(p) == 0 {
		return nil
	}
	return Errorf(Invalid, "%s", strings.Join(p, "; "))
}

// Named returns the kind whose text is name, or nil: what a stored error was.
func Named(name string) error {
	for _, k := range kinds {
		if k.Error() == name {
			return k
		}
	}
	return nil
}
