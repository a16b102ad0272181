package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/pgtest"
)

// TestMain is a replica when the command under test starts this binary again.
func TestMain(m *testing.M) {
	if slices.Contains(os.Args, "-replica") {
		main()
		return
	}
	os.Exit(m.Run())
}

// One leads and is killed, another takes over, and no caller goes without an answer.
func testReplicas(t *testing.T, args ...string) {
	var out, errs bytes.Buffer
	err := run(t.Context(), args, &out, &errs)
	t.Log("\n" + out.String())
	require.NoError(t, err, errs.String())
	for _, text := range []string{"replica 3 is process", "leads, with token 1\n", "kill -9 of replica", "took over after", "leads, with token 2\n", "SIGTERM to replica", "leads, with token 3\n"} {
		require.Contains(t, out.String(), text)
	}
}

func TestReplicasSQLite(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for a lease to end; left out of short runs")
	}
	testReplicas(t, "-db", "sqlite:"+filepath.Join(t.TempDir(), "loop.db"))
}

func TestReplicasPostgreSQL(t *testing.T) {
	testReplicas(t, "-db", pgtest.URL(t), "-schema", pgtest.Schema(t))
}

func TestBadCommandLines(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"-n", "1"}, "want 2 or more"},
		{[]string{"fast"}, `"fast" is no flag`},
	} {
		var out, errs bytes.Buffer
		require.ErrorContains(t, run(t.Context(), c.args, &out, &errs), c.want)
	}
}
