package servesql_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/pgtest"
	"github.com/mlloop/mlloop/serve/servesql"
	"github.com/mlloop/mlloop/sqlstore"
)

// place is where a database is, for a child to open it too.
type place struct{ url, schema string }

// places returns a new one of each kind of database, by its name.
func places(t testing.TB) map[string]func(t testing.TB) place {
	t.Helper()
	return map[string]func(t testing.TB) place{
		"sqlite":     func(t testing.TB) place { return place{"sqlite:" + file(t) + "?synchronous=normal", ""} },
		"postgresql": func(t testing.TB) place { return place{pgtest.URL(t), pgtest.Schema(t)} },
	}
}

func (p place) String() string { return p.url + " " + p.schema }

func placeOf(arg string) place {
	url, schema, _ := strings.Cut(arg, " ")
	return place{url, schema}
}

func (p place) options() *sqlstore.Options { return &sqlstore.Options{Schema: p.schema} }

// open opens the store, and closes it when the test ends.
func (p place) open(t testing.TB) *servesql.Store {
	t.Helper()
	s, err := servesql.Open(context.Background(), p.url, p.options())
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// eachPlace runs a test on each kind of database.
func eachPlace(t *testing.T, test func(t *testing.T, p place)) {
	for name, at := range places(t) {
		t.Run(name, func(t *testing.T) { test(t, at(t)) })
	}
}
