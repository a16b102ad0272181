package alert

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
)

// AlertmanagerOptions configures Alertmanager; the zero value of a field is its
// default.
type AlertmanagerOptions struct {
	Name      string           // default alertmanager:<host>
	AlertName string           // the label alertname; default ModelDrift
	Hold      time.Duration    // how long an alert fires whose resolution never comes; default 7 days
	Timeout   time.Duration    // of an attempt; default 10 s
	Client    *http.Client     // default http.DefaultClient; its CheckRedirect is not used
	Now       func() time.Time // what Hold counts from; default time.Now
}

type alertmanager struct {
	poster
	alertName string
	hold      time.Duration
	now       func() time.Time
}

// Alertmanager returns a sender that posts alerts to the Prometheus Alertmanager
// at a base URL, by POST /api/v2/alerts (prometheus.io/docs/alerting/latest/alerts_api).
// The labels, which tell one alert from another, are alertname, model, version,
// source, severity and alert_id; the annotation summary is the message's text.
// Messages that are no alerts are taken and not sent on.
//
// Alertmanager expects alerts to be sent again every few minutes, and one that is
// sent once to say when it ends: that is Hold after it is sent, or its resolution.
// It keeps alerts in memory: one that restarts has lost those that were firing.
func Alertmanager(baseURL string, opts *AlertmanagerOptions) Sender {
	var o AlertmanagerOptions
	if opts != nil {
		o = *opts
	}
	if u, err := url.Parse(baseURL); err == nil {
		baseURL = u.JoinPath("api", "v2", "alerts").String()
	}
	a := alertmanager{newPoster("alertmanager", baseURL, o.Name, o.Timeout, o.Client), o.AlertName, o.Hold, o.Now}
	if a.alertName == "" {
		a.alertName = "ModelDrift"
	}
	if a.hold == 0 {
		a.hold = 7 * 24 * time.Hour
	}
	if a.hold < 0 && a.broken == nil {
		a.broken = fault.Errorf(fault.Invalid, "Hold is negative")
	}
	if a.now == nil {
		a.now = time.Now
	}
	return a
}

type postableAlert struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	StartsAt    time.Time         `json:"startsAt"`
	EndsAt      time.Time         `json:"endsAt"`
}

// Send implements Sender.
func (s alertmanager) Send(ctx context.Context, m Message) error {
	if m.Alert == nil {
		return nil
	}
	a := m.Alert
	ends := a.ResolvedAt
	if a.Firing() {
		ends = s.now().Add(s.hold)
	}
	body, err := json.Marshal([]postableAlert{{
		Labels: map[string]string{
			"alertname": s.alertName, "model": a.Model, "version": strconv.FormatInt(a.Version, 10),
			"source": a.Source, "severity": string(a.Severity), "alert_id": a.ID,
		},
		Annotations: map[string]string{"summary": m.Text, "columns": fmt.Sprint(a.ColumnNames())},
		StartsAt:    a.FiredAt.UTC(), EndsAt: ends.UTC(),
	}})
	if err != nil {
		return s.wrong(m.ID, fault.Invalid, "%w", err)
	}
	return s.post(ctx, m.ID, http.Header{}, body)
}
