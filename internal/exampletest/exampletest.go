// Package exampletest lets an Example run a test for real: the Examples of the
// …test packages show tests, and a *testing.T is not to be had there.
package exampletest

import (
	"os"
	"testing"
)

// Passes runs a test as go test does and says whether it passed. What it
// prints under -v stays out of the example's output. Examples run one after
// the other; it is not for concurrent use.
func Passes(test func(t *testing.T)) bool {
	stdout := os.Stdout
	defer func() { os.Stdout = stdout }()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return false
	}
	defer func() { _ = null.Close() }() // nothing of it is kept
	os.Stdout = null
	all := func(string, string) (bool, error) { return true, nil }
	return testing.RunTests(all, []testing.InternalTest{{Name: "Test", F: test}})
}
