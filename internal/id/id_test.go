package id_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/id"
)

func TestNewIsAVersion7UUID(t *testing.T) {
	before := time.Now().UnixMilli()
	s := id.New()
	after := time.Now().UnixMilli()
	require.True(t, id.Valid(s), s)
	u, err := uuid.Parse(s)
	require.NoError(t, err)
	require.EqualValues(t, 7, u.Version())
	require.Equal(t, uuid.RFC4122, u.Variant())
	sec, nsec := u.Time().UnixTime()
	made := time.Unix(sec, nsec).UnixMilli()
	require.True(t, before <= made && made <= after, "%d is not within [%d, %d]", made, before, after)
}

func TestNewRisesAndNeverRepeats(t *testing.T) {
	ids := make([]string, 10_000)
	for i := range ids {
		ids[i] = id.New()
	}
	require.True(t, slices.IsSorted(ids))
	require.Len(t, slices.Compact(ids), len(ids))
}

func TestNewConcurrently(t *testing.T) {
	var mu sync.Mutex
	seen := map[string]bool{}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 500 {
				s := id.New()
				mu.Lock()
				seen[s] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	require.Len(t, seen, 8*500)
}

func TestValid(t *testing.T) {
	good := strings.Repeat("0a", 16)
	require.True(t, id.Valid(good))
	for _, bad := range []string{"", good[1:], good + "0", strings.ToUpper(good), "g" + good[1:], "0192f3a4-0000-7000-8000-000000000000", "é" + good[2:]} {
		require.False(t, id.Valid(bad), bad)
	}
}
