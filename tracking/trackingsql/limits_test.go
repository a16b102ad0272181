package trackingsql_test

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/sqltest"
	"github.com/mlloop/mlloop/tracking"
	"github.com/mlloop/mlloop/tracking/artifact"
	"github.com/mlloop/mlloop/tracking/trackingsql"
)

// wide returns n characters of four bytes each, which do not compress.
func wide(random *rand.Rand, n int) string {
	var b strings.Builder
	for range n {
		b.WriteRune(rune(0x20000 + random.IntN(0xA000)))
	}
	return b.String()
}

// The longest and greatest that the front takes, every database keeps.
func TestLimits(t *testing.T) {
	sqltest.Each(t, trackingsql.Schema(), func(t *testing.T, open sqltest.Open) {
		random := rand.New(rand.NewPCG(1, 2))
		text := func(n int) string { return wide(random, n) }
		c := tracking.New(trackingsql.New(open(t)), &tracking.Options{Artifacts: artifact.Memory()})
		run, err := c.Start(t.Context(), text(500), &tracking.RunOptions{Name: text(250), Tags: map[string]string{text(250): text(8000)}})
		require.NoError(t, err)
		run.LogParam(text(250), text(6000))
		run.LogInput(tracking.Input{Name: text(400), Digest: text(50), Context: text(50), Source: text(65535), Rows: math.MaxInt64})
		require.NoError(t, run.LogArtifact(t.Context(), text(500), strings.NewReader("x")))
		key := text(250)
		for _, step := range []int64{math.MinInt64, -1, 0, math.MaxInt64} {
			for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, math.SmallestNonzeroFloat64} {
				run.LogMetric(key, v, step)
			}
		}
		require.NoError(t, run.Finish(t.Context()))
		points, err := c.Metrics(t.Context(), run.ID(), key)
		require.NoError(t, err)
		require.Len(t, points, 20)
		got, err := c.Run(t.Context(), run.ID())
		require.NoError(t, err)
		require.Len(t, got.Inputs, 1)
		require.Equal(t, int64(math.MaxInt64), got.Inputs[0].Rows)
		require.Len(t, got.Artifacts, 1)

		// Beyond it all of them refuse alike.
		other, err := c.Start(t.Context(), "other", nil)
		require.NoError(t, err)
		require.ErrorIs(t, other.LogArtifact(t.Context(), text(501), strings.NewReader("x")), tracking.ErrInvalid)
		other.LogInput(tracking.Input{Name: text(400), Digest: text(50), Context: text(51)})
		require.ErrorIs(t, other.Finish(t.Context()), tracking.ErrInvalid)
	})
}
