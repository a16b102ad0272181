package retrain

import (
	"time"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/train/frame"
)

// timeLayouts are the forms of a time held as text: RFC 3339 and those that
// SQLite's own functions and Go's drivers write.
var timeLayouts = []string{time.RFC3339Nano, "2006-01-02 15:04:05.999999999 -0700 MST", "2006-01-02 15:04:05.999999999-07:00", time.DateTime, time.DateOnly}

func timeOf(v frame.Value) (time.Time, error) {
	switch v.Kind() {
	case frame.Time, frame.Int64:
		return time.UnixMilli(v.Int()).UTC(), nil
	case frame.String:
		for _, layout := range timeLayouts {
			if t, err := time.Parse(layout, v.Text()); err == nil {
				return t.UTC(), nil
			}
		}
	}
	if v.IsNull() {
		return time.Time{}, fault.Errorf(fault.Invalid, "it is null: every row needs its time")
	}
	return time.Time{}, fault.Errorf(fault.Invalid, "%q is no time: want a timestamp, milliseconds since 1970, or RFC 3339 text", v.Text())
}

// earliestYear is before any row that a service learns from: what lies before
// it was read in the wrong unit.
const earliestYear = 1980

// plausible refuses a time that a wrong unit explains: it would let labels in
// before they are known, or keep all rows out.
func plausible(at, now time.Time) error {
	switch {
	case at.Year() < earliestYear:
		if s := time.Unix(at.UnixMilli(), 0).UTC(); s.Year() >= earliestYear && s.Before(now.AddDate(1, 0, 0)) {
			return fault.Errorf(fault.Invalid, "%d as milliseconds is in %d: it seems to hold seconds, of %s: multiply it by 1,000", at.UnixMilli(), at.Year(), s.Format(time.DateOnly))
		}
		return fault.Errorf(fault.Invalid, "%s lies before %d: want a timestamp, milliseconds since 1970, or RFC 3339 text", at.Format(time.DateOnly), earliestYear)
	case at.After(now.AddDate(100, 0, 0)):
		for _, unit := range []struct {
			name string
			of   time.Duration
		}{{"microseconds", time.Microsecond}, {"nanoseconds", time.Nanosecond}} {
			t := time.UnixMilli(at.UnixMilli() / int64(time.Millisecond/unit.of)).UTC()
			if t.Year() >= earliestYear && t.Before(now.AddDate(1, 0, 0)) {
				return fault.Errorf(fault.Invalid, "%d as milliseconds is in the year %d: it seems to hold %s, of %s", at.UnixMilli(), at.Year(), unit.name, t.Format(time.DateOnly))
			}
		}
		return fault.Errorf(fault.Invalid, "%d milliseconds since 1970 is in the year %d", at.UnixMilli(), at.Year())
	}
	return nil
}
