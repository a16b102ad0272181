package serve_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/serve/servetest"
	"github.com/mlloop/mlloop/train/frame"
)

// newShadowed returns a server whose version 2 is asked beside version 1.
func newShadowed(t *testing.T, shadow serve.Predictor, opts *serve.Options) *servetest.Server {
	t.Helper()
	s := servetest.New(t, "churn", servetest.Constant("one"), opts)
	require.NoError(t, s.Add("churn", 2, shadow))
	require.NoError(t, s.SetRoute(t.Context(), serve.Route{Model: "churn", Primary: 1, Shadow: 2, Rev: 1}))
	return s
}

// TestShadow: the shadow's answers are logged beside the primary's, row by row;
// the observer does not hear of them.
func TestShadow(t *testing.T) {
	w := &witness{}
	s := newShadowed(t, servetest.Constant("two"), &serve.Options{Observers: map[string]serve.Observer{"churn": w}})
	for i := range 3 {
		_, err := s.Predict(t.Context(), "churn", serve.Request{ID: fmt.Sprint(i), Key: "k", TraceID: "t", Inputs: servetest.X(1, 2)})
		require.NoError(t, err)
	}
	require.NoError(t, s.Drain(t.Context()))
	var shadows []serve.Prediction
	for _, p := range servetest.RequirePredictions(t, s, "churn", 12) {
		if p.Variant == serve.Shadow {
			shadows = append(shadows, p)
		}
	}
	require.Len(t, shadows, 6)
	for i, p := range shadows {
		require.Equal(t, []any{fmt.Sprint(i / 2), i % 2, 1, int64(2), frame.Answered, "k", "t", int64(2)},
			[]any{p.ID, p.Index, p.Attempt, p.Version, p.Status, p.Key, p.TraceID, p.RouteRev})
		require.Equal(t, frame.StringValue("two"), p.Label())
		require.Equal(t, frame.FloatValue(float64(i%2+1)), p.Features.Get("x"))
	}
	require.Len(t, w.lines(), 6)
}

// TestSlowShadow: the shadow's time is not the caller's, inputs are the
// caller's again at once, and rows that find no place are counted.
func TestSlowShadow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShadowed(t, servetest.Slow(servetest.Constant("two"), time.Second), &serve.Options{Shadow: serve.ShadowOptions{QueueRows: 3}})
		began := time.Now()
		x := servetest.X(5, 5)
		for i := range 10 {
			_, err := s.Predict(t.Context(), "churn", serve.Request{ID: fmt.Sprint(i), Inputs: x})
			require.NoError(t, err)
			synctest.Wait()
		}
		x[0].Data.([]float64)[0] = 6
		require.Zero(t, time.Since(began))
		st := s.Stats()
		require.Equal(t, 3, st.ShadowQueued, "a request and a half wait")
		require.EqualValues(t, 20-2-3, st.ShadowDropped, "one is being answered")
		require.Equal(t, map[int64]int64{2: 15}, s.Metrics()[0].ShadowDropped)
		require.NoError(t, s.Drain(t.Context()))
		require.Equal(t, 3*time.Second, time.Since(began))
		for _, p := range servetest.RequirePredictions(t, s, "churn", 25) {
			require.Equal(t, frame.FloatValue(5), p.Features.Get("x"))
			require.True(t, began.Equal(p.Time), "a row's time is when it was asked, however late the shadow answered")
		}
	})
}

// TestShadowQueueIsBoundedInBytes: large rows fill the queue before many do.
func TestShadowQueueIsBoundedInBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShadowed(t, servetest.Slow(servetest.Constant("two"), time.Second), &serve.Options{Shadow: serve.ShadowOptions{QueueBytes: 100}})
		for i := range 3 {
			_, err := s.Predict(t.Context(), "churn", serve.Request{ID: fmt.Sprint(i), Inputs: servetest.X(make([]float64, 8)...)})
			require.NoError(t, err)
			synctest.Wait()
		}
		require.LessOrEqual(t, s.Stats().ShadowQueued, 100/8)
		require.Positive(t, s.Stats().ShadowDropped)
	})
}

// TestFailingShadow: errors, panics, refusals and another signature of the
// shadow stay behind the curtain, and leave rows that a verdict can see.
func TestFailingShadow(t *testing.T) {
	two := servetest.Constant("two")
	for why, shadow := range map[string]serve.Predictor{
		"error": servetest.Failing(two, 1), "panic": servetest.Panicking(two, 1), "refusal": servetest.Refusing(two, 1),
		"bad outputs": broken(), "other signature": sums(),
	} {
		t.Run(why, func(t *testing.T) {
			s := newShadowed(t, shadow, nil)
			require.Equal(t, "one", ask(t, s.Server, "churn", "a"))
			require.NoError(t, s.Drain(t.Context()))
			require.EqualValues(t, 1, s.Stats().ShadowFailed)
			ps := servetest.RequirePredictions(t, s, "churn", 2)
			require.Equal(t, []any{serve.Shadow, frame.Failed, 1}, []any{ps[1].Variant, ps[1].Status, ps[1].Attempt})
			require.Equal(t, frame.FloatValue(1), ps[1].Features.Get("x"))
			require.NotEmpty(t, ps[1].Error)
		})
	}
}

// TestHungShadow: a shadow that hangs delays no caller, Drain until its
// deadlines, Close not at all; it is left alone once a few calls hang.
func TestHungShadow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open := &counter{n: 1}
		shadow := servetest.Hang(servetest.Constant("two"))
		s := newShadowed(t, closable{shadow, open}, nil)
		began := time.Now()
		for i := range 100 {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			_, err := s.Predict(ctx, "churn", serve.Request{ID: fmt.Sprint(i), Inputs: servetest.X(1)})
			cancel()
			require.NoError(t, err)
		}
		require.NoError(t, s.Flush(t.Context()))
		require.Zero(t, time.Since(began), "neither callers nor Flush wait")
		_, _, hangs := s.HangingShadow("churn")
		require.False(t, hangs)
		require.NoError(t, s.Drain(t.Context()))
		require.Equal(t, 15*time.Second, time.Since(began), "three answers' deadlines")
		require.Equal(t, 3, shadow.Hung())
		version, why, hangs := s.HangingShadow("churn")
		require.True(t, hangs)
		require.EqualValues(t, 2, version)
		require.Equal(t, "3 of its calls run on after their time was over", why)
		require.EqualValues(t, 3, s.Stats().Abandoned)
		ask(t, s.Server, "churn", "later")
		require.NoError(t, s.Drain(t.Context()))
		require.Equal(t, 3, shadow.Calls(), "it is not asked while they hang")
		require.EqualValues(t, 98, s.Stats().ShadowDropped)
		late, err := s.Log.Predictions(t.Context(), serve.PredictionQuery{Model: "churn", Statuses: []serve.Status{frame.TimedOut}})
		require.NoError(t, err)
		require.Len(t, late, 3)

		before := time.Now()
		require.NoError(t, s.Close(t.Context()))
		require.Zero(t, time.Since(before))
		require.Equal(t, 1, open.add(0))
		shadow.Release()
		synctest.Wait()
		require.Zero(t, open.add(0), "closed by its last call")
	})
}

// TestCloseDuringAShadowsAnswer: Close leaves it behind.
func TestCloseDuringAShadowsAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shadow := servetest.Hang(servetest.Constant("two"))
		defer shadow.Release()
		s := newShadowed(t, shadow, nil)
		for i := range 5 {
			ask(t, s.Server, "churn", fmt.Sprint(i))
		}
		synctest.Wait()
		began := time.Now()
		require.NoError(t, s.Close(t.Context()))
		require.Zero(t, time.Since(began))
		require.EqualValues(t, 5, s.Stats().ShadowDropped)
		c, err := s.Log.Counts(t.Context(), "churn")
		require.NoError(t, err)
		require.EqualValues(t, 5, c.Predictions)
	})
}

// TestDrainGivesUp with its context.
func TestDrainGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShadowed(t, servetest.Slow(servetest.Constant("two"), time.Second), nil)
		ask(t, s.Server, "churn", "a")
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		err := s.Drain(ctx)
		require.ErrorIs(t, err, serve.ErrUnavailable)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NoError(t, s.Drain(t.Context()))
	})
}

// TestShadowRate: about so many rows a second are asked, of the same keys from
// one second to the next.
func TestShadowRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rate, keys, seconds = 10, 100, 20
		s := newShadowed(t, servetest.Constant("two"), &serve.Options{Shadow: serve.ShadowOptions{Rate: rate}})
		for second := range seconds {
			for key := range keys {
				_, err := s.Predict(t.Context(), "churn", serve.Request{ID: fmt.Sprint(second, "/", key), Key: fmt.Sprint(key), Inputs: servetest.X(1)})
				require.NoError(t, err)
				time.Sleep(time.Second / keys)
			}
		}
		require.NoError(t, s.Drain(t.Context()))
		asked, err := s.Log.Predictions(t.Context(), serve.PredictionQuery{Model: "churn", Variants: []serve.Variant{serve.Shadow}})
		require.NoError(t, err)
		seen := map[string]int{}
		for _, p := range asked[rate:] { // the first second does not know the traffic yet
			seen[p.Key]++
		}
		require.LessOrEqual(t, len(asked), rate*seconds)
		require.GreaterOrEqual(t, len(asked), rate*seconds/2)
		require.LessOrEqual(t, len(seen), 2*rate, "the same keys")
		require.EqualValues(t, keys*seconds-len(asked), s.Metrics()[0].ShadowUnsampled)
		require.Zero(t, s.Stats().ShadowDropped)
	})
}

// TestShadowRateInVirtualTime: the rate goes by the server's clock, so that a
// replay, in which days pass in milliseconds, asks about as many rows as those
// days' traffic would.
func TestShadowRateInVirtualTime(t *testing.T) {
	var now time.Time
	s := newShadowed(t, servetest.Constant("two"), &serve.Options{
		Now: func() time.Time { return now }, Shadow: serve.ShadowOptions{Rate: 20},
	})
	for i := range 200 {
		now = time.Date(2026, 1, 1, 0, i, 0, 0, time.UTC)
		_, err := s.Predict(t.Context(), "churn", serve.Request{ID: fmt.Sprint(i), Inputs: servetest.X(1)})
		require.NoError(t, err)
		require.NoError(t, s.Drain(t.Context()))
	}
	require.Zero(t, s.Metrics()[0].ShadowUnsampled, "one row a minute is below any rate")
}

// TestAskShadow: logged rows without a shadow's row are asked again, exactly as
// they were asked first, each once.
func TestAskShadow(t *testing.T) {
	log := servetest.New(t, "other", servetest.Constant(""), nil).Log
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	first := servetest.New(t, "sums", sums(), &serve.Options{Log: log, Now: func() time.Time { return now }})
	for i := range 3 {
		_, err := first.Predict(t.Context(), "sums", serve.Request{ID: fmt.Sprint(i), Key: "k", Inputs: sumInputs()})
		require.NoError(t, err)
	}
	logged := servetest.RequirePredictions(t, first, "sums", 6)
	now = now.Add(time.Hour)
	_, err := first.AskShadow(t.Context(), "sums", logged)
	require.ErrorIs(t, err, serve.ErrNotFound, "there is no shadow")
	require.NoError(t, first.Add("sums", 2, sums()))
	require.NoError(t, first.SetRoute(t.Context(), serve.Route{Model: "sums", Primary: 1, Shadow: 2, Rev: 1}))
	for range 2 {
		n, err := first.AskShadow(t.Context(), "sums", logged)
		require.NoError(t, err)
		require.Equal(t, 6, n)
		require.NoError(t, first.Drain(t.Context()))
	}
	all := servetest.RequirePredictions(t, first, "sums", 12)
	for i, p := range all[6:] {
		want := logged[i]
		require.Equal(t, []any{serve.Shadow, frame.Answered, int64(2)}, []any{p.Variant, p.Status, p.Version}, p.Error)
		require.Equal(t, []any{want.ID, want.Index, want.Attempt, want.Key, want.Time, want.Digest, want.Features, want.Outputs},
			[]any{p.ID, p.Index, p.Attempt, p.Key, p.Time, p.Digest, p.Features, p.Outputs})
	}
	n, err := first.AskShadow(t.Context(), "sums", all)
	require.NoError(t, err)
	require.Equal(t, 12, n, "nothing is left to ask")
	require.Zero(t, first.Stats().ShadowQueued)
}

// TestAskShadowOfAnother: what the shadow cannot read from the log is its
// failure, once and for all.
func TestAskShadowOfAnother(t *testing.T) {
	s := servetest.New(t, "churn", servetest.Constant("one"), nil)
	ask(t, s.Server, "churn", "a")
	require.NoError(t, s.Add("churn", 2, sums()))
	require.NoError(t, s.SetRoute(t.Context(), serve.Route{Model: "churn", Primary: 1, Shadow: 2, Rev: 1}))
	n, err := s.AskShadow(t.Context(), "churn", servetest.RequirePredictions(t, s, "churn", 1))
	require.NoError(t, err)
	require.Equal(t, 1, n)
	p := servetest.RequirePredictions(t, s, "churn", 2)[1]
	require.Equal(t, []any{serve.Shadow, frame.Failed}, []any{p.Variant, p.Status})
	require.Contains(t, p.Error, `the logged row has no column "price"`)
}

// TestAskShadowInParts: what finds no place is left to the next call.
func TestAskShadowInParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servetest.New(t, "churn", servetest.Constant("one"), &serve.Options{Shadow: serve.ShadowOptions{QueueRows: 4}})
		for i := range 10 {
			ask(t, s.Server, "churn", fmt.Sprint(i))
		}
		ps := servetest.RequirePredictions(t, s, "churn", 10)
		require.NoError(t, s.Add("churn", 2, servetest.Slow(servetest.Constant("two"), time.Second)))
		require.NoError(t, s.SetRoute(t.Context(), serve.Route{Model: "churn", Primary: 1, Shadow: 2, Rev: 1}))
		for rounds := 0; len(ps) > 0; rounds++ {
			require.Less(t, rounds, 3)
			n, err := s.AskShadow(t.Context(), "churn", ps)
			require.NoError(t, err)
			require.NoError(t, s.Drain(t.Context()))
			ps = ps[n:]
		}
		servetest.RequirePredictions(t, s, "churn", 20)
		require.Zero(t, s.Stats().ShadowDropped)
	})
}

// TestShadowOutlivesItsRoute: a shadow that is taken off the route still
// answers what waits for it.
func TestShadowOutlivesItsRoute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		models := newFakeModels(1)
		s, open := newServer(t, models, &serve.Options{KeepWarm: -1})
		require.NoError(t, s.Load(t.Context(), "churn@champion"))
		require.NoError(t, s.SetRoute(t.Context(), serve.Route{Model: "churn", Primary: 1, Shadow: 2, Rev: 1}))
		ask(t, s, "churn", "a")
		require.NoError(t, s.SetRoute(t.Context(), serve.Route{Model: "churn", Primary: 1, Rev: 2}))
		synctest.Wait()
		require.Equal(t, 1, open.add(0), "closed after its last answer")
		require.Zero(t, s.Stats().ShadowFailed)
	})
}
