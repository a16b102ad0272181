package registrysql_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/crashtest"
	"github.com/mlloop/mlloop/internal/pgtest"
	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/registry/registrysql"
	"github.com/mlloop/mlloop/registry/registrytest"
	"github.com/mlloop/mlloop/sqlstore"
	"github.com/mlloop/mlloop/tracking/artifact"
)

func TestMain(m *testing.M) { crashtest.Main(m, changeForever) }

// openFolder opens the database in the folder, or in the schema of the folder's
// name on PostgreSQL.
func openFolder(ctx context.Context, folder string) (*registry.Client, *registrysql.Store, error) {
	url, opts := "sqlite:"+filepath.Join(folder, "r.db"), &sqlstore.Options{}
	if schema, ok := strings.CutPrefix(filepath.Base(folder), "schema-"); ok {
		url, opts.Schema = os.Getenv(pgtest.Variable), schema
	}
	store, err := registrysql.Open(ctx, url, opts)
	return registry.New(store, artifact.Dir(filepath.Join(folder, "files")), nil), store, err
}

// changeForever registers, approves and promotes one version after the other,
// and prints a line for each change after it was acknowledged.
func changeForever(ctx context.Context, folder string) error {
	models, _, err := openFolder(ctx, folder)
	if err != nil {
		return err
	}
	newest, _ := models.Resolve(ctx, "m/latest") // the zero value when there is none yet
	champion, _ := models.Alias(ctx, "m", registry.Champion)
	for n := newest.Number + 1; ; n++ {
		b, err := bundle.New(bundle.Spec{Flavor: "x", CreatedAt: time.Unix(n, 0)}, map[string][]byte{"content": fmt.Append(nil, n)})
		if err != nil {
			return err
		}
		v, err := models.Register(ctx, "m", b, &registry.Registration{Key: fmt.Sprint("key", n)})
		if err != nil {
			return err
		}
		fmt.Println("registered", v.Number, v.Digest)
		if err := models.SetState(ctx, "m", v.Number, registry.Candidate, registry.Approved, registry.Change{}); err != nil {
			return err
		}
		fmt.Println("approved", v.Number, v.Digest)
		if _, err := models.Promote(ctx, "m", v.Number, champion.Version, registry.Change{}); err != nil {
			return err
		}
		champion.Version = v.Number
		fmt.Println("promoted", v.Number, v.Digest)
	}
}

// acknowledged is what the children printed.
type acknowledged struct {
	registered, promoted int64 // the last number
	approved             map[int64]bool
	digests              map[int64]string
}

func (a *acknowledged) note(t *testing.T, line string) {
	var change, digest string
	var number int64
	_, err := fmt.Sscan(line, &change, &number, &digest)
	require.NoError(t, err, line)
	switch change {
	case "registered":
		a.registered = number
	case "approved":
		a.approved[number] = true
	case "promoted":
		a.promoted = number
	default:
		require.Fail(t, line)
	}
	a.digests[number] = digest
}

// killSoon kills a child at a random moment within a change, after some lines,
// and notes what it had printed.
func killSoon(t *testing.T, folder string, rng *rand.Rand, acks *acknowledged) {
	left := 1 + rng.IntN(20)
	crashtest.Kill(t, folder, func(line string) bool {
		acks.note(t, line)
		left--
		if left != 0 {
			return false
		}
		for spin := rng.IntN(2_000_000); spin > 0; spin-- { // up to about a change's length
		}
		return true
	})
}

func TestKilledAtRandomMoments(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { killAtRandomMoments(t, t.TempDir()) })
	t.Run("postgresql", func(t *testing.T) {
		folder := filepath.Join(t.TempDir(), "schema-"+pgtest.Schema(t))
		require.NoError(t, os.Mkdir(folder, 0o700))
		killAtRandomMoments(t, folder)
	})
}

func killAtRandomMoments(t *testing.T, folder string) {
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0)) // a new moment each time
	acks := &acknowledged{approved: map[int64]bool{}, digests: map[int64]string{}}
	for round := range 8 {
		killSoon(t, folder, rng, acks)
		models, store, err := openFolder(t.Context(), folder)
		require.NoError(t, err)
		checkAfterCrash(t, models, acks)
		require.NoError(t, store.Close())
		require.Positive(t, acks.registered, "round %d", round)
	}
}

func checkAfterCrash(t *testing.T, models *registry.Client, acks *acknowledged) {
	registrytest.RequireConsistent(t, models, "m")
	newestVersion, err := models.Resolve(t.Context(), "m/latest")
	require.NoError(t, err)
	// What was acknowledged is there; at most the change under way may be, too.
	newest := newestVersion.Number
	require.Contains(t, []int64{acks.registered, acks.registered + 1}, newest)
	for v, err := range models.Versions(t.Context(), "m") {
		require.NoError(t, err)
		if digest, ok := acks.digests[v.Number]; ok {
			require.Equal(t, digest, v.Digest)
		}
		b, _, err := models.Load(t.Context(), registry.VersionRef("m", v.Number))
		require.NoError(t, err, "a version that is there has all its files")
		require.Equal(t, v.Digest, b.Digest())
		if acks.approved[v.Number] {
			require.Equal(t, registry.Approved, v.State)
		}
	}
	champion, err := models.Alias(t.Context(), "m", registry.Champion)
	if acks.promoted > 0 {
		require.NoError(t, err)
	}
	require.Contains(t, []int64{acks.promoted, newest}, champion.Version)
	acks.registered, acks.promoted = newest, champion.Version
}
