package retrain

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/drift/alert"
)

// severities are those of the events that Config.Alerts are told of; an event
// of another kind, such as a gate's verdict, is for the record alone.
var severities = map[string]drift.Severity{
	EventAlertFired: drift.Warning, EventAlertResolved: drift.Info,
	string(Promoted): drift.Info, string(Recommended): drift.Info, string(Rejected): drift.Info, string(Superseded): drift.Info,
	string(Inconclusive): drift.Warning, string(RolledBack): drift.Critical, string(Failed): drift.Warning,
	EventStopped: drift.Critical, EventUnjudged: drift.Warning, EventUnreachable: drift.Warning,
	EventStepFailing: drift.Critical, EventStepRecovered: drift.Info, EventClock: drift.Warning,
	EventMonitor: drift.Warning, EventLabels: drift.Warning, EventLogFull: drift.Warning,
	EventHarm: drift.Critical, EventPaused: drift.Info, EventUnpaused: drift.Info, EventByHand: drift.Info, EventUndelivered: drift.Critical,
	EventDeposed: drift.Warning, EventConfig: drift.Info, EventPointsLost: drift.Warning,
}

// newCourier returns what brings the events to Config.Alerts. Each sender has a
// cursor of its own over the loop's events: it gets each at least once, across
// kill -9, and delivery waits for no step and no step for delivery.
func newCourier(l *Loop) (*alert.Courier, error) {
	return alert.NewCourier(l.feed, cursors{l}, l.config.Alerts, &alert.CourierOptions{
		Logger: l.config.Logger,
		GaveUp: func(ctx context.Context, sender string, m alert.Message, err error) error {
			return l.report(ctx, Event{
				Time: timestamp(l.config.Now()), Kind: EventUndelivered, Key: fmt.Sprintf("gave_up/%s/%s", sender, m.ID),
				Text: fmt.Sprintf("sender %s did not get %q: %v", sender, m.Text, err),
			})
		},
	})
}

// Deliver sends what Config.Alerts have not been sent yet, and returns when each
// has taken it, failed, or had its time. Run calls it; a service that steps the
// loop by itself calls it beside its steps. The process that leads delivers; in
// another one it does nothing. Errors: the stores'; a sender's own
// are in Status, and it is tried again for 24 hours, after which an event says
// that it was given up.
func (l *Loop) Deliver(ctx context.Context, now time.Time) error {
	if len(l.config.Alerts) == 0 {
		return nil
	}
	token, leads, err := l.leads.askUnlessFresh(ctx)
	if err != nil || !leads {
		return err
	}
	err = l.courier.Deliver(underTerm(ctx, token), now)
	senders, note := l.courier.Status(ctx, now)
	if note == nil {
		l.status.seeSenders(senders) // for Metrics, which asks no store
	}
	if err = errors.Join(err, note); err != nil {
		return fmt.Errorf("retrain: alerts of %s: %w", l.config.Model, err)
	}
	return nil
}

// runDelivery delivers until ctx is done.
func (l *Loop) runDelivery(ctx context.Context) {
	if len(l.config.Alerts) == 0 {
		return
	}
	ticker := time.NewTicker(min(l.config.Interval, 10*time.Second))
	defer ticker.Stop()
	for {
		if err := l.Deliver(ctx, l.config.Now()); err != nil && ctx.Err() == nil {
			l.config.Logger.ErrorContext(ctx, "alerts are not delivered; it is tried again", "model", l.config.Model, "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// feed is the loop's events as messages.
func (l *Loop) feed(ctx context.Context, after int64, limit int) ([]alert.Numbered, error) {
	var out []alert.Numbered
	for len(out) == 0 {
		page, err := l.config.Stores.Retrain.Events(ctx, EventQuery{Model: l.config.Model, After: after, Limit: limit})
		if err != nil || len(page) == 0 {
			return nil, err
		}
		alerts, err := l.alertsOf(ctx, page)
		if err != nil {
			return nil, err
		}
		for _, e := range page {
			after = e.Seq
			if severity, told := severities[e.Kind]; told {
				out = append(out, alert.Numbered{Seq: e.Seq, Message: messageOf(e, severity, alerts)})
			}
		}
	}
	return out, nil
}

// alertsOf returns the stored alerts that the events are about, by id.
func (l *Loop) alertsOf(ctx context.Context, events []Event) (map[string]drift.Alert, error) {
	var ids []string
	for _, e := range events {
		if id, about := alertOf(e); about {
			ids = append(ids, id)
		}
	}
	byID := make(map[string]drift.Alert)
	for some := range slices.Chunk(ids, drift.DefaultLimit) {
		page, err := l.config.Stores.Drift.Alerts(ctx, drift.AlertQuery{Model: l.config.Model, IDs: some})
		if err != nil {
			return nil, err
		}
		for _, a := range page {
			byID[a.ID] = a
		}
	}
	return byID, nil
}

// alertOf returns the id of the alert that an event is about, if it is about one.
func alertOf(e Event) (string, bool) {
	if e.Kind != EventAlertFired && e.Kind != EventAlertResolved {
		return "", false
	}
	id, _, _ := strings.Cut(strings.TrimPrefix(e.Key, "alert/"), "/"+strings.TrimPrefix(e.Kind, "alert."))
	return id, true
}

func messageOf(e Event, severity drift.Severity, alerts map[string]drift.Alert) alert.Message {
	m := alert.Message{
		ID: fmt.Sprintf("%s/%d", e.Model, e.Seq), Model: e.Model, Kind: e.Kind, Severity: severity, Time: e.Time, Text: e.Text,
	}
	id, _ := alertOf(e)
	a, known := alerts[id]
	if !known {
		return m
	}
	if e.Kind == EventAlertFired { // as it was then, though it may have resolved since
		m.Severity, a.ResolvedAt, a.Reason = a.Severity, time.Time{}, ""
	}
	m.Version, m.Alert = a.Version, &a
	return m
}
