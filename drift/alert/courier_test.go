package alert_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/drift/alert"
	"github.com/mlloop/mlloop/internal/fault"
)

func TestEachSenderGetsEveryMessageInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, store, a, b := &feed{}, &cursors{}, &receiver{name: "a"}, &receiver{name: "b"}
		f.add(250, time.Now()) // several pages
		c := courier(t, f, store, nil, a, b)
		require.NoError(t, c.Deliver(t.Context(), time.Now()))
		require.NoError(t, c.Deliver(t.Context(), time.Now()))
		f.add(2, time.Now())
		require.NoError(t, courier(t, f, store, nil, a, b).Deliver(t.Context(), time.Now()), "another courier goes on from the cursors")
		require.Equal(t, f.ids(), a.got)
		require.Equal(t, f.ids(), b.got)
		status, err := c.Status(t.Context(), time.Now())
		require.NoError(t, err)
		require.Equal(t, []alert.Status{{Sender: "a", Cursor: alert.Cursor{Seq: 756}}, {Sender: "b", Cursor: alert.Cursor{Seq: 756}}}, status)
	})
}

func TestBackoffDoublesAndOthersGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, bad, good := &feed{}, &receiver{name: "bad", say: down}, &receiver{name: "good"}
		f.add(1, time.Now())
		start := time.Now()
		store := &cursors{}
		for range 2500 { // every second
			c := courier(t, f, store, nil, bad, good) // the back-off outlives the process
			require.NoError(t, c.Deliver(t.Context(), time.Now()))
			time.Sleep(time.Second)
		}
		var after []int
		for _, at := range bad.at {
			after = append(after, int(at.Sub(start).Seconds()))
		}
		require.Equal(t, []int{0, 1, 3, 7, 15, 31, 63, 127, 255, 511, 1023, 1623, 2223}, after)
		require.Equal(t, f.ids(), good.got)

		f.add(1, time.Now())
		c := courier(t, f, store, nil, bad, good)
		require.NoError(t, c.Deliver(t.Context(), time.Now()))
		status, err := c.Status(t.Context(), time.Now())
		require.NoError(t, err)
		require.Equal(t, alert.Status{Sender: "bad", Pending: 2, Cursor: alert.Cursor{
			Attempts: 13, FirstFailure: start, NextTry: start.Add(2823 * time.Second), LastError: "down",
		}}, status[0])
		require.Len(t, good.got, 2)

		bad.will(nil)
		time.Sleep(10 * time.Minute)
		require.NoError(t, c.Deliver(t.Context(), time.Now()))
		require.Equal(t, f.ids(), bad.got)
		require.Equal(t, alert.Cursor{Seq: 6}, store.saved["bad"], "and all is forgotten")
	})
}

func TestAReceiverIsLeftAloneAsLongAsItAsks(t *testing.T) {
	for ask, want := range map[time.Duration]time.Duration{7 * time.Minute: 7 * time.Minute, 0: time.Second, 50 * time.Hour: time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			f, store := &feed{}, &cursors{}
			f.add(1, time.Now())
			s := &receiver{name: "s", say: func(context.Context, alert.Message) error { return asking{errors.New("later"), ask} }}
			require.NoError(t, courier(t, f, store, nil, s).Deliver(t.Context(), time.Now()))
			require.Equal(t, want, time.Until(store.saved["s"].NextTry))
		})
	}
}

type asking struct {
	error
	after time.Duration
}

func (a asking) RetryAfter() time.Duration { return a.after }

func TestAHungSenderBlocksNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		f, store, r := &feed{}, &cursors{}, &reports{}
		f.add(1, time.Now())
		hung := &receiver{name: "hung", say: func(context.Context, alert.Message) error { <-release; return nil }}
		good := &receiver{name: "good"}
		c := courier(t, f, store, r, hung, good)
		start := time.Now()
		require.NoError(t, c.Deliver(t.Context(), start))
		require.Equal(t, 30*time.Second, time.Since(start), "the caller waits no longer")
		require.Len(t, good.got, 1)

		f.add(1, time.Now())
		synctest.Wait()
		before := runtime.NumGoroutine()
		for range 20 * 60 { // 20 hours
			time.Sleep(time.Minute)
			at := time.Now()
			require.NoError(t, c.Deliver(t.Context(), at))
			require.Zero(t, time.Since(at), "it is not waited for again")
		}
		require.Len(t, hung.at, 1, "nor called again")
		synctest.Wait()
		require.Less(t, runtime.NumGoroutine(), before+10, "of 1,200 calls")
		require.Equal(t, f.ids(), good.got)
		status, err := c.Status(t.Context(), time.Now())
		require.NoError(t, err)
		require.Equal(t, start, status[0].HungSince)
		require.Equal(t, 2, status[0].Pending)
		require.Contains(t, status[0].LastError, "has not returned since 2000-01-01T00:00:00Z, from message 3")

		close(release)
		synctest.Wait()
		require.NoError(t, c.Deliver(t.Context(), time.Now()))
		require.Equal(t, f.ids(), hung.got, "what it took late is not sent again")
		require.Empty(t, r.ids)
	})
}

func TestAHungSendersMessagesAreGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		f, store, r := &feed{}, &cursors{}, &reports{}
		f.add(2, time.Now())
		c := courier(t, f, store, r, &receiver{name: "hung", say: func(context.Context, alert.Message) error { <-release; return nil }})
		for range 25 * 6 {
			require.NoError(t, c.Deliver(t.Context(), time.Now()))
			time.Sleep(10 * time.Minute)
		}
		require.Equal(t, []string{"hung m3", "hung m6"}, r.ids)
		close(release)
	})
}

func TestPermanentErrorsAreNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, store, r := &feed{}, &cursors{}, &reports{}
		f.add(3, time.Now())
		refused := fault.Errorf(fault.Invalid, "too long")
		s := &receiver{name: "s", say: func(_ context.Context, m alert.Message) error {
			if m.ID == "m6" {
				return refused
			}
			return nil
		}}
		require.NoError(t, courier(t, f, store, r, s).Deliver(t.Context(), time.Now()))
		require.Equal(t, []string{"m3", "m9"}, s.got)
		require.Len(t, s.at, 3)
		require.Equal(t, []string{"s m6"}, r.ids)
		require.Equal(t, []error{refused}, r.errs)
	})
}

func TestARefusalIsSeenInTheStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, store := &feed{}, &cursors{}
		f.add(1, time.Now())
		s := &receiver{name: "s", say: func(context.Context, alert.Message) error { return fault.Errorf(fault.Denied, "revoked") }}
		c := courier(t, f, store, nil, s)
		require.NoError(t, c.Deliver(t.Context(), time.Now()))
		status, err := c.Status(t.Context(), time.Now())
		require.NoError(t, err)
		require.Equal(t, alert.Cursor{Seq: 3, LastError: "revoked", FirstFailure: time.Now()}, status[0].Cursor)
	})
}

func TestAMessageIsNotPassedOverBeforeItsReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, store, r := &feed{}, &cursors{}, &reports{fail: errors.New("no event log")}
		f.add(1, time.Now())
		s := &receiver{name: "s", say: func(context.Context, alert.Message) error { return fault.Errorf(fault.Invalid, "no") }}
		c := courier(t, f, store, r, s)
		for range 60 {
			if err := c.Deliver(t.Context(), time.Now()); err != nil {
				require.ErrorContains(t, err, "no event log")
			}
			time.Sleep(time.Second)
		}
		require.Zero(t, store.saved["s"].Seq)
		require.Len(t, s.at, 6, "with the back-off of a failure")
		r.fail = nil
		time.Sleep(time.Minute)
		require.NoError(t, c.Deliver(t.Context(), time.Now()))
		require.Equal(t, []string{"s m3"}, r.ids)
		require.Equal(t, int64(3), store.saved["s"].Seq)
	})
}

// While a receiver is away, each message waits for a day, and those that come
// later are not kept waiting for a day each by those before them.
func TestMessagesAreGivenUpAfterADayOfFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, store, r, s := &feed{}, &cursors{}, &reports{}, &receiver{name: "s", say: down}
		c := courier(t, f, store, r, s)
		given := map[string]time.Duration{}
		start := time.Now()
		for minute := range 60 * 60 { // 60 hours, a message each of the first 30
			if minute%60 == 0 && minute < 30*60 {
				f.add(1, time.Now())
			}
			require.NoError(t, c.Deliver(t.Context(), time.Now()))
			for _, id := range r.ids[len(given):] {
				given[id] = time.Since(start)
			}
			time.Sleep(time.Minute)
		}
		require.Len(t, given, 30)
		for i, id := range f.ids() {
			waited := given["s "+id] - time.Duration(i)*time.Hour
			require.True(t, waited >= 24*time.Hour && waited <= 24*time.Hour+11*time.Minute, "%s waited %s", id, waited)
		}
		s.will(nil)
		f.add(1, time.Now())
		time.Sleep(10 * time.Minute)
		require.NoError(t, c.Deliver(t.Context(), time.Now()))
		require.Equal(t, []string{"m93"}, s.got)
	})
}

func TestAReportIsNotReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, store := &feed{}, &cursors{}
		f.add(1, time.Now())
		s := &receiver{name: "s", say: func(context.Context, alert.Message) error { return fault.Errorf(fault.Denied, "revoked") }}
		c, err := alert.NewCourier(f.read, store, []alert.Sender{s}, &alert.CourierOptions{
			GaveUp: func(_ context.Context, _ string, _ alert.Message, _ error) error { // as a loop does
				f.add(1, time.Now())
				f.messages[len(f.messages)-1].Message.Kind = alert.KindGaveUp
				return nil
			},
		})
		require.NoError(t, err)
		for range 5 {
			require.NoError(t, c.Deliver(t.Context(), time.Now()))
		}
		require.Len(t, f.messages, 2)
		require.Len(t, s.at, 2)
	})
}

func TestAPanicIsTheSendersError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, store, good := &feed{}, &cursors{}, &receiver{name: "good"}
		f.add(1, time.Now())
		panics := alert.Func("panics", func(context.Context, alert.Message) error { panic("boom") })
		exits := alert.Func("exits", func(context.Context, alert.Message) error { runtime.Goexit(); return nil })
		require.NoError(t, courier(t, f, store, nil, panics, exits, good).Deliver(t.Context(), time.Now()))
		require.Equal(t, "panic: boom", store.saved["panics"].LastError)
		require.Equal(t, 1, store.saved["panics"].Attempts)
		require.Equal(t, "the sender ended its goroutine", store.saved["exits"].LastError)
		require.Len(t, good.got, 1)
	})
}

// While cursors cannot be saved, a message is sent once, not at every Deliver.
func TestNothingIsSentWhileCursorsCannotBeSaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, store, s := &feed{}, &cursors{}, &receiver{name: "s"}
		c := courier(t, f, store, nil, s)
		require.NoError(t, c.Deliver(t.Context(), time.Now()))
		f.add(2, time.Now())
		store.fail = errors.New("disk full")
		for range 3 {
			require.ErrorContains(t, c.Deliver(t.Context(), time.Now()), "alert: deliver to s: disk full")
		}
		require.Equal(t, []string{"m3"}, s.got)
		store.fail = nil
		require.NoError(t, c.Deliver(t.Context(), time.Now()))
		require.Equal(t, []string{"m3", "m6"}, s.got)
	})
}

func TestStoppingIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, store := &feed{}, &cursors{}
		f.add(2, time.Now())
		ctx, cancel := context.WithCancel(t.Context())
		s := &receiver{name: "s", say: func(ctx context.Context, m alert.Message) error {
			if m.ID == "m3" {
				cancel() // and takes it
				return nil
			}
			return ctx.Err()
		}}
		require.ErrorIs(t, courier(t, f, store, nil, s).Deliver(ctx, time.Now()), context.Canceled)
		require.Equal(t, alert.Cursor{Seq: 3}, store.saved["s"], "what was taken is noted, and no failure")
	})
}

func TestADeadlineOfTheCallerCountsAgainstAHungSender(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, store, release := &feed{}, &cursors{}, make(chan struct{})
		f.add(1, time.Now())
		s := &receiver{name: "s", say: func(context.Context, alert.Message) error { <-release; return nil }}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		require.NoError(t, courier(t, f, store, nil, s).Deliver(ctx, start))
		require.LessOrEqual(t, time.Since(start), 2*time.Second)
		require.Equal(t, 1, store.saved["s"].Attempts)
		close(release)
	})
}

func TestANewSenderDoesNotRepeatAYear(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, store := &feed{}, &cursors{}
		f.add(300, time.Now())
		time.Sleep(365 * 24 * time.Hour)
		f.add(2, time.Now().Add(-time.Hour))
		s := &receiver{name: "s"}
		c := courier(t, f, store, nil, s)
		status, err := c.Status(t.Context(), time.Now())
		require.NoError(t, err)
		require.Equal(t, 2, status[0].Pending)
		require.NoError(t, c.Deliver(t.Context(), time.Now()))
		require.Equal(t, []string{"m903", "m906"}, s.got)
	})
}

// One that fails from the start, and is away for longer than messages wait, still
// gives them up aloud.
func TestACursorIsSavedBeforeTheFirstMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, store, r, s := &feed{}, &cursors{}, &reports{}, &receiver{name: "s", say: down}
		f.add(1, time.Now())
		require.NoError(t, courier(t, f, store, r, s).Deliver(t.Context(), time.Now()))
		time.Sleep(72 * time.Hour)
		require.NoError(t, courier(t, f, store, r, s).Deliver(t.Context(), time.Now()))
		require.Equal(t, []string{"s m3"}, r.ids)
		require.Len(t, s.at, 2, "not without another attempt")
	})
}

func TestAClockThatIsSetBackStopsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, store, s := &feed{}, &cursors{}, &receiver{name: "s", say: down}
		now := time.Now().Add(365 * 24 * time.Hour)
		f.add(1, now)
		c := courier(t, f, store, nil, s)
		require.NoError(t, c.Deliver(t.Context(), now))
		require.NoError(t, c.Deliver(t.Context(), now.Add(-300*24*time.Hour)))
		require.Len(t, s.at, 2)
		require.Equal(t, now.Add(-300*24*time.Hour), store.saved["s"].FirstFailure)
	})
}

func TestALongBacklogDoesNotHoldTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, store := &feed{}, &cursors{}
		f.add(100, time.Now())
		slow := &receiver{name: "slow", say: func(context.Context, alert.Message) error { time.Sleep(time.Second); return nil }}
		c := courier(t, f, store, nil, slow)
		for len(slow.got) < 100 {
			start := time.Now()
			require.NoError(t, c.Deliver(t.Context(), start))
			require.LessOrEqual(t, time.Since(start), 30*time.Second)
		}
		require.Equal(t, f.ids(), slow.got)
		require.Equal(t, alert.Cursor{Seq: 300}, store.saved["slow"], "a message cut off by the end of Deliver would be a failure")
	})
}

func TestTwoDeliversDoNotShareASender(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, store := &feed{}, &cursors{}
		f.add(5, time.Now())
		var at, most atomic.Int32
		s := &receiver{name: "s", say: func(context.Context, alert.Message) error {
			most.Store(max(most.Load(), at.Add(1)))
			time.Sleep(time.Second)
			at.Add(-1)
			return nil
		}}
		c := courier(t, f, store, nil, s)
		var wait sync.WaitGroup
		for range 4 {
			wait.Go(func() {
				if err := c.Deliver(t.Context(), time.Now()); err != nil {
					t.Error(err)
				}
				_, err := c.Status(t.Context(), time.Now())
				if err != nil {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		require.Equal(t, f.ids(), s.got)
		require.Equal(t, int32(1), most.Load())
	})
}

func TestWhatIsNoSendersFaultIsReturned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &receiver{name: "s"}
		f := &feed{err: errors.New("log gone")}
		c := courier(t, f, &cursors{}, nil, s)
		require.ErrorContains(t, c.Deliver(t.Context(), time.Now()), "alert: deliver to s: log gone")
		_, err := c.Status(t.Context(), time.Now())
		require.ErrorContains(t, err, "alert: status of s: log gone")

		backwards := func(_ context.Context, _ int64, _ int) ([]alert.Numbered, error) {
			return []alert.Numbered{{Seq: 2}, {Seq: 1}}, nil
		}
		c, err = alert.NewCourier(backwards, &cursors{}, []alert.Sender{s}, nil)
		require.NoError(t, err)
		require.ErrorIs(t, c.Deliver(t.Context(), time.Now()), fault.Corrupt)

		c, err = alert.NewCourier(func(context.Context, int64, int) ([]alert.Numbered, error) { panic("boom") }, &cursors{}, []alert.Sender{s}, nil)
		require.NoError(t, err)
		require.ErrorContains(t, c.Deliver(t.Context(), time.Now()), "boom")
		require.Empty(t, s.at)
	})
}

func TestNewCourierRefusesWhatCannotWork(t *testing.T) {
	_, err := alert.NewCourier(nil, nil, []alert.Sender{nil}, &alert.CourierOptions{GiveUp: -1})
	require.ErrorIs(t, err, fault.Invalid)
	for _, want := range []string{"needs a feed", "GiveUp -1ns", "sender 0 is nil"} {
		require.ErrorContains(t, err, want)
	}
}

func TestTheCourierLogsOnceForEachCause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		f, s := &feed{}, &receiver{name: "s", say: down}
		f.add(1, time.Now())
		c, err := alert.NewCourier(f.read, &cursors{}, []alert.Sender{s}, &alert.CourierOptions{Logger: slog.New(slog.NewTextHandler(&out, nil))})
		require.NoError(t, err)
		for range 100 {
			require.NoError(t, c.Deliver(t.Context(), time.Now()))
			time.Sleep(time.Second)
		}
		s.will(nil)
		time.Sleep(time.Hour)
		require.NoError(t, c.Deliver(t.Context(), time.Now()))
		lines := bytes.Split(bytes.TrimSpace(out.Bytes()), []byte("\n"))
		require.Len(t, lines, 2)
		require.Contains(t, string(lines[0]), "level=WARN")
		require.Contains(t, string(lines[1]), "level=INFO msg=\"alert: messages are taken again\" sender=s")
	})
}
