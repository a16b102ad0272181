package registry_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/registry/registrymem"
	"github.com/mlloop/mlloop/registry/registrytest"
	"github.com/mlloop/mlloop/tracking/artifact"
)

// A durable step that promotes may be run again after a crash, at any time.
func TestPromoteAgainIsANoOp(t *testing.T) {
	models := registrytest.New(t)
	register(t, models, "m", "1")
	register(t, models, "m", "2")
	require.NoError(t, errOf(models.Promote(t.Context(), "m", 1, 0, registry.Change{})))
	for range 3 {
		require.NoError(t, errOf(models.Promote(t.Context(), "m", 2, 1, registry.Change{Actor: "bob", Reason: "better"})))
	}
	registrytest.RequireChampion(t, models, "m", 2)
	_, err := models.Promote(t.Context(), "m", 1, 0, registry.Change{})
	require.ErrorIs(t, err, registry.ErrConflict)
	require.EqualError(t, err, "registry: point m@champion at version 1: it points at version 2, not 0 (0: none): look again")
	registrytest.RequireEvents(t, models, "m", registry.ModelCreated, registry.VersionCreated, registry.VersionCreated, registry.AliasSet, registry.AliasSet)

	require.ErrorIs(t, models.SetState(t.Context(), "m", 1, registry.Approved, registry.Archived, registry.Change{}), registry.ErrConflict)
	require.ErrorIs(t, errOf(models.DeleteAlias(t.Context(), "m", registry.Champion, 1, registry.Change{})), registry.ErrConflict)
	require.NoError(t, errOf(models.DeleteAlias(t.Context(), "m", registry.Champion, 2, registry.Change{})))
	require.NoError(t, errOf(models.DeleteAlias(t.Context(), "m", registry.Champion, 2, registry.Change{})))
	registrytest.RequireChampion(t, models, "m", 0)
	registrytest.RequireConsistent(t, models, "m")
}

func TestChangesAreLogged(t *testing.T) {
	var out bytes.Buffer
	models := registry.New(registrymem.New(), artifact.Memory(), &registry.Options{Logger: slog.New(slog.NewTextHandler(&out, nil)), Actor: "ann"})
	register(t, models, "m", "1")
	require.NoError(t, errOf(models.Promote(t.Context(), "m", 1, 0, registry.Change{Reason: "first"})))
	require.Contains(t, out.String(), `msg="registry: version registered" version=m/1`)
	require.Contains(t, out.String(), `msg="registry: alias set" alias=m@champion version=1 token=3 actor=ann reason=first`)
}

func TestWhatChangesNothingIsNotLogged(t *testing.T) {
	var out bytes.Buffer
	store := registrymem.New()
	quiet := registry.New(store, artifact.Memory(), nil)
	key := &registry.Registration{Key: "k"}
	_, err := quiet.Register(t.Context(), "m", registrytest.Bundle(t, "1"), key)
	require.NoError(t, err)
	require.NoError(t, errOf(quiet.Promote(t.Context(), "m", 1, 0, registry.Change{})))
	require.NoError(t, quiet.SetState(t.Context(), "m", 1, registry.Candidate, registry.Approved, registry.Change{}))

	models := registry.New(store, artifact.Memory(), &registry.Options{Logger: slog.New(slog.NewTextHandler(&out, nil))})
	_, err = models.Register(t.Context(), "m", registrytest.Bundle(t, "1"), key)
	require.NoError(t, err)
	champion, err := models.Promote(t.Context(), "m", 1, 0, registry.Change{})
	require.NoError(t, err)
	require.EqualValues(t, 3, champion.Seq, "the token of the move that made it so")
	require.NoError(t, models.SetState(t.Context(), "m", 1, registry.Candidate, registry.Approved, registry.Change{}))
	require.NoError(t, errOf(models.DeleteAlias(t.Context(), "m", "none", 1, registry.Change{})))
	require.NoError(t, errOf(models.RenameModel(t.Context(), "m", "m", registry.Change{})))
	require.Empty(t, out.String())
	registrytest.RequireEvents(t, models, "m", registry.ModelCreated, registry.VersionCreated, registry.AliasSet, registry.VersionState)
}

// A person who decided on what they saw must not undo what happened since.
func TestATokenIsAgainstAwayAndBack(t *testing.T) {
	models := registrytest.New(t)
	for _, content := range []string{"1", "2", "3"} {
		register(t, models, "m", content)
	}
	seen, err := models.Promote(t.Context(), "m", 1, 0, registry.Change{})
	require.NoError(t, err)
	require.NoError(t, errOf(models.Promote(t.Context(), "m", 2, 1, registry.Change{})))
	back, err := models.Promote(t.Context(), "m", 1, 2, registry.Change{})
	require.NoError(t, err)
	require.Greater(t, back.Seq, seen.Seq)
	_, err = models.Promote(t.Context(), "m", 3, 1, registry.Change{Token: seen.Seq})
	require.ErrorIs(t, err, registry.ErrConflict)
	require.EqualError(t, err, "registry: point m@champion at version 3: it was moved by event 7, after the event 5 of the token: look again")
	_, err = models.DeleteAlias(t.Context(), "m", registry.Champion, 1, registry.Change{Token: seen.Seq})
	require.ErrorIs(t, err, registry.ErrConflict)
	now, err := models.Alias(t.Context(), "m", registry.Champion)
	require.NoError(t, err)
	require.Equal(t, back, now)
	require.NoError(t, errOf(models.Promote(t.Context(), "m", 3, 1, registry.Change{Token: now.Seq})))
	_, err = models.Promote(t.Context(), "m", 1, 3, registry.Change{Token: -1})
	require.ErrorIs(t, err, registry.ErrInvalid)
}

func TestARejectedVersionIsNotPromoted(t *testing.T) {
	models := registrytest.New(t)
	register(t, models, "m", "1")
	require.NoError(t, models.SetState(t.Context(), "m", 1, registry.Candidate, registry.Rejected, registry.Change{}))
	_, err := models.Promote(t.Context(), "m", 1, 0, registry.Change{})
	require.ErrorIs(t, err, registry.ErrConflict)
	require.EqualError(t, err, "registry: point m@champion at version 1: version 1 is rejected, and what an alias names is served: approve it first (SetState), or choose another version")
	require.NoError(t, models.SetState(t.Context(), "m", 1, registry.Rejected, registry.Approved, registry.Change{}))
	require.NoError(t, errOf(models.Promote(t.Context(), "m", 1, 0, registry.Change{})))
}

func TestChangesCheckTheirInput(t *testing.T) {
	models := registrytest.New(t)
	ctx := t.Context()
	bad := registry.Change{Actor: "a\n"}
	for _, err := range []error{
		errOf(models.SetAlias(ctx, "", "no alias", -1, 0, bad)),
		errOf(models.DeleteAlias(ctx, "", "no alias", 0, bad)),
		errOf(models.RenameModel(ctx, "m", "a/b", bad)),
		models.SetState(ctx, "", 0, "new", "", bad),
		errOf(models.Version(ctx, "", 0)), errOf(all(models.Versions(ctx, ":"))), errOf(models.Alias(ctx, "m", "v1")),
		errOf(all(models.Aliases(ctx, ".."))), errOf(all(models.Events(ctx, "m", -1))), errOf(models.ChampionAt(ctx, " m", time.Now())),
		models.VerifyAudit(ctx, "m\n", nil), models.VerifyAudit(ctx, "m", &registry.Head{}), errOf(models.AuditHead(ctx, "")), errOf(models.Model(ctx, "")),
	} {
		require.ErrorIs(t, err, registry.ErrInvalid)
		require.ErrorContains(t, err, "registry: ")
	}
	_, err := models.SetAlias(ctx, "", "no alias", -1, 0, bad)
	for _, want := range []string{"the model's name is empty", `alias "no alias"`, "expected version -1", "version 0", `actor "a\n"`} {
		require.ErrorContains(t, err, want)
	}
}

// The Client's own actor is checked as a Change's is, and texts hold nothing
// that a database cuts off or refuses.
func TestTextsOfEveryChangeAreChecked(t *testing.T) {
	store := registrymem.New()
	good := registry.New(store, artifact.Memory(), nil)
	register(t, good, "m", "1")
	for _, actor := range []string{"a\nb\x00c", "\xff", strings.Repeat("é", 257)} {
		models := registry.New(store, artifact.Memory(), &registry.Options{Actor: actor})
		for name, err := range changes(t, models, registry.Change{}) {
			require.ErrorIs(t, err, registry.ErrInvalid, name)
			require.ErrorContains(t, err, "actor", name)
		}
	}
	for _, reason := range []string{"nul\x00here", "\x1b[31m", "\xff", strings.Repeat("é", 5001)} {
		for name, err := range changes(t, good, registry.Change{Reason: reason}) {
			require.ErrorIs(t, err, registry.ErrInvalid, name)
			require.ErrorContains(t, err, "reason", name)
		}
	}
	registrytest.RequireEvents(t, good, "m", registry.ModelCreated, registry.VersionCreated)
	require.NoError(t, errOf(good.Promote(t.Context(), "m", 1, 0, registry.Change{Reason: "two\nlines\tand a tab"})))
}

// changes does every kind of change.
func changes(t *testing.T, models *registry.Client, ch registry.Change) map[string]error {
	ctx := t.Context()
	return map[string]error{
		"register":     errOf(models.Register(ctx, "m", registrytest.Bundle(t, "2"), &registry.Registration{Actor: ch.Actor, Reason: ch.Reason})),
		"promote":      errOf(models.Promote(ctx, "m", 1, 0, ch)),
		"set alias":    errOf(models.SetAlias(ctx, "m", "a", 0, 1, ch)),
		"delete alias": errOf(models.DeleteAlias(ctx, "m", "a", 1, ch)),
		"set state":    models.SetState(ctx, "m", 1, registry.Candidate, registry.Approved, ch),
		"rename":       errOf(models.RenameModel(ctx, "m", "n", ch)),
	}
}

func TestRenameModel(t *testing.T) {
	models := registrytest.New(t)
	register(t, models, "old", "1")
	before, err := models.Model(t.Context(), "old")
	require.NoError(t, err)
	require.NoError(t, errOf(models.Promote(t.Context(), "old", 1, 0, registry.Change{})))
	after, err := models.RenameModel(t.Context(), "old", "new", registry.Change{Reason: "clearer"})
	require.NoError(t, err)
	require.Equal(t, before.ID, after.ID)
	require.Equal(t, "new", after.Name)
	b, v, err := models.Load(t.Context(), "new@champion")
	require.NoError(t, err)
	require.Equal(t, b.Digest(), v.Digest)
	require.Equal(t, "new", v.Model)
	_, err = models.Resolve(t.Context(), "old@champion")
	require.ErrorIs(t, err, registry.ErrNotFound)
	registrytest.RequireEvents(t, models, "new", registry.ModelCreated, registry.VersionCreated, registry.AliasSet, registry.ModelRenamed)
	registrytest.RequireConsistent(t, models, "new")

	register(t, models, "old", "1") // the name is free
	registrytest.RequireChampion(t, models, "old", 0)
	_, err = models.RenameModel(t.Context(), "old", "new", registry.Change{})
	require.ErrorIs(t, err, registry.ErrAlreadyExists)
	require.EqualError(t, err, "registry: rename model old to new: model new: already exists")
}
