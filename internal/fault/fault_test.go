package fault_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
)

func TestErrorf(t *testing.T) {
	cause := &fs.PathError{Op: "open", Path: "x", Err: io.ErrUnexpectedEOF}
	err := fault.Errorf(fault.Corrupt, "read %s: %w", "x", cause)
	require.EqualError(t, err, "read x: open x: unexpected EOF", "the kind is not printed")
	require.ErrorIs(t, err, fault.Corrupt)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	var path *fs.PathError
	require.ErrorAs(t, err, &path)
	require.NotErrorIs(t, err, fault.NotFound)

	wrapped := fmt.Errorf("tracking: get run x: %w", err)
	require.ErrorIs(t, wrapped, fault.Corrupt)
	require.Equal(t, "tracking: get run x: read x: open x: unexpected EOF", wrapped.Error())
}

func TestKind(t *testing.T) {
	kinds := []error{fault.NotFound, fault.AlreadyExists, fault.Conflict, fault.Invalid, fault.Unsupported,
		fault.Unavailable, fault.Closed, fault.Corrupt, fault.Denied}
	for _, kind := range kinds {
		require.Equal(t, kind, fault.Kind(kind))
		require.Equal(t, kind, fault.Kind(fmt.Errorf("outside: %w", fault.Errorf(kind, "inside"))))
		for _, other := range kinds {
			require.Equal(t, kind == other, errors.Is(fault.Errorf(kind, "x"), other))
		}
	}
	require.NoError(t, fault.Kind(nil))
	require.NoError(t, fault.Kind(io.EOF))

	inner := fault.Errorf(fault.NotFound, "no such file")
	outer := fault.Errorf(fault.Unavailable, "out of reach: %w", inner)
	require.Equal(t, fault.Unavailable, fault.Kind(outer), "the outermost kind counts")
	require.ErrorIs(t, outer, fault.NotFound, "the inner one can still be found")
}

func TestProblems(t *testing.T) {
	var p fault.Problems
	require.NoError(t, p.Err())
	p.Addf("name is empty")
	p.Addf("limit %d is negative", -1)
	err := p.Err()
	require.ErrorIs(t, err, fault.Invalid)
	require.EqualError(t, err, "name is empty; limit -1 is negative")
}
