package alert_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/drift/alert"
)

func fired() drift.Alert {
	return drift.Alert{
		ID: "a1", Model: "churn", Version: 3, Source: drift.FeatureDrift, Severity: drift.Critical,
		Columns: []drift.ColumnFinding{{Column: "age", Statistic: "psi", Value: 0.5, Threshold: 0.2, PValue: 1e-9}},
		FiredAt: time.UnixMilli(1_780_000_000_123).UTC(),
	}
}

func resolved() drift.Alert {
	a := fired()
	a.ResolvedAt, a.Reason = a.FiredAt.Add(time.Hour), "back"
	return a
}

// promoted is an event of a loop.
func promoted() alert.Message {
	return alert.Message{
		ID: "churn-17", Model: "churn", Version: 4, Kind: "promoted", Severity: drift.Info,
		Time: time.UnixMilli(1_780_000_000_123).UTC(), Text: "version 4 of churn is champion: auc 0.91 > 0.88 & no slice worse",
	}
}

func TestFromAlert(t *testing.T) {
	a := fired()
	m := alert.FromAlert(a)
	require.Equal(t, alert.Message{
		ID: "a1-fired", Model: "churn", Version: 3, Kind: alert.KindFired, Severity: drift.Critical, Time: a.FiredAt,
		Text: "churn version 3: feature drift in age (psi 0.5 over 0.2)", Alert: &a,
	}, m)
	a.Columns[0].Column = "changed"
	require.Equal(t, "age", m.Alert.Columns[0].Column, "the message has its own copy")

	r := resolved()
	require.Equal(t, alert.Message{
		ID: "a1-resolved", Model: "churn", Version: 3, Kind: alert.KindResolved, Severity: drift.Info, Time: r.ResolvedAt,
		Text: "churn version 3: feature drift resolved after 1h0m0s: back", Alert: &r,
	}, alert.FromAlert(r))
}

func TestTextOfManyColumnsIsOneShortLine(t *testing.T) {
	a := fired()
	a.Model, a.Columns = "ch\nurn\x00", nil
	for range 40 {
		a.Columns = append(a.Columns, drift.ColumnFinding{Column: "a\r\nb\xff", Statistic: "ks"})
	}
	text := alert.FromAlert(a).Text
	require.NotRegexp(t, `[\x00-\x1f]`, text)
	require.Contains(t, text, "ch urn ")
	require.Contains(t, text, "and 35 more")
	require.Less(t, len(text), 300)
}
