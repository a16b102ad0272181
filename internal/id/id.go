// Package id makes the identifiers of runs, predictions and events.
package id

import (
	"encoding/hex"

	"github.com/google/uuid"
)

// New returns a new identifier: a version 7 UUID (RFC 9562 §5.7, ordered by
// time of creation) as 32 lower-case hex digits, the form MLflow uses.
// It is safe for concurrent use.
func New() string {
	u := uuid.Must(uuid.NewV7())
	return hex.EncodeToString(u[:])
}

// Valid reports whether s has the form that New returns.
func Valid(s string) bool {
	if len(s) != 32 {
		return false
	}
	for _, c := range s {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
