package servesql_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/crashtest"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/serve/servesql"
	"github.com/mlloop/mlloop/serve/servetest"
	"github.com/mlloop/mlloop/train/frame"
)

func TestMain(m *testing.M) {
	crashtest.Main(m, func(ctx context.Context, arg string) error {
		what, arg, _ := strings.Cut(arg, " ")
		if what == "append" {
			return appendBatches(ctx, arg)
		}
		return serveUntilKilled(ctx, arg)
	})
}

// crashDay is how many rows the child answers before it flushes and labels.
const crashDay = 10

// serveUntilKilled answers rows in order, from the first that is not logged,
// and says which are durable: "flushed N" after a Flush, "labelled N" after Label.
func serveUntilKilled(ctx context.Context, arg string) error {
	p := placeOf(arg)
	store, err := servesql.Open(ctx, p.url, p.options())
	if err != nil {
		return err
	}
	srv, err := crashServer(ctx, store)
	if err != nil {
		return err
	}
	counts, err := store.Counts(ctx, "m")
	if err != nil {
		return err
	}
	// A day is sent again whole unless its labels are in: what is logged counts once.
	for first := int(counts.Labels); ; first += crashDay {
		var labels []serve.LabelInput
		for row := first; row < first+crashDay; row++ {
			id := fmt.Sprint("row-", row)
			if _, err := srv.Predict(ctx, "m", serve.Request{ID: id, Inputs: servetest.X(float64(row))}); err != nil {
				return err
			}
			labels = append(labels, serve.LabelInput{ID: id, Value: frame.StringValue("two")})
		}
		if err := srv.Flush(ctx); err != nil {
			return err
		}
		fmt.Println("flushed", first+crashDay)
		if _, err := srv.Label(ctx, "m", labels); err != nil {
			return err
		}
		fmt.Println("labelled", first+crashDay)
	}
}

// crashServer returns a server with a shadow, whose background writer commits
// all the time.
func crashServer(ctx context.Context, store serve.Store) (*serve.Server, error) {
	srv := serve.New(nil, &serve.Options{Log: store, FlushInterval: 1})
	for version, label := range map[int64]string{1: "one", 2: "two"} {
		if err := srv.Add("m", version, servetest.Constant(label)); err != nil {
			return nil, err
		}
	}
	if srv.Restore(ctx, "m") == nil {
		return srv, nil
	}
	return srv, srv.SetRoute(ctx, serve.Route{Model: "m", Primary: 1, Shadow: 2})
}

// askLostShadows asks the shadow again, as a loop's next step does.
func askLostShadows(t *testing.T, store serve.Store, ps []serve.Prediction) {
	t.Helper()
	srv, err := crashServer(t.Context(), store)
	require.NoError(t, err)
	for len(ps) > 0 {
		n, err := srv.AskShadow(t.Context(), "m", ps)
		require.NoError(t, err)
		require.NoError(t, srv.Drain(t.Context()))
		ps = ps[n:]
	}
	require.NoError(t, srv.Close(t.Context()))
}

// TestKill kills a server with SIGKILL again and again: what it said to be
// durable is there, in order, and nothing is doubled.
func TestKill(t *testing.T) { eachPlace(t, testKill) }

func testKill(t *testing.T, p place) {
	flushed, labelled, lost := 0, 0, 0
	for life := range 8 {
		flushed, labelled = liveAndDie(t, p, 3+2*life, flushed, labelled)
		store := p.open(t)
		ps, err := store.Predictions(t.Context(), serve.PredictionQuery{Model: "m", Variants: []serve.Variant{serve.Primary, serve.Canary}})
		require.NoError(t, err)
		require.GreaterOrEqual(t, len(ps), flushed)
		for i, p := range ps {
			require.Equal(t, fmt.Sprint("row-", i), p.ID)
			require.Equal(t, frame.FloatValue(float64(i)), p.Features.Get("x"))
		}
		shadows, err := store.Predictions(t.Context(), serve.PredictionQuery{Model: "m", Variants: []serve.Variant{serve.Shadow}})
		require.NoError(t, err)
		lost += len(ps) - len(shadows)
		askLostShadows(t, store, ps)
		shadows, err = store.Predictions(t.Context(), serve.PredictionQuery{Model: "m", Variants: []serve.Variant{serve.Shadow}})
		require.NoError(t, err)
		have := map[string]int{}
		for _, p := range shadows {
			have[p.ID]++
		}
		for _, p := range ps {
			require.Equal(t, 1, have[p.ID], "the shadow's answer to %s", p.ID)
		}
		require.Len(t, shadows, len(ps))
		counts, err := store.Counts(t.Context(), "m")
		require.NoError(t, err)
		require.GreaterOrEqual(t, int(counts.Labels), labelled)
		require.Zero(t, counts.Labels%crashDay, "a batch of labels is stored wholly or not at all")
		route, err := store.Route(t.Context(), "m")
		require.NoError(t, err)
		require.Equal(t, serve.Route{Model: "m", Primary: 1, Shadow: 2, Rev: 1}, route)
		require.NoError(t, store.Close())
	}
	require.Positive(t, labelled)
	t.Logf("%d shadow answers were lost to the kills and asked again", lost)
}

// liveAndDie runs the child until it has said so many lines, kills it, and
// returns what it last said to be durable.
func liveAndDie(t *testing.T, p place, lines, flushed, labelled int) (int, int) {
	t.Helper()
	said := 0
	crashtest.Kill(t, "serve "+p.String(), func(line string) bool {
		what, n, _ := strings.Cut(line, " ")
		rows, err := strconv.Atoi(n)
		require.NoError(t, err, line)
		switch what {
		case "flushed":
			flushed = max(flushed, rows)
		case "labelled":
			labelled = max(labelled, rows)
		}
		said++
		return said == lines
	})
	return flushed, labelled
}
