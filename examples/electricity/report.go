package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"text/tabwriter"
)

// figures are the end of the story; the JSON keys are the example's interface.
type figures struct {
	Rows                   int     `json:"rows"` // replayed
	FrozenAccuracy         float64 `json:"frozen_accuracy"`
	LoopAccuracy           float64 `json:"loop_accuracy"`
	CalendarAccuracy       float64 `json:"calendar_accuracy"`
	FortnightAccuracy      float64 `json:"fortnight_accuracy"`
	YesterdayAccuracy      float64 `json:"yesterday_accuracy"`
	LoopMinusCalendarLow   float64 `json:"loop_minus_calendar_low"`
	LoopMinusCalendarHigh  float64 `json:"loop_minus_calendar_high"`
	Alerts                 int     `json:"alerts"`
	AlertsBeforeWidening   int     `json:"alerts_before_widening"`
	FirstWideningAlertRows int     `json:"first_widening_alert_rows"` // rows after 17,424; -1: none
	Retrains               int     `json:"retrains"`
	Promotions             int     `json:"promotions"`
	Rejections             int     `json:"rejections"`
	Rollbacks              int     `json:"rollbacks"`
	Inconclusive           int     `json:"inconclusive"`      // retrainings that ended so: the champion stayed
	CanariesJudged         int     `json:"canaries_judged"`   // by labels
	CanariesUnjudged       int     `json:"canaries_unjudged"` // an event says so of each
	PredictionsLogged      int64   `json:"predictions_logged"`
	LabelsJoined           int64   `json:"labels_joined"`
	Seconds                float64 `json:"seconds"`
	PeakRSSMB              float64 `json:"peak_rss_mb"`

	fits           int    // of the densest calendar
	where, command string // the database, and how to look at it
}

// writeJSON writes the figures as one JSON object. JSON has no NaN: the
// interval of a replay of less than two weeks is written as 0 to 0.
func (f figures) writeJSON(w io.Writer) error {
	for _, v := range []*float64{&f.LoopMinusCalendarLow, &f.LoopMinusCalendarHigh} {
		if math.IsNaN(*v) {
			*v = 0
		}
	}
	return json.NewEncoder(w).Encode(f)
}

// writeTable writes the figures for a reader.
func (f figures) writeTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(what, value string) { _, _ = fmt.Fprintf(t, "%s\t%s\n", what, value) } // Flush reports
	row("\naccuracy on the next "+fmt.Sprint(f.Rows)+" rows", "")
	row("  same as yesterday", fmt.Sprintf("%.4f", f.YesterdayAccuracy))
	row("  the first model, frozen", fmt.Sprintf("%.4f", f.FrozenAccuracy))
	row("  the loop", fmt.Sprintf("%.4f  (%d retrainings: %d promoted, %d rejected, %d rolled back, %d inconclusive)",
		f.LoopAccuracy, f.Retrains, f.Promotions, f.Rejections, f.Rollbacks, f.Inconclusive))
	row("  a calendar with as many refits", fmt.Sprintf("%.4f", f.CalendarAccuracy))
	row("  a refit every 672 rows", fmt.Sprintf("%.4f  (%d refits)", f.FortnightAccuracy, f.fits))
	row("  loop minus calendar", f.verdict())
	row("canaries", fmt.Sprintf("%d judged by labels, %d unjudged, each with an event", f.CanariesJudged, f.CanariesUnjudged))
	row("alerts", fmt.Sprintf("%d, %d of them before the market was widened", f.Alerts, f.AlertsBeforeWidening))
	row("the widening was noticed after", f.noticed())
	row("predictions logged, labels joined", fmt.Sprintf("%d, %d", f.PredictionsLogged, f.LabelsJoined))
	row("time, peak memory", fmt.Sprintf("%.1f s, %.0f MB", f.Seconds, f.PeakRSSMB))
	row("everything is in", f.where)
	if f.command != "" {
		row("  look at it with", f.command)
	}
	return t.Flush()
}

func (f figures) verdict() string {
	text := fmt.Sprintf("%+.4f  [%+.4f, %+.4f], 95 %%, whole weeks", f.LoopAccuracy-f.CalendarAccuracy, f.LoopMinusCalendarLow, f.LoopMinusCalendarHigh)
	switch {
	case math.IsNaN(f.LoopMinusCalendarLow):
		return "no interval: less than two weeks were replayed"
	case f.LoopMinusCalendarLow <= 0 && f.LoopMinusCalendarHigh >= 0:
		return text + ": not distinguishable"
	}
	return text
}

func (f figures) noticed() string {
	if f.FirstWideningAlertRows < 0 {
		return "not in these rows"
	}
	return fmt.Sprintf("%d rows", f.FirstWideningAlertRows)
}
