package servetest

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/serve/servemem"
	"github.com/mlloop/mlloop/train/frame"
)

// testSequences runs random operations on a new store and on servemem, the
// executable specification: every answer must be the same.
func testSequences(t *testing.T, newStore func(t *testing.T) serve.Store) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			got, want := newStore(t), serve.Store(servemem.New())
			for step := range 200 {
				op := sequenceOps[r.IntN(len(sequenceOps))]
				// Both stores see the same arguments: each gets its own generator of one seed.
				opSeed := r.Uint64()
				wantResult, wantErr := op.run(t, want, rand.New(rand.NewPCG(opSeed, 2)))
				gotResult, gotErr := op.run(t, got, rand.New(rand.NewPCG(opSeed, 2)))
				require.Equal(t, fault.Kind(wantErr), fault.Kind(gotErr), "step %d, %s: want error %v, got %v", step, op.name, wantErr, gotErr)
				if !empty(wantResult) || !empty(gotResult) {
					require.Equal(t, wantResult, gotResult, "step %d, %s", step, op.name)
				}
			}
		})
	}
}

var sequenceOps = []struct {
	name string
	run  func(t *testing.T, s serve.Store, r *rand.Rand) (any, error)
}{
	{"AppendPredictions", func(t *testing.T, s serve.Store, r *rand.Rand) (any, error) {
		ps := make([]serve.Prediction, r.IntN(9))
		for i := range ps {
			ps[i] = randomPrediction(r)
		}
		return nil, s.AppendPredictions(t.Context(), ps)
	}},
	{"AppendLabels", func(t *testing.T, s serve.Store, r *rand.Rand) (any, error) {
		ls := make([]serve.Label, r.IntN(9))
		for i := range ls {
			ls[i] = serve.Label{
				ID: randomID(r), Index: r.IntN(2), Model: randomModel(r), Value: frame.BoolValue(r.IntN(8) > 0), Time: randomTime(r),
				Output: []string{"", serve.LabelOutput, "other"}[r.IntN(3)],
			}
		}
		unknown, err := s.AppendLabels(t.Context(), ls)
		for i := range ls {
			ls[i].Seq = min(1, ls[i].Seq)
		}
		return [][]serve.Label{unknown, ls}, err
	}},
	{"Predictions", func(t *testing.T, s serve.Store, r *rand.Rand) (any, error) {
		variants := []serve.Variant{serve.Primary, serve.Canary, serve.Shadow}[r.IntN(3):]
		model := randomModel(r)
		ps, err := s.Predictions(t.Context(), serve.PredictionQuery{Model: model, After: randomSeq(t, s, r, model), Variants: variants, Statuses: randomStatuses(r), Limit: r.IntN(20)})
		for i := range ps {
			ps[i].Seq = 0
		}
		return ps, err
	}},
	{"Labels", func(t *testing.T, s serve.Store, r *rand.Rand) (any, error) {
		model := randomModel(r)
		ls, err := s.Labels(t.Context(), serve.LabelQuery{Model: model, After: randomLabelSeq(t, s, r, model), Limit: r.IntN(20)})
		return withoutSeq(ls), err
	}},
	{"Lookup", func(t *testing.T, s serve.Store, r *rand.Rand) (any, error) {
		ls, err := s.Lookup(t.Context(), randomModel(r), []string{randomID(r), randomID(r), randomID(r)})
		return withoutSeq(ls), err
	}},
	{"Counts", func(t *testing.T, s serve.Store, r *rand.Rand) (any, error) {
		c, err := s.Counts(t.Context(), randomModel(r))
		require.Equal(t, c.Predictions+c.Unanswered+c.Shadow+c.Labels > 0, c.Bytes > 0)
		c.Bytes, c.LastSeq, c.LastLabel = 0, min(1, c.LastSeq), min(1, c.LastLabel)
		return c, err
	}},
	{"Erase", func(t *testing.T, s serve.Store, r *rand.Rand) (any, error) {
		return s.Erase(t.Context(), randomModel(r), []string{randomID(r), randomID(r)})
	}},
	{"Trim", func(t *testing.T, s serve.Store, r *rand.Rand) (any, error) {
		if r.IntN(4) > 0 {
			return nil, nil
		}
		model := randomModel(r)
		return s.Trim(t.Context(), serve.Trim{Model: model, Before: randomTime(r), KeepFrom: randomSeq(t, s, r, model), Limit: r.IntN(20)})
	}},
	{"PutRoute", func(t *testing.T, s serve.Store, r *rand.Rand) (any, error) {
		model := randomModel(r)
		now, _ := s.Route(t.Context(), model) // none is revision 0
		return nil, s.PutRoute(t.Context(), serve.Route{
			Model: model, Primary: r.Int64N(5), Canary: r.Int64N(5), Share: r.Float64(), Shadow: r.Int64N(5), Salt: randomID(r), Rev: now.Rev + r.Int64N(3),
			Token: max(0, now.Token+r.Int64N(3)-1),
		})
	}},
	{"Route", func(t *testing.T, s serve.Store, r *rand.Rand) (any, error) {
		return s.Route(t.Context(), randomModel(r))
	}},
}

// empty reports whether v is a slice without elements: stores may return nil or not.
func empty(v any) bool {
	slice := reflect.ValueOf(v)
	return slice.Kind() == reflect.Slice && slice.Len() == 0
}

// withoutSeq clears the numbers, which are each store's own.
func withoutSeq(ls []serve.LabelledPrediction) []serve.LabelledPrediction {
	for i := range ls {
		ls[i].Prediction.Seq, ls[i].Truth.Seq = 0, min(1, ls[i].Truth.Seq)
	}
	return ls
}

// randomSeq returns the Seq of a random stored prediction, or 0.
func randomSeq(t *testing.T, s serve.Store, r *rand.Rand, model string) int64 {
	ps, err := s.Predictions(t.Context(), serve.PredictionQuery{Model: model})
	require.NoError(t, err)
	if i := r.IntN(len(ps) + 1); i > 0 {
		return ps[i-1].Seq
	}
	return 0
}

func randomLabelSeq(t *testing.T, s serve.Store, r *rand.Rand, model string) int64 {
	ls, err := s.Labels(t.Context(), serve.LabelQuery{Model: model})
	require.NoError(t, err)
	if i := r.IntN(len(ls) + 1); i > 0 {
		return ls[i-1].Truth.Seq
	}
	return 0
}

func randomModel(r *rand.Rand) string { return []string{"churn", "fraud"}[r.IntN(2)] }

func randomID(r *rand.Rand) string { return fmt.Sprint("id/", r.IntN(25)) }

func randomTime(r *rand.Rand) time.Time {
	return start.Add(time.Duration(r.Int64N(int64(time.Hour))))
}

var allStatuses = []serve.Status{frame.Answered, frame.Fallback, frame.Failed, frame.TimedOut, frame.Refused}

func randomStatuses(r *rand.Rand) []serve.Status { return allStatuses[r.IntN(len(allStatuses)):] }

// randomPrediction has few ids, inputs and times, so that they meet.
func randomPrediction(r *rand.Rand) serve.Prediction {
	schema := frame.Schema{{Name: "x", Kind: frame.Float64}, {Name: "s", Kind: frame.String}}[:1+r.IntN(2)]
	p := serve.Prediction{
		ID: randomID(r), Index: r.IntN(2), Model: randomModel(r), Version: r.Int64N(4), Key: randomID(r),
		Time:     start.Add(time.Duration(r.IntN(4)) * time.Millisecond),
		Variant:  []serve.Variant{serve.Primary, serve.Canary, serve.Shadow}[r.IntN(3)],
		Status:   allStatuses[r.IntN(len(allStatuses))],
		Features: frame.Row{Schema: schema, Values: make([]frame.Value, len(schema))},
		Digest:   r.Uint64N(3), Propensity: r.Float64(), Latency: time.Duration(r.Int64N(1e9)), RouteRev: r.Int64N(9),
	}
	if r.IntN(4) > 0 {
		p.Time = randomTime(r)
		p.Features.Values[0] = frame.FloatValue(r.NormFloat64())
	}
	if len(schema) > 1 && r.IntN(4) > 0 {
		p.Features.Values[1] = frame.StringValue(randomID(r))
	}
	if p.Status.OK() {
		p.Outputs = frame.Row{Schema: outputs, Values: []frame.Value{frame.StringValue(randomID(r)), frame.FloatValue(r.Float64()), {}}}
	} else {
		p.Error = "seed"
	}
	return p
}
