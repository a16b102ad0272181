package registrysql_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/registry/registrysql"
	"github.com/mlloop/mlloop/registry/registrytest"
	"github.com/mlloop/mlloop/sqlstore"
	"github.com/mlloop/mlloop/tracking/artifact"
)

// A name that goes to another model and back is never taken for damage.
func TestReadersBesideRenames(t *testing.T) {
	databases(t, func(t *testing.T, db *sqlstore.DB) {
		models := history(t, db)
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				for ctx.Err() == nil {
					c := registry.New(registrysql.New(db), artifact.Memory(), nil)
					for _, read := range []func() error{
						func() error { _, err := c.Resolve(t.Context(), "m@champion"); return err },
						func() error { _, err := c.ChampionAt(t.Context(), "m", farAhead()); return err },
						func() error { return c.VerifyAudit(t.Context(), "m", nil) },
					} {
						if err := read(); err != nil && !errors.Is(err, registry.ErrNotFound) {
							t.Error(err)
						}
					}
				}
			})
		}
		for i := range 25 {
			rename(t, models, "m", "gone")
			_, err := models.Register(t.Context(), "m", registrytest.Bundle(t, "other"), nil)
			require.NoError(t, err)
			rename(t, models, "m", fmt.Sprint("other", i))
			rename(t, models, "gone", "m")
		}
		stop()
		wg.Wait()
		require.NoError(t, models.VerifyAudit(t.Context(), "m", nil))
	})
}

func rename(t *testing.T, models *registry.Client, from, to string) {
	_, err := models.RenameModel(t.Context(), from, to, registry.Change{})
	require.NoError(t, err)
}

func farAhead() time.Time { return time.Now().Add(time.Hour) }
