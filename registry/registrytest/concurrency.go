package registrytest

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/registry"
)

// racers is how many goroutines compete.
const racers = 50

func concurrencyCases() []testCase {
	return []testCase{
		{"of many promotions at once one wins", "two champions, or a lost one, is what compare-and-set is against", onePromotionWins},
		{"versions made at once get numbers without gaps", "a number is taken once, and a gap would look like a deletion", numbersHaveNoGaps},
		{"one key used at once gives one version", "retries overlap when a step times out", oneKeyIsOneVersion},
		{"one model made at once is made once", "services start together", oneModelIsMadeOnce},
	}
}

func onePromotionWins(t *testing.T, s registry.Store) {
	withVersions(t, s, "m", racers)
	errs := race(func(i int) error { return setAlias(t, s, "m", registry.Champion, 0, int64(i+1)) })
	winner := -1
	for i, err := range errs {
		if err == nil {
			require.Equal(t, -1, winner, "only one wins")
			winner = i
			continue
		}
		require.ErrorIs(t, err, registry.ErrConflict)
	}
	require.NotEqual(t, -1, winner, "one wins")
	a, err := s.Alias(t.Context(), "m", registry.Champion)
	require.NoError(t, err)
	require.EqualValues(t, winner+1, a.Version)
	require.Len(t, events(t, s, "m"), 1+racers+1)
}

func numbersHaveNoGaps(t *testing.T, s registry.Store) {
	createModel(t, s, "m")
	var mu sync.Mutex
	digests := map[int64]string{}
	errs := race(func(i int) error {
		digest := fmt.Sprint("d", i)
		v, err := s.CreateVersion(t.Context(), candidate("m", digest, digest), ask("m", registry.VersionCreated))
		mu.Lock()
		defer mu.Unlock()
		digests[v.Number] = digest
		return err
	})
	require.NoError(t, errors.Join(errs...))
	for number := int64(1); number <= racers; number++ {
		v, err := s.Version(t.Context(), "m", number)
		require.NoError(t, err)
		require.Equal(t, digests[number], v.Digest)
	}
	for i, e := range events(t, s, "m") {
		require.EqualValues(t, i+1, e.Seq)
		require.EqualValues(t, i, e.Version, "versions and events are in one order")
	}
}

func oneKeyIsOneVersion(t *testing.T, s registry.Store) {
	createModel(t, s, "m")
	errs := race(func(int) error {
		v, err := s.CreateVersion(t.Context(), candidate("m", "d", "k"), ask("m", registry.VersionCreated))
		if err == nil && v.Number != 1 {
			return fmt.Errorf("got number %d", v.Number)
		}
		return err
	})
	require.NoError(t, errors.Join(errs...))
	require.Len(t, events(t, s, "m"), 2)
}

func oneModelIsMadeOnce(t *testing.T, s registry.Store) {
	won := 0
	for _, err := range race(func(int) error {
		return s.CreateModel(t.Context(), registry.Model{Name: "m", CreatedAt: at(1)}, ask("m", registry.ModelCreated))
	}) {
		if err == nil {
			won++
			continue
		}
		require.ErrorIs(t, err, registry.ErrAlreadyExists)
	}
	require.Equal(t, 1, won)
}

// race calls f in many goroutines that start together, and returns its errors.
func race(f func(i int) error) []error {
	errs := make([]error, racers)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range racers {
		wg.Go(func() {
			<-start
			errs[i] = f(i)
		})
	}
	close(start)
	wg.Wait()
	return errs
}
