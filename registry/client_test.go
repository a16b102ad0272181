package registry_test

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"iter"
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

// A damaged index must not have a list go on for ever.
func TestAListOutOfOrderEnds(t *testing.T) {
	models, store := audited(t)
	ofAlias("old", func(a *registry.Alias) { a.Name = "again" })(store)
	_, err := all(models.Aliases(t.Context(), "m"))
	require.ErrorIs(t, err, registry.ErrCorrupt)
	require.EqualError(t, err, "registry: list aliases of m: the store returns rows out of order, or twice: check the database's indexes")
	require.ErrorIs(t, models.VerifyAudit(t.Context(), "m", nil), registry.ErrCorrupt)
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
