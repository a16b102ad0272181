package registry_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/registry/registrymem"
	"github.com/mlloop/mlloop/registry/registrytest"
	"github.com/mlloop/mlloop/tracking/artifact"
)

// tampered is a store whose rows were changed behind the registry's back. What
// is nil leaves them as they are.
type tampered struct {
	registry.Store
	version func(v *registry.Version)
	alias   func(a *registry.Alias)
	event   func(e *registry.Event)
	dropped int64          // this event is missing
	hidden  int64          // this version is missing
	newest  int64          // and all those above, unless 0
	gone    string         // this alias is missing
	added   registry.Alias // and this one was added, unless it has no name
}

func (s *tampered) Version(ctx context.Context, model string, number int64) (registry.Version, error) {
	v, err := s.Store.Version(ctx, model, number)
	if s.version != nil {
		s.version(&v)
	}
	return v, err
}

func (s *tampered) Versions(ctx context.Context, model string, before int64, limit int) ([]registry.Version, error) {
	rows, err := s.Store.Versions(ctx, model, before, limit)
	var kept []registry.Version
	for _, v := range rows {
		if v.Number == s.hidden || s.newest != 0 && v.Number > s.newest {
			continue
		}
		if s.version != nil {
			s.version(&v)
		}
		kept = append(kept, v)
	}
	return kept, err
}

func (s *tampered) Alias(ctx context.Context, model, alias string) (registry.Alias, registry.Version, error) {
	a, v, err := s.Store.Alias(ctx, model, alias)
	if s.alias != nil {
		s.alias(&a)
		v, err = s.Version(ctx, model, a.Version)
	} else if s.version != nil {
		s.version(&v)
	}
	return a, v, err
}

func (s *tampered) Aliases(ctx context.Context, model, after string, limit int) ([]registry.Alias, error) {
	rows, err := s.Store.Aliases(ctx, model, after, limit)
	var kept []registry.Alias
	if s.added.Name > after {
		kept = append(kept, s.added)
	}
	for _, a := range rows {
		if a.Name == s.gone {
			continue
		}
		if s.alias != nil {
			s.alias(&a)
		}
		kept = append(kept, a)
	}
	return kept, err
}

func (s *tampered) Events(ctx context.Context, q registry.EventQuery) ([]registry.Event, error) {
	rows, err := s.Store.Events(ctx, q)
	var kept []registry.Event
	for _, e := range rows {
		if e.Seq == s.dropped {
			continue
		}
		if s.event != nil {
			s.event(&e)
		}
		kept = append(kept, e)
	}
	return kept, err
}

// audited returns a model with a history: versions 1 to 3, events 1 to 8; the
// champion is version 2, old is version 1.
func audited(t *testing.T) (*registry.Client, *tampered) {
	store := &tampered{Store: registrymem.New()}
	models := registry.New(store, artifact.Memory(), nil)
	for _, content := range []string{"1", "2", "3"} {
		register(t, models, "m", content)
	}
	require.NoError(t, errOf(models.Promote(t.Context(), "m", 1, 0, registry.Change{})))
	require.NoError(t, models.SetState(t.Context(), "m", 2, registry.Candidate, registry.Approved, registry.Change{}))
	require.NoError(t, errOf(models.Promote(t.Context(), "m", 2, 1, registry.Change{})))
	require.NoError(t, errOf(models.SetAlias(t.Context(), "m", "old", 0, 1, registry.Change{})))
	require.NoError(t, models.VerifyAudit(t.Context(), "m", nil))
	return models, store
}

// ofVersion changes the rows of one version, ofEvent one event.
func ofVersion(number int64, change func(v *registry.Version)) func(*tampered) {
	return func(s *tampered) {
		s.version = func(v *registry.Version) {
			if v.Number == number {
				change(v)
			}
		}
	}
}

func ofEvent(seq int64, change func(e *registry.Event)) func(*tampered) {
	return func(s *tampered) {
		s.event = func(e *registry.Event) {
			if e.Seq == seq {
				change(e)
			}
		}
	}
}

func ofAlias(name string, change func(a *registry.Alias)) func(*tampered) {
	return func(s *tampered) {
		s.alias = func(a *registry.Alias) {
			if a.Name == name {
				change(a)
			}
		}
	}
}

func TestVerifyAuditFindsWhatWasChanged(t *testing.T) {
	evil := registrytest.Bundle(t, "evil").Digest()
	for want, tamper := range map[string]func(s *tampered){
		"version 2 has the digest " + evil + " in its table": ofVersion(2, func(v *registry.Version) { v.Digest = evil }),
		"version 1: its key, lineage or time":                ofVersion(1, func(v *registry.Version) { v.Lineage.RunID = "forged" }),
		"version 3: its key, lineage or time":                ofVersion(3, func(v *registry.Version) { v.Key = "k" }),
		"not what event 3 made":                              ofVersion(2, func(v *registry.Version) { v.Seq = 2 }),
		"version 3 is approved in its table, candidate by":   ofVersion(3, func(v *registry.Version) { v.State = registry.Approved }),
		"version 2 is in the trail and missing":              func(s *tampered) { s.hidden = 2 },
		"version 1 is in the trail and missing":              func(s *tampered) { s.hidden = 1 },
		"version 3 is in the trail and missing":              func(s *tampered) { s.newest = 2 },

		"alias champion points at version 3 (event 7) in its table, at version 2 (event 7)": ofAlias("champion", func(a *registry.Alias) { a.Version = 3 }),
		"alias old points at version 1 (event 7) in its table":                              ofAlias("old", func(a *registry.Alias) { a.Seq = 7 }),
		"alias old points at version 0 (event 0) in its table":                              func(s *tampered) { s.gone = "old" },
		"alias another points at version 1 (event 4) in its table, at version 0":            func(s *tampered) { s.added = registry.Alias{Model: "m", Name: "another", Version: 1, Seq: 4} },

		"event 3 follows event 1: some are missing": func(s *tampered) { s.dropped = 2 },
		"event 2 does not fit its hash":             ofEvent(2, func(e *registry.Event) { e.Digest = evil }),
		"event 3 does not fit its hash":             ofEvent(3, func(e *registry.Event) { e.Content = "" }),
		"event 4 belongs to model x":                ofEvent(4, func(e *registry.Event) { e.ModelID = "x" }),
		"event 5 does not fit its hash":             ofEvent(5, func(e *registry.Event) { e.Reason = "forged" }),

		`the model is called "n" in its table, "m" by the trail`: func(s *tampered) { s.event = func(e *registry.Event) { e.Model = "n" } },
	} {
		models, store := audited(t)
		tamper(store)
		err := models.VerifyAudit(t.Context(), "m", nil)
		require.ErrorIs(t, err, registry.ErrCorrupt, want)
		require.ErrorContains(t, err, want)
	}
}

func TestVerifyAuditOfANewerRelease(t *testing.T) {
	models, store := audited(t)
	ofEvent(8, func(e *registry.Event) { e.Format = 2 })(store)
	err := models.VerifyAudit(t.Context(), "m", nil)
	require.ErrorIs(t, err, registry.ErrUnsupported)
	require.ErrorContains(t, err, "run the newer mlloop")
}

// A trail that fits its hashes can still tell what cannot be.
func TestVerifyAuditFindsEventsThatDoNotFollow(t *testing.T) {
	for name, e := range map[string]registry.Event{
		"a second beginning":              {Kind: registry.ModelCreated, To: "m"},
		"a version is left out":           {Kind: registry.VersionCreated, Version: 3, To: "candidate"},
		"another state before":            {Kind: registry.VersionState, Version: 1, From: "approved", To: "rejected"},
		"the state of an unknown version": {Kind: registry.VersionState, Version: 9, From: "candidate", To: "rejected"},
		"another version before":          {Kind: registry.AliasSet, Alias: "a", Version: 1, From: "2", To: "1"},
		"an alias to an unknown version":  {Kind: registry.AliasSet, Alias: "a", Version: 9, To: "9"},
		"no alias to delete":              {Kind: registry.AliasDeleted, Alias: "a", Version: 1, From: "1"},
		"another name before":             {Kind: registry.ModelRenamed, From: "n", To: "m"},
	} {
		store := registrymem.New()
		models := registry.New(store, artifact.Memory(), nil)
		register(t, models, "m", "1")
		e.Model = "m"
		added := &appended{Store: store, e: e}
		err := registry.New(added, artifact.Memory(), nil).VerifyAudit(t.Context(), "m", nil)
		require.ErrorIs(t, err, registry.ErrCorrupt, name)
		require.ErrorContains(t, err, "event 3 ("+e.Kind+") does not follow from those before", name)
	}
}

// appended is a store with a forged event at the end, its hash sound.
type appended struct {
	registry.Store
	e registry.Event
}

func (s *appended) Events(ctx context.Context, q registry.EventQuery) ([]registry.Event, error) {
	events, err := s.Store.Events(ctx, q)
	if len(events) > 0 {
		last := events[len(events)-1]
		s.e.ModelID = last.ModelID
		events = append(events, s.e.Follow(last))
	}
	return events, err
}

func TestResolveAndLoadAskTheTrail(t *testing.T) {
	models, store := audited(t)
	evil, err := models.Put(t.Context(), registrytest.Bundle(t, "evil"))
	require.NoError(t, err)
	refuses := func(ref, want string) {
		t.Helper()
		// A Client that has seen the row sound, and one that has seen nothing.
		for _, models := range []*registry.Client{models, registry.New(store, artifact.Memory(), nil)} {
			_, err := models.Resolve(t.Context(), ref)
			require.ErrorIs(t, err, registry.ErrCorrupt)
			require.ErrorContains(t, err, want)
			_, _, err = models.Load(t.Context(), ref)
			require.ErrorIs(t, err, registry.ErrCorrupt)
			require.ErrorContains(t, err, want)
		}
	}
	for _, ref := range []string{"m/2", "m@champion", "m/latest", "m@old"} {
		_, _, err := models.Load(t.Context(), ref)
		require.NoError(t, err)
	}
	store.version = func(v *registry.Version) { v.Digest = evil }
	refuses("m/2", "version 2 has the digest "+evil+", by the audit trail (event 3) it has "+registrytest.Bundle(t, "2").Digest())
	refuses("m@champion", "version 2 has the digest "+evil)
	refuses("m/latest", "version 3 has the digest "+evil)
	store.version = func(v *registry.Version) { v.Lineage.DataDigest = "forged" }
	refuses("m@old", "version 1: its key, lineage or time")
	store.version = func(v *registry.Version) { v.Seq++ }
	refuses("m@old", "event 3 did not make version 1")
	store.version = func(v *registry.Version) { v.ModelID = "another" }
	refuses("m/1", "wanted is another")
	store.version = nil
	store.alias = func(a *registry.Alias) { a.Version = 3 }
	refuses("m@champion", "alias champion points at version 3, by the audit trail (event 7) it does not")
	store.alias = nil
	store.event = func(e *registry.Event) { e.Actor = "forged" }
	_, err = registry.New(store, artifact.Memory(), nil).Resolve(t.Context(), "m/1")
	require.ErrorContains(t, err, "event 2 does not fit its hash")
}

// meddled does something else whenever the tables are read.
type meddled struct {
	registry.Store
	meddle func()
}

func (s *meddled) Versions(ctx context.Context, model string, before int64, limit int) ([]registry.Version, error) {
	s.meddle()
	return s.Store.Versions(ctx, model, before, limit)
}

func (s *meddled) Aliases(ctx context.Context, model, after string, limit int) ([]registry.Alias, error) {
	s.meddle()
	return s.Store.Aliases(ctx, model, after, limit)
}

// Every kind of change between the reads of one audit is no tampering.
func TestVerifyAuditWhileTheModelChanges(t *testing.T) {
	store := registrymem.New()
	models := registry.New(store, artifact.Memory(), nil)
	for _, content := range []string{"1", "2"} {
		register(t, models, "m", content)
	}
	champion, err := models.Promote(t.Context(), "m", 1, 0, registry.Change{})
	require.NoError(t, err)
	n := int64(0)
	meddle := func() {
		register(t, models, "m", fmt.Sprint("more", n))
		states := []registry.State{registry.Candidate, registry.Approved}
		require.NoError(t, models.SetState(t.Context(), "m", 2, states[n%2], states[(n+1)%2], registry.Change{}))
		champion, err = models.Promote(t.Context(), "m", 3-champion.Version, champion.Version, registry.Change{Token: champion.Seq})
		require.NoError(t, err)
		if n%2 == 0 {
			require.NoError(t, errOf(models.SetAlias(t.Context(), "m", "blinks", 0, 1, registry.Change{})))
		} else {
			require.NoError(t, errOf(models.DeleteAlias(t.Context(), "m", "blinks", 1, registry.Change{})))
		}
		n++
	}
	meddler := registry.New(&meddled{store, meddle}, artifact.Memory(), nil)
	for range 5 {
		require.NoError(t, meddler.VerifyAudit(t.Context(), "m", nil))
		meddle() // another parity
	}
	require.Greater(t, n, int64(15))
}

func TestVerifyAuditBesideWriters(t *testing.T) {
	store := registrymem.New()
	models := registry.New(store, artifact.Memory(), nil)
	for _, content := range []string{"1", "2"} {
		register(t, models, "m", content)
	}
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			alias, now := fmt.Sprint("a", w), registry.Alias{}
			for range 300 {
				next := int64(1)
				if now.Version == 1 {
					next = 2
				}
				moved, err := models.SetAlias(t.Context(), "m", alias, now.Version, next, registry.Change{Token: now.Seq})
				if err != nil {
					t.Error(err)
					return
				}
				now = moved
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	for {
		require.NoError(t, models.VerifyAudit(t.Context(), "m", nil))
		select {
		case <-done:
			require.NoError(t, models.VerifyAudit(t.Context(), "m", nil))
			return
		default:
		}
	}
}

// counted counts the reads of a store.
type counted struct {
	registry.Store
	reads int
}

func (s *counted) Version(ctx context.Context, model string, number int64) (registry.Version, error) {
	s.reads++
	return s.Store.Version(ctx, model, number)
}

func (s *counted) Alias(ctx context.Context, model, alias string) (registry.Alias, registry.Version, error) {
	s.reads++
	return s.Store.Alias(ctx, model, alias)
}

func (s *counted) Events(ctx context.Context, q registry.EventQuery) ([]registry.Event, error) {
	s.reads++
	if q.Limit == 0 {
		s.reads += 1000 // a page of the whole trail
	}
	return s.Store.Events(ctx, q)
}

func (s *counted) Versions(ctx context.Context, model string, before int64, limit int) ([]registry.Version, error) {
	s.reads += 1000
	return s.Store.Versions(ctx, model, before, limit)
}

func TestAWarmResolveIsOneRead(t *testing.T) {
	store := &counted{Store: registrymem.New()}
	models := registry.New(store, artifact.Memory(), nil)
	register(t, models, "m", "1")
	register(t, models, "m", "2")
	require.NoError(t, errOf(models.Promote(t.Context(), "m", 1, 0, registry.Change{})))
	for ref, cold := range map[string]int{"m@champion": 3, "m/latest": 2, "m/1": 1} { // m/1 is known by then, or with it champion
		_, err := models.Resolve(t.Context(), ref)
		require.NoError(t, err)
		require.LessOrEqual(t, store.reads, cold+1, ref)
		store.reads = 0
		for range 3 {
			_, err := models.Resolve(t.Context(), ref)
			require.NoError(t, err)
		}
		require.Equal(t, 3, store.reads, ref)
		store.reads = 0
	}
	_, err := models.ChampionAt(t.Context(), "m", time.Now())
	require.NoError(t, err)
	require.Equal(t, 3, store.reads, "the move, what it follows, and the version")
}
