package artifact_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/atomicfile"
	"github.com/mlloop/mlloop/tracking/artifact"
)

// A process that was stopped while it held the folder's lock holds up nobody for
// longer than his context.
func TestDirWhoseLockIsHeld(t *testing.T) {
	path := t.TempDir()
	s := artifact.Dir(path)
	digest, _, err := s.Put(t.Context(), strings.NewReader("old"), nil)
	require.NoError(t, err)
	held, err := atomicfile.OS().Lock(filepath.Join(path, "lock"), true)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, _, err = s.Put(ctx, strings.NewReader("new"), nil)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	_, err = s.Expire(ctx, digest, time.Now().Add(time.Hour))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NoError(t, held.Close())
	// Who gave up does not keep it.
	removed, err := s.Expire(t.Context(), digest, time.Now().Add(time.Hour))
	require.NoError(t, err)
	require.True(t, removed)
}
