package retrain

import (
	"context"
	"fmt"
	"sort"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/train/frame"
)

// dataset is what one retraining learns from and is judged on: rows in the
// order of time, every label known, the held-out rows later than the others.
type dataset struct {
	Train   *frame.Table // inputs and label
	Holdout *frame.Table // inputs and label; nil for a first fit
	Blocks  []int        // the day of each held-out row, counted from 1970
}

// dataset reads the source and splits it. Only rows whose label has arrived by
// now are used, and none that came after now.
func (l *Loop) dataset(ctx context.Context, now time.Time, holdOut bool) (dataset, error) {
	table, err := l.config.Data.Rows(ctx, now)
	if err == nil && table == nil {
		err = fault.Errorf(fault.Invalid, "it returned no table and no error: a table without rows stands for no rows")
	}
	if err != nil {
		return dataset{}, fmt.Errorf("source: %w", err)
	}
	table, times, err := l.labelled(table, now)
	if err != nil {
		return dataset{}, err
	}
	if !holdOut {
		train, err := l.modelColumns(table)
		return dataset{Train: train}, err
	}
	newest := now.Add(-l.config.LabelDelay)
	split := sort.Search(len(times), func(i int) bool { return times[i].After(newest.Add(-l.config.Holdout)) })
	if split == 0 || split == len(times) {
		return dataset{}, fault.Errorf(fault.Invalid,
			"%d labelled rows, %d of them in the latest %s that are held out: both parts need rows; check that the source reaches far enough back, and Holdout and LabelDelay", len(times), len(times)-split, l.config.Holdout)
	}
	columns, err := l.modelColumns(table)
	if err != nil {
		return dataset{}, err
	}
	d := dataset{Train: columns.Slice(0, split), Holdout: columns.Slice(split, len(times))}
	for _, t := range times[split:] {
		d.Blocks = append(d.Blocks, dayOf(t))
	}
	return d, nil
}

// place is where a row of the source lies.
type place struct {
	at  time.Time
	row int
}

// labelled returns the rows whose label is known by now, in the order of time;
// rows of one time stay in the source's order.
func (l *Loop) labelled(table *frame.Table, now time.Time) (*frame.Table, []time.Time, error) {
	places, err := l.labelledPlaces(table, now.Add(-l.config.LabelDelay))
	if err != nil {
		return nil, nil, err
	}
	if len(places) == 0 {
		return nil, nil, fault.Errorf(fault.Invalid, "none of the source's %d rows has a label that is known by %s: wait for labels, or check LabelDelay", table.NumRows(), now.Format(time.RFC3339))
	}
	sort.SliceStable(places, func(i, j int) bool { return places[i].at.Before(places[j].at) })
	times := make([]time.Time, len(places))
	contiguous := true
	for i, p := range places {
		times[i] = p.at
		contiguous = contiguous && p.row == places[0].row+i
	}
	if contiguous { // the common case: the source is ordered, nothing is copied
		return table.Slice(places[0].row, places[0].row+len(places)), times, nil
	}
	rows := make([]frame.Row, len(places))
	for i, p := range places {
		rows[i] = table.Row(p.row)
	}
	ordered, err := frame.FromRows(table.Schema(), rows)
	return ordered, times, err
}

// labelledPlaces returns the rows before newest that have a label.
func (l *Loop) labelledPlaces(table *frame.Table, newest time.Time) ([]place, error) {
	stamps, err := table.Values(l.config.Time)
	if err != nil {
		return nil, fmt.Errorf("time column: %w", err)
	}
	labels, err := table.Values(l.config.Label)
	if err != nil {
		return nil, fmt.Errorf("label column: %w", err)
	}
	places := make([]place, 0, len(stamps))
	for i, stamp := range stamps {
		at, err := timeOf(stamp)
		if err != nil {
			return nil, fmt.Errorf("time column %q, row %d: %w", l.config.Time, i+1, err)
		}
		if at.Before(newest) && !labels[i].IsNull() {
			places = append(places, place{at, i})
		}
	}
	return places, nil
}

// modelColumns keeps the inputs and the label: the time and the key are not
// the model's to see unless Inputs names them.
func (l *Loop) modelColumns(table *frame.Table) (*frame.Table, error) {
	return table.Select(append(l.inputColumns(table.Schema()), l.config.Label)...)
}

func (l *Loop) inputColumns(schema frame.Schema) []string {
	if l.config.Inputs != nil {
		return append([]string(nil), l.config.Inputs...)
	}
	var inputs []string
	for _, f := range schema {
		if f.Name != l.config.Time && f.Name != l.config.Key && f.Name != l.config.Label {
			inputs = append(inputs, f.Name)
		}
	}
	return inputs
}

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
