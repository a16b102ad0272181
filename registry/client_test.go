package registry_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/registry/registrymem"
	"github.com/mlloop/mlloop/registry/registrytest"
	"github.com/mlloop/mlloop/tracking/artifact"
)

func register(t testing.TB, models *registry.Client, model, content string) registry.Version {
	t.Helper()
	v, err := models.Register(t.Context(), model, registrytest.Bundle(t, content), nil)
	require.NoError(t, err)
	return v
}

func TestRegisterAndLoad(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 1_999_999, time.FixedZone("CET", 3600))
	models := registry.New(registrymem.New(), artifact.Memory(), &registry.Options{Actor: "ann", Now: func() time.Time { return now }})
	b := registrytest.Bundle(t, "1")
	first := register(t, models, "churn", "0")
	lineage := registry.Lineage{RunID: "0192f3", DataDigest: "abc", Parent: first.Number, Code: "v1.2",
		DataFrom: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), DataTo: time.Date(2026, 3, 8, 0, 0, 0, 0, time.UTC), Rows: 168}
	v, err := models.Register(t.Context(), "churn", b, &registry.Registration{Key: "k", Lineage: lineage, Actor: "bob", Reason: "weekly"})
	require.NoError(t, err)
	require.Equal(t, registry.Version{
		Model: "churn", Number: 2, Digest: b.Digest(), Key: "k", State: registry.Candidate, Lineage: lineage,
		CreatedAt: time.Date(2026, 3, 1, 11, 0, 0, 1_000_000, time.UTC), ModelID: first.ModelID, Seq: 3,
	}, v)

	for _, ref := range []string{"churn/2", "churn/latest", "churn@latest", "models:/churn/2", "models:/churn@latest"} {
		got, gotVersion, err := models.Load(t.Context(), ref)
		require.NoError(t, err, ref)
		require.Equal(t, b, got, ref)
		require.Equal(t, v, gotVersion, ref)
	}
	_, _, err = models.Load(t.Context(), "churn@champion")
	require.ErrorIs(t, err, registry.ErrNotFound)
	require.EqualError(t, err, "registry: load churn@champion: alias churn@champion: not found")

	events, err := all(models.Events(t.Context(), "churn", 2))
	require.NoError(t, err)
	require.Equal(t, "bob", events[0].Actor)
	require.Equal(t, "weekly", events[0].Reason)
	registrytest.RequireConsistent(t, models, "churn")
}

func TestRegisterAgainWithTheSameKey(t *testing.T) {
	models := registrytest.New(t)
	key := &registry.Registration{Key: "retraining-7"}
	first, err := models.Register(t.Context(), "m", registrytest.Bundle(t, "1"), key)
	require.NoError(t, err)
	again, err := models.Register(t.Context(), "m", registrytest.Bundle(t, "1"), key)
	require.NoError(t, err)
	require.Equal(t, first, again)
	_, err = models.Register(t.Context(), "m", registrytest.Bundle(t, "2"), key)
	require.ErrorIs(t, err, registry.ErrAlreadyExists)
	require.EqualError(t, err, `registry: register a version of "m": the key "retraining-7" belongs to m/1, which has another digest: choose another key`)
	registrytest.RequireEvents(t, models, "m", registry.ModelCreated, registry.VersionCreated)
}

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

func TestChampionAt(t *testing.T) {
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	day := func(n int) time.Time { return now.AddDate(0, 0, n) }
	today := 0
	models := registry.New(registrymem.New(), artifact.Memory(), &registry.Options{Now: func() time.Time { return day(today) }})
	for _, content := range []string{"1", "2", "3"} {
		register(t, models, "m", content)
	}
	promote := func(on int, version, from int64) {
		today = on
		require.NoError(t, errOf(models.Promote(t.Context(), "m", version, from, registry.Change{})))
	}
	promote(2, 1, 0)
	require.NoError(t, errOf(models.SetAlias(t.Context(), "m", "other", 0, 3, registry.Change{})))
	promote(4, 2, 1)
	promote(6, 1, 2) // rolled back
	today = 8
	require.NoError(t, errOf(models.DeleteAlias(t.Context(), "m", registry.Champion, 1, registry.Change{})))

	for on, want := range map[int]int64{1: 0, 2: 1, 3: 1, 4: 2, 5: 2, 6: 1, 7: 1, 8: 0, 99: 0} {
		v, err := models.ChampionAt(t.Context(), "m", day(on))
		if want == 0 {
			require.ErrorIs(t, err, registry.ErrNotFound, "day %d", on)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, want, v.Number, "day %d", on)
	}
	_, err := models.ChampionAt(t.Context(), "m", day(4).Add(-time.Nanosecond))
	require.NoError(t, err)
	_, err = models.ChampionAt(t.Context(), "none", now)
	require.EqualError(t, err, "registry: champion of none at 2026-03-01T00:00:00Z: model none: not found")
}

func TestQueries(t *testing.T) {
	models := registrytest.New(t)
	for _, model := range []string{"b", "a"} {
		register(t, models, model, "1")
		register(t, models, model, "2")
	}
	require.NoError(t, errOf(models.SetAlias(t.Context(), "a", "x", 0, 1, registry.Change{})))
	named, err := all(models.Models(t.Context()))
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b"}, []string{named[0].Name, named[1].Name})
	a, err := models.Model(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, named[0], a)
	require.Len(t, a.ID, 32)
	versions, err := all(models.Versions(t.Context(), "a"))
	require.NoError(t, err)
	require.EqualValues(t, 2, versions[0].Number)
	v, err := models.Version(t.Context(), "a", 1)
	require.NoError(t, err)
	require.Equal(t, versions[1], v)
	aliases, err := all(models.Aliases(t.Context(), "a"))
	require.NoError(t, err)
	x, err := models.Alias(t.Context(), "a", "x")
	require.NoError(t, err)
	require.Equal(t, []registry.Alias{x}, aliases)
	_, err = models.Version(t.Context(), "a", 3)
	require.EqualError(t, err, "registry: get a/3: version a/3: not found")
}

func TestPutAndGet(t *testing.T) {
	models := registrytest.New(t)
	b := registrytest.Bundle(t, "1")
	digest, err := models.Put(t.Context(), b)
	require.NoError(t, err)
	require.Equal(t, b.Digest(), digest)
	got, err := models.Get(t.Context(), digest)
	require.NoError(t, err)
	require.Equal(t, b, got)
	none, err := all(models.Models(t.Context()))
	require.NoError(t, err)
	require.Empty(t, none, "no version was made")

	_, err = models.Get(t.Context(), strings.Repeat("0", 64))
	require.ErrorIs(t, err, registry.ErrNotFound)
	_, err = models.Get(t.Context(), "x")
	require.ErrorIs(t, err, registry.ErrInvalid)
	_, err = models.Put(t.Context(), nil)
	require.ErrorIs(t, err, registry.ErrInvalid)
}

// blobs returns the file of each blob in an artifact folder, by digest.
func blobs(t *testing.T, folder string) map[string]string {
	files := map[string]string{}
	require.NoError(t, filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			files[filepath.Base(path)] = path
		}
		return err
	}))
	return files
}

func TestLoadFindsDamage(t *testing.T) {
	folder := t.TempDir()
	models := registry.New(registrymem.New(), artifact.Dir(folder), nil)
	register(t, models, "m", "the weights")
	b, _, err := models.Load(t.Context(), "m/1")
	require.NoError(t, err)
	files := append(b.Files(), bundle.File{Path: bundle.ManifestFile, Digest: b.Digest()})
	for _, f := range files {
		path := blobs(t, folder)[f.Digest]
		require.NotEmpty(t, path, f.Path)
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		require.NoError(t, os.Chmod(path, 0o600))
		for i := range data {
			data[i] ^= 1
			require.NoError(t, os.WriteFile(path, data, 0o600))
			_, _, err = models.Load(t.Context(), "m/1")
			require.ErrorIs(t, err, registry.ErrCorrupt, "%s byte %d", f.Path, i)
			require.ErrorContains(t, err, f.Path)
			data[i] ^= 1
		}
		require.NoError(t, os.Remove(path))
		_, _, err = models.Load(t.Context(), "m/1")
		require.ErrorIs(t, err, registry.ErrCorrupt)
		require.NotErrorIs(t, err, registry.ErrNotFound, "the version is there")
		require.ErrorContains(t, err, f.Path)
		require.ErrorContains(t, err, "missing")
		require.NoError(t, os.WriteFile(path, data, 0o600))
	}
	_, _, err = models.Load(t.Context(), "m/1")
	require.NoError(t, err)
}

// lying is an artifact store that answers with another blob.
type lying struct {
	artifact.Store
	blob []byte
}

func (l lying) GetRange(context.Context, string, int64, int64) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(l.blob)), nil
}

func TestLoadDoesNotTrustTheArtifactStore(t *testing.T) {
	other, err := registrytest.Bundle(t, "other").ReadFile(bundle.ManifestFile)
	require.NoError(t, err)
	models := registry.New(registrymem.New(), lying{artifact.Memory(), other}, nil)
	register(t, models, "m", "1")
	_, _, err = models.Load(t.Context(), "m/1")
	require.ErrorIs(t, err, registry.ErrCorrupt)
}

// fullDisk is an artifact store that cannot store.
type fullDisk struct{ artifact.Store }

func (fullDisk) Put(context.Context, io.Reader, *artifact.PutOptions) (string, int64, error) {
	return "", 0, fault.Errorf(fault.Unavailable, "the disk is full: free some space and try again")
}

func TestRegisterOnAFullDiskMakesNoVersion(t *testing.T) {
	store := registrymem.New()
	models := registry.New(store, fullDisk{}, nil)
	_, err := models.Register(t.Context(), "m", registrytest.Bundle(t, "1"), nil)
	require.ErrorIs(t, err, registry.ErrUnavailable)
	require.EqualError(t, err, `registry: register a version of "m": MLmodel: the disk is full: free some space and try again`)
	none, err := store.Models(t.Context(), "", 0)
	require.NoError(t, err)
	require.Empty(t, none)
}

func TestRegisterChecksItsInput(t *testing.T) {
	models := registrytest.New(t)
	_, err := models.Register(t.Context(), "a/b", nil, &registry.Registration{
		Key: "k\n", Actor: "a\x00", Reason: strings.Repeat("x", 5001), Lineage: registry.Lineage{RunID: strings.Repeat("r", 257), Parent: -1},
	})
	require.ErrorIs(t, err, registry.ErrInvalid)
	for _, want := range []string{`model "a/b"`, `key "k\n"`, `actor "a\x00"`, "reason", "lineage: run", "lineage: parent -1", "the bundle is nil"} {
		require.ErrorContains(t, err, want)
	}
	_, err = models.Register(t.Context(), "m", registrytest.Bundle(t, "1"), &registry.Registration{Lineage: registry.Lineage{Parent: 3}})
	require.ErrorIs(t, err, registry.ErrNotFound)
	require.ErrorContains(t, err, "lineage: parent")
}

func TestFittedRange(t *testing.T) {
	models := registrytest.New(t)
	from := time.Date(2026, 3, 1, 12, 0, 0, 123_456_789, time.FixedZone("CET", 3600))
	register := func(l registry.Lineage) (registry.Version, error) {
		return models.Register(t.Context(), "m", registrytest.Bundle(t, "1"), &registry.Registration{Lineage: l})
	}
	v, err := register(registry.Lineage{DataFrom: from, DataTo: from, Rows: 1})
	require.NoError(t, err)
	require.Equal(t, time.Date(2026, 3, 1, 11, 0, 0, 123_000_000, time.UTC), v.Lineage.DataFrom)
	require.Equal(t, time.Date(2026, 3, 1, 11, 0, 0, 124_000_000, time.UTC), v.Lineage.DataTo, "the last row lies within")
	got, err := models.Version(t.Context(), "m", v.Number)
	require.NoError(t, err)
	require.Equal(t, v, got)

	v, err = register(registry.Lineage{})
	require.NoError(t, err)
	require.Equal(t, registry.Lineage{}, v.Lineage, "unknown")
	for want, l := range map[string]registry.Lineage{
		"want both times":          {DataFrom: from},
		"neither":                  {DataTo: from},
		"it ends before it begins": {DataFrom: from, DataTo: from.Add(-time.Second)},
		"lineage: rows -1":         {Rows: -1},
	} {
		_, err := register(l)
		require.ErrorIs(t, err, registry.ErrInvalid)
		require.ErrorContains(t, err, want)
	}
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

func errOf[T any](_ T, err error) error { return err }

// all returns what an iterator yields, and its error.
func all[T any](rows iter.Seq2[T, error]) ([]T, error) {
	var found []T
	for row, err := range rows {
		if err != nil {
			return nil, err
		}
		found = append(found, row)
	}
	return found, nil
}

func TestModelNamesAndAliases(t *testing.T) {
	models := registrytest.New(t)
	for _, name := range []string{"churn", "churn v2", "a.b-c_d", "日本", "a@b", "%", strings.Repeat("é", 256)} {
		register(t, models, name, "1")
		require.NoError(t, errOf(models.SetAlias(t.Context(), name, "Prod_1-a", 0, 1, registry.Change{})), name)
		v, err := models.Resolve(t.Context(), "models:/"+name+"@Prod_1-a")
		require.NoError(t, err, name)
		require.Equal(t, name, v.Model)
	}
	for _, name := range []string{"", " ", "a/b", "a:b", ".", "..", " a", "a ", "a\tb", "a\x00", "\xff", strings.Repeat("a", 257)} {
		_, err := models.Register(t.Context(), name, registrytest.Bundle(t, "1"), nil)
		require.ErrorIs(t, err, registry.ErrInvalid, "%q", name)
	}
	for _, alias := range []string{"", "latest", "LATEST", "v1", "V22", "a b", "a@b", "a/b", "é", strings.Repeat("a", 256)} {
		require.ErrorIs(t, errOf(models.SetAlias(t.Context(), "churn", alias, 0, 1, registry.Change{})), registry.ErrInvalid, "%q", alias)
	}
	for _, alias := range []string{"v", "v1a", "version1", strings.Repeat("a", 255)} {
		require.NoError(t, errOf(models.SetAlias(t.Context(), "churn", alias, 0, 1, registry.Change{})), "%q", alias)
	}
}

func TestErrorsOfTheStoreKeepTheirKind(t *testing.T) {
	type broken struct{ registry.UnimplementedStore }
	models := registry.New(broken{}, artifact.Memory(), nil)
	_, err := all(models.Models(t.Context()))
	require.ErrorIs(t, err, registry.ErrUnsupported)
	require.EqualError(t, err, "registry: list models: list models: unsupported by this store")
	_, err = models.Register(t.Context(), "m", registrytest.Bundle(t, "1"), nil)
	require.ErrorIs(t, err, registry.ErrUnsupported)
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

// Lists are read a page at a time, and a reader may stop.
func TestListsReadPages(t *testing.T) {
	store := registrymem.New()
	models := registry.New(store, artifact.Memory(), nil)
	const n = registry.DefaultPage + 5
	b := registrytest.Bundle(t, "1")
	_, err := models.Put(t.Context(), b)
	require.NoError(t, err)
	for range n {
		_, err := models.Register(t.Context(), "m", b, nil)
		require.NoError(t, err)
	}
	want := int64(n)
	for v, err := range models.Versions(t.Context(), "m") {
		require.NoError(t, err)
		require.Equal(t, want, v.Number)
		want--
	}
	require.Zero(t, want)
	events, err := all(models.Events(t.Context(), "m", 2))
	require.NoError(t, err)
	require.Len(t, events, n-1)
	for range models.Versions(t.Context(), "m") {
		break
	}
	registrytest.RequireConsistent(t, models, "m")
}

func FuzzParseRef(f *testing.F) {
	for _, s := range []string{"churn@champion", "churn/3", "models:/churn/latest", "a@b@c", "churn", "churn/0", "churn/03", "churn/", "@", "/1", "models:/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := registry.ParseRef(s)
		if err != nil {
			require.True(t, errors.Is(err, registry.ErrInvalid))
			return
		}
		again, err := registry.ParseRef(r.String())
		require.NoError(t, err)
		require.Equal(t, r, again)
	})
}

func TestParseRef(t *testing.T) {
	for s, want := range map[string]registry.Ref{
		"churn@champion":         {Model: "churn", Alias: "champion"},
		"churn/3":                {Model: "churn", Number: 3},
		"churn/latest":           {Model: "churn", Alias: registry.Latest},
		"churn@Latest":           {Model: "churn", Alias: registry.Latest},
		"models:/churn/3":        {Model: "churn", Number: 3},
		"models:/churn@champion": {Model: "churn", Alias: "champion"},
		"a@b@c":                  {Model: "a@b", Alias: "c"},
		"a@b/3":                  {Model: "a@b", Number: 3},
	} {
		got, err := registry.ParseRef(s)
		require.NoError(t, err, s)
		require.Equal(t, want, got, s)
	}
	for s, want := range map[string]string{
		"churn":                     "it names no version: write model@champion, or model/3",
		"churn/Production":          `"Production" is no version number`,
		"churn/0":                   "is no version number",
		"churn/-1":                  "is no version number",
		"churn/03":                  "is no version number",
		"churn/3/MLmodel":           "is no version number",
		"churn/9223372036854775808": "is no version number",
		"churn@v3":                  "it reads like a version number",
		"churn@":                    "want 1 to 255",
		"@champion":                 "the model's name is empty",
		"/3":                        "the model's name is empty",
		"runs:/abc/model":           "is no version number",
		"":                          "it names no version",
	} {
		_, err := registry.ParseRef(s)
		require.ErrorIs(t, err, registry.ErrInvalid, s)
		require.ErrorContains(t, err, want, s)
	}
	require.Equal(t, "churn/3", registry.VersionRef("churn", 3))
}
