package trackingsql_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/sqltest"
	"github.com/mlloop/mlloop/tracking"
	"github.com/mlloop/mlloop/tracking/trackingsql"
)

// More digests than a page holds all come, by several runs and paths.
func TestArtifactDigests(t *testing.T) {
	sqltest.Each(t, trackingsql.Schema(), func(t *testing.T, open sqltest.Open) {
		ctx, s := t.Context(), trackingsql.New(open(t))
		require.NoError(t, s.CreateExperiment(ctx, tracking.Experiment{ID: "e", Name: "e"}))
		want := map[string]bool{}
		for run := range 3 {
			id := fmt.Sprint("r", run)
			require.NoError(t, s.CreateRun(ctx, tracking.RunInfo{ID: id, ExperimentID: "e", Status: tracking.Running, StartedAt: time.UnixMilli(5)}))
			var b tracking.Batch
			for i := range 4000 {
				digest := fmt.Sprint(run, "/", i)
				want[digest] = true
				b.Artifacts = append(b.Artifacts, tracking.Artifact{Path: fmt.Sprint("p", i), Digest: digest, Size: 1})
			}
			require.NoError(t, s.Log(ctx, id, b))
		}
		n := 0
		for digest, err := range s.ArtifactDigests(ctx) {
			require.NoError(t, err)
			require.True(t, want[digest], digest)
			n++
		}
		require.Len(t, want, n, "each comes once")
		for range s.ArtifactDigests(ctx) {
			break // and a reader may stop
		}
	})
}
