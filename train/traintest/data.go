package traintest

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/train"
	"github.com/mlloop/mlloop/train/feature"
	"github.com/mlloop/mlloop/train/frame"
)

// NewJob returns a job of the given number of rows that any trainer learns: the
// Bool column "leaves" is true where 2·spend + visits, both standard normal, is
// above 0, but for the rows that lie within 0.2 of that line, which there are
// none of. The String column "plan" (basic or plus) tells nothing. The features
// are one-hot plan and standardized numbers. Same seed, same rows.
func NewJob(t testing.TB, rows int, seed uint64) train.Job {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 0x6a6f62))
	schema := frame.Schema{
		{Name: "spend", Kind: frame.Float64}, {Name: "visits", Kind: frame.Float64},
		{Name: "plan", Kind: frame.String}, {Name: "leaves", Kind: frame.Bool},
	}
	data := make([]frame.Row, 0, rows)
	for len(data) < rows {
		spend, visits, plan := rng.NormFloat64(), rng.NormFloat64(), "basic"
		if rng.IntN(2) == 1 {
			plan = "plus"
		}
		side := 2*spend + visits
		if side > -0.2 && side < 0.2 {
			continue
		}
		data = append(data, frame.Row{Schema: schema, Values: []frame.Value{
			frame.FloatValue(spend), frame.FloatValue(visits), frame.StringValue(plan), frame.BoolValue(side > 0),
		}})
	}
	table, err := frame.FromRows(schema, data)
	require.NoError(t, err)
	return train.Job{
		Data: table, Label: "leaves", Seed: seed, Now: time.UnixMilli(1_700_000_000_000),
		Features: feature.Pipeline{feature.Standardize(), feature.OneHot("plan")},
	}
}
