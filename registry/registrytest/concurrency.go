package registrytest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/registry"
)

// racers is how many goroutines compete, movers how many move one alias.
const (
	racers = 50
	movers = 200
)

func concurrencyCases() []testCase {
	return []testCase{
		{"of many promotions at once one wins", "two champions, or a lost one, is what compare-and-set is against", onePromotionWins},
		{"of many moves at once none is lost", "each holder's token must be its own, and the trail must tell every move", noMoveIsLost},
		{"versions made at once get numbers without gaps", "a number is taken once, and a gap would look like a deletion", numbersHaveNoGaps},
		{"one key used at once gives one version", "retries overlap when a step times out", oneKeyIsOneVersion},
		{"one model made at once is made once", "services start together", oneModelIsMadeOnce},
		{"of many renames to one name one wins", "two models of one name could not be told apart", oneRenameWins},
	}
}

func onePromotionWins(t *testing.T, s registry.Store) {
	withVersions(t, s, "m", racers)
	errs := race(racers, func(i int) error { return setAlias(t, s, "m", registry.Champion, 0, int64(i+1)) })
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
	a, _, err := s.Alias(t.Context(), "m", registry.Champion)
	require.NoError(t, err)
	require.EqualValues(t, winner+1, a.Version)
	require.Len(t, events(t, s, "m"), 1+racers+1)
}

// noMoveIsLost lets every mover read the alias and move it, until it has.
func noMoveIsLost(t *testing.T, s registry.Store) {
	withVersions(t, s, "m", 2)
	require.NoError(t, setAlias(t, s, "m", "a", 0, 1))
	tokens := make([]int64, movers)
	errs := race(movers, func(i int) error {
		for {
			now, _, err := s.Alias(t.Context(), "m", "a")
			if err != nil {
				return err
			}
			a, moved, err := s.SetAlias(t.Context(), move("m", "a", now.Version, 3-now.Version, now.Seq))
			switch {
			case err == nil && moved:
				tokens[i] = a.Seq
				return nil
			case err != nil && !errors.Is(err, registry.ErrConflict):
				return err
			}
		}
	})
	require.NoError(t, errors.Join(errs...))
	slices.Sort(tokens)
	for i, token := range tokens {
		require.EqualValues(t, 5+i, token, "tokens are distinct, and none is lost")
	}
	trail := events(t, s, "m")[3:]
	require.Len(t, trail, 1+movers)
	for i, e := range trail[1:] {
		require.Equal(t, trail[i].To, e.From, "event %d continues where the one before ended", e.Seq)
	}
}

func numbersHaveNoGaps(t *testing.T, s registry.Store) {
	createModel(t, s, "m")
	var mu sync.Mutex
	digests := map[int64]string{}
	errs := race(racers, func(i int) error {
		digest := fmt.Sprint("d", i)
		v, _, err := s.CreateVersion(t.Context(), candidate("m", digest, digest), made("m", digest))
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
	errs := race(racers, func(int) error {
		v, _, err := s.CreateVersion(t.Context(), candidate("m", "d", "k"), made("m", "d"))
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
	for _, err := range race(racers, func(int) error {
		return s.CreateModel(t.Context(), named("m"), ask("m", registry.ModelCreated))
	}) {
		if err == nil {
			won++
			continue
		}
		require.ErrorIs(t, err, registry.ErrAlreadyExists)
	}
	require.Equal(t, 1, won)
}

func oneRenameWins(t *testing.T, s registry.Store) {
	for i := range racers {
		createModel(t, s, fmt.Sprint("m", i))
	}
	won := 0
	for _, err := range race(racers, func(i int) error {
		from := fmt.Sprint("m", i)
		_, err := s.RenameModel(t.Context(), from, "wanted", renamed(from, "wanted"))
		return err
	}) {
		if err == nil {
			won++
			continue
		}
		require.ErrorIs(t, err, registry.ErrAlreadyExists)
	}
	require.Equal(t, 1, won)
	models, err := s.Models(t.Context(), "", 0)
	require.NoError(t, err)
	require.Len(t, models, racers)
	require.Len(t, events(t, s, "wanted"), 2)
}

// race calls f in n goroutines that start together, and returns its errors.
func race(n int, f func(i int) error) []error {
	errs := make([]error, n)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-start
			errs[i] = f(i)
		})
	}
	close(start)
	wg.Wait()
	return errs
}
