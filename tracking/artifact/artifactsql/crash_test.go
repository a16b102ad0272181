package artifactsql_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/crashtest"
	"github.com/mlloop/mlloop/internal/pgtest"
	"github.com/mlloop/mlloop/internal/sqltest"
	"github.com/mlloop/mlloop/sqlstore"
	"github.com/mlloop/mlloop/tracking/artifact"
	"github.com/mlloop/mlloop/tracking/artifact/artifactsql"
)

func TestMain(m *testing.M) { crashtest.Main(m, putForever) }

// putForever puts ever other blobs of four chunks into the database, and again
// each that it has put. It prints "reading" in the middle of each, and its digest
// when it is durable.
func putForever(ctx context.Context, arg string) error {
	url, schema, _ := strings.Cut(arg, " ")
	s, err := artifactsql.Open(ctx, url, &sqlstore.Options{Schema: schema})
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		content := bytes.Repeat([]byte{byte(i / 2), byte(i >> 9), 1, 2}, 900_000)
		half := readFunc(func([]byte) (int, error) {
			fmt.Println("reading")
			return 0, io.EOF
		})
		r := io.MultiReader(bytes.NewReader(content[:2_500_000]), half, bytes.NewReader(content[2_500_000:]))
		digest, _, err := s.Put(ctx, r, nil)
		if err != nil {
			return err
		}
		fmt.Println(digest)
	}
}

// A process that is killed in a Put leaves nothing half visible, and what was
// put before it is there.
func TestPutSurvivesAKill(t *testing.T) {
	for name, where := range map[string]func() (url, schema string){
		"sqlite":     func() (string, string) { return "sqlite:" + filepath.Join(t.TempDir(), "x.db"), "" },
		"postgresql": func() (string, string) { return pgtest.URL(t), pgtest.Schema(t) },
	} {
		t.Run(name, func(t *testing.T) {
			if name == "postgresql" {
				pgtest.URL(t)
			}
			url, schema := where()
			db := sqltest.Reopen(t, url, &sqlstore.Options{Schema: schema})
			s := artifactsql.New(db)
			require.NoError(t, s.Migrate(t.Context()))
			durable := map[string]bool{}
			const rounds = 4
			for round := range rounds {
				left := 6 + round // now in the middle, now at the end of a Put
				crashtest.Kill(t, url+" "+schema, func(line string) bool {
					if line != "reading" {
						durable[line] = true
					}
					left--
					return left == 0
				})
				requireWhole(t, s, durable)
			}
			exec(t, db, "UPDATE {p}artifact_upload SET expires_at = 1 WHERE expires_at IS NOT NULL") // a day later
			_, err := s.Sweep(t.Context())
			require.NoError(t, err)
			whole := requireWhole(t, s, durable)
			require.Equal(t, 4*whole, rows(t, db, "chunk"), "nothing is left of what died")
			require.Equal(t, whole, rows(t, db, "upload"))
		})
	}
}

// requireWhole reads all blobs, and returns how many there are.
func requireWhole(t *testing.T, s artifact.Store, durable map[string]bool) (n int) {
	t.Helper()
	there := map[string]bool{}
	for info, err := range s.List(t.Context()) {
		require.NoError(t, err)
		_, err := read(t, s, info.Digest)
		require.NoError(t, err, "what is visible is whole")
		there[info.Digest] = true
	}
	for digest := range durable {
		require.True(t, there[digest], "durable when Put returned")
	}
	return len(there)
}
