package retrain_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/drift/alert"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/retrain/retraintest"
	"github.com/mlloop/mlloop/train/frame"
)

// shifted moves x by 3 from the row on, and the border between the classes with
// it: the inputs are others, what is to be learned is as easy.
func shifted(t *testing.T, s *stream, from int) {
	t.Helper()
	xs, err := s.table.Values("x")
	require.NoError(t, err)
	for i := from; i < len(xs); i++ {
		xs[i] = frame.FloatValue(xs[i].Float() + 3)
	}
	s.table, err = s.table.WithColumn(frame.Field{Name: "shifted", Kind: frame.Float64}, xs)
	require.NoError(t, err)
	rest, err := s.table.Drop("x")
	require.NoError(t, err)
	s.table, err = rest.WithColumn(frame.Field{Name: "x", Kind: frame.Float64}, xs)
	require.NoError(t, err)
	s.table, err = s.table.Drop("shifted")
	require.NoError(t, err)
}

// TestAlertIsAnsweredOnce has a drift alert that goes on firing, since no
// challenger passes: it is answered by one retraining, then after back-offs that
// double.
func TestAlertIsAnsweredOnce(t *testing.T) {
	s := newStream(t, 60*rowsADay, never)
	shifted(t, s, 26*rowsADay)
	w := newWorld(t, s, func(c *retrain.Config) {
		c.Triggers = []retrain.Trigger{retrain.OnDrift()}
		c.Gates = []retrain.Gate{rejecting{}}
	})
	w.start(20 * rowsADay)
	w.run(28*rowsADay + 1)
	require.Len(t, w.status().Alerts, 2, "of the input and of the errors")
	require.Len(t, w.retrainings(), 2)
	require.Equal(t, "drift", w.last().Causes[0].Trigger)
	require.NotEmpty(t, w.last().Causes[0].AlertID)
	for i := range 12 * 60 {
		require.NoError(t, w.loop.Step(t.Context(), at(w.row).Add(time.Duration(i)*time.Minute)))
	}
	require.Len(t, w.retrainings(), 2, "twelve hours of steps")
	w.run(57 * rowsADay)
	require.LessOrEqual(t, len(w.retrainings()), 1+6, "0, 1, 3, 7, 15 and 29 days, but for one that has worsened")
	require.GreaterOrEqual(t, len(w.retrainings()), 1+4)
}

// TestFeatureAlertResolvesWithItsAnswer promotes a challenger that was fitted on
// what the inputs have become: judged against its reference, the alert is over.
func TestFeatureAlertResolvesWithItsAnswer(t *testing.T) {
	s := newStream(t, 70*rowsADay, never)
	shifted(t, s, 26*rowsADay)
	w := newWorld(t, s, func(c *retrain.Config) {
		c.Data = s.recent(10)
		c.Triggers = []retrain.Trigger{retrain.OnDrift()}
	})
	w.start(20 * rowsADay)
	w.run(66 * rowsADay)
	require.NotEqual(t, int64(1), w.status().Champion)
	require.Empty(t, w.status().Alerts)
	require.Contains(t, w.kinds(), retrain.EventAlertResolved)
	require.LessOrEqual(t, len(w.retrainings()), 7)
	require.Greater(t, w.accuracy(60*rowsADay, w.row), 0.9)
	alerts, err := w.stores.Drift.Alerts(t.Context(), drift.AlertQuery{Model: "churn"})
	require.NoError(t, err)
	for _, a := range alerts {
		require.False(t, a.Firing(), "%+v", a)
	}
}

// inbox is a sender that keeps what it gets, unless it is told to fail or hang.
type inbox struct {
	name string
	mu   sync.Mutex
	got  []alert.Message
	do   func(ctx context.Context) error
}

func (i *inbox) Name() string { return i.name }

func (i *inbox) Send(ctx context.Context, m alert.Message) error {
	i.mu.Lock()
	do := i.do
	i.mu.Unlock()
	if do != nil {
		if err := do(ctx); err != nil {
			return err
		}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.got = append(i.got, m)
	return nil
}

func (i *inbox) kinds() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	var kinds []string
	for _, m := range i.got {
		kinds = append(kinds, m.Kind)
	}
	return kinds
}

// TestAlertsReachPeople delivers events at least once over two lives, of which the
// first could not reach the sender; one that hangs keeps neither steps nor the
// other sender.
func TestAlertsReachPeople(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		over := make(chan struct{})
		phone := &inbox{name: "phone", do: func(context.Context) error { return errRefused }}
		hung := &inbox{name: "hung", do: func(context.Context) error { <-over; return nil }}
		log := &inbox{name: "log"}
		senders := func(c *retrain.Config) { c.Alerts = []alert.Sender{phone, hung, log} }
		stores := retraintest.NewStores()
		s := newStream(t, 40*rowsADay, never)
		w := newWorldOn(t, s, stores, senders)
		w.start(20 * rowsADay)
		began := time.Now()
		require.NoError(t, w.loop.Pause(t.Context(), "a holiday"))
		w.step(at(w.row))
		require.Zero(t, time.Since(began), "no step waits for a sender")
		require.NoError(t, w.loop.Deliver(t.Context(), at(w.row)))
		require.Equal(t, []string{"promoted", "paused"}, log.kinds())
		require.Empty(t, phone.kinds())
		require.Contains(t, w.status().Senders[0].LastError, "connection refused")
		require.Equal(t, 2, w.status().Senders[0].Pending)

		phone.mu.Lock()
		phone.do = nil
		phone.mu.Unlock()
		second := *stores
		second.Engine = stores.Engine.(*retraintest.Engine).Restart()
		next := newWorldOn(t, s, &second, senders)
		next.from(w.row)
		require.NoError(t, next.loop.Unpause(t.Context()))
		require.NoError(t, next.loop.Deliver(t.Context(), at(w.row).Add(2*time.Hour)))
		require.Equal(t, []string{"promoted", "paused", "unpaused"}, phone.kinds())
		require.Equal(t, []string{"promoted", "paused", "unpaused"}, log.kinds(), "each once where nothing failed")
		require.NotContains(t, phone.kinds(), "retrain.started", "not all that is recorded is told")
		close(over)
		synctest.Wait()
	})
}

// TestUndeliverable gives a message up after a day of trying, with an event.
func TestUndeliverable(t *testing.T) {
	phone := &inbox{name: "phone", do: func(context.Context) error { return errRefused }}
	w := newWorld(t, newStream(t, 40*rowsADay, never), func(c *retrain.Config) { c.Alerts = []alert.Sender{phone} })
	w.start(20 * rowsADay)
	for i := range 30 {
		w.clock.Store(at(w.row).Add(time.Duration(i) * time.Hour).UnixMilli())
		require.NoError(t, w.loop.Deliver(t.Context(), w.now()))
	}
	require.Contains(t, retraintest.RequireEvent(t, w.loop, retrain.EventUndelivered).Text, "sender phone did not get \"version 1 is the champion: the first fit\": ")
}

// TestMessagesOfAlerts carries the alert itself, as it was when it fired.
func TestMessagesOfAlerts(t *testing.T) {
	s := newStream(t, 60*rowsADay, never)
	shifted(t, s, 22*rowsADay)
	in := &inbox{name: "log"}
	w := newWorld(t, s, func(c *retrain.Config) { c.Alerts = []alert.Sender{in} })
	w.start(20 * rowsADay)
	for range 8 {
		w.runDays(1)
		require.NoError(t, w.loop.Deliver(t.Context(), w.now()))
	}
	i := slices.Index(in.kinds(), retrain.EventAlertFired)
	require.GreaterOrEqual(t, i, 0, in.kinds())
	require.NotNil(t, in.got[i].Alert)
	require.True(t, in.got[i].Alert.Firing())
	require.Contains(t, in.got[i].Alert.ColumnNames(), "x")
	require.Equal(t, in.got[i].Alert.Severity, in.got[i].Severity)
	require.EqualValues(t, 1, in.got[i].Version)
}
