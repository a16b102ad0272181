package retrain

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/train/frame"
)

// dataset is what one retraining learns from and is judged on: rows in the
// order of time, every label known, the held-out rows later than the others.
type dataset struct {
	Train    *frame.Table // inputs and label
	Holdout  *frame.Table // inputs and label; nil for a first fit
	From, To time.Time    // of the first and the last row of Train
}

// errTooFew marks that there are too few rows yet: more may come.
var errTooFew = errors.New("too few rows")

// readRows reads the source. An error of its own, or a panic, is an outage
// (Unavailable), unless it says that the request was wrong (Invalid).
func (l *Loop) readRows(ctx context.Context, now time.Time) (*frame.Table, error) {
	var table *frame.Table
	err := safely(func() (err error) {
		table, err = l.config.Data.Rows(ctx, now)
		return err
	})
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, errPanic):
		return nil, fault.Errorf(fault.Unavailable, "source: %v", err)
	case errors.Is(err, fault.Invalid), errors.Is(err, fault.Unsupported), errors.Is(err, fault.Closed):
		return nil, fmt.Errorf("source: %w", err)
	case err != nil:
		return nil, fault.Errorf(fault.Unavailable, "source: %w", err)
	case table == nil:
		return nil, fault.Errorf(fault.Invalid, "source: it returned no table and no error: a table without rows stands for no rows")
	}
	return table, l.checkSchema(table.Schema())
}

// checkSchema names every column of the configuration that the source lacks.
func (l *Loop) checkSchema(schema frame.Schema) error {
	var p fault.Problems
	has := func(field, name string) {
		if name != "" && schema.Index(name) < 0 {
			p.Addf("%s: the source has no column %q", field, name)
		}
	}
	has("Time", l.config.Time)
	has("Entity", l.config.Entity)
	has("Label", l.config.Label)
	for _, name := range l.config.Inputs {
		has("Inputs", name)
	}
	if err := p.Err(); err != nil {
		names := make([]string, len(schema))
		for i, f := range schema {
			names[i] = f.Name
		}
		return fault.Errorf(fault.Invalid, "%w; it has %q", err, names)
	}
	return nil
}

// dataset reads the source and splits it. Only rows whose label has arrived by
// now are used. after is the time that held-out rows have to be later than,
// that of the last row the champion was fitted on; without a champion nothing is
// held out. The label delay lies between what is fitted on and what is judged
// on, as it does between a fit and the answers of the model in production.
func (l *Loop) dataset(ctx context.Context, by terms, now, after time.Time, holdOut bool) (dataset, error) {
	table, err := l.readRows(ctx, now)
	if err != nil {
		return dataset{}, err
	}
	table, times, err := l.labelled(table, by, now)
	if err != nil {
		return dataset{}, err
	}
	columns, err := l.modelColumns(table)
	if err != nil {
		return dataset{}, err
	}
	if !holdOut {
		return dataset{Train: columns, From: times[0], To: times[len(times)-1]}, nil
	}
	embargo := by.LabelDelay
	first := by.holdoutStart(now, times)
	if least := after.Add(embargo); !times[first].After(least) {
		first = sort.Search(len(times), func(i int) bool { return times[i].After(least) })
	}
	if first == len(times) {
		return dataset{}, fault.Errorf(fault.Unavailable, "%w to compare on: none of the %d labelled rows is later than %s, the last that the champion was fitted on, by the label delay of %s more", errTooFew, len(times), after.Format(time.RFC3339), embargo)
	}
	last := sort.Search(len(times), func(i int) bool { return !times[i].Before(times[first].Add(-embargo)) })
	if last == 0 {
		return dataset{}, fault.Errorf(fault.Unavailable, "%w to fit on: all %d labelled rows lie within the holdout or the label delay of %s before it: the source must reach further back, or Holdout be shorter", errTooFew, len(times), embargo)
	}
	return dataset{Train: columns.Slice(0, last), Holdout: columns.Slice(first, len(times)), From: times[0], To: times[last-1]}, nil
}

// holdoutStart returns the first row of the holdout as the configuration has it.
func (t terms) holdoutStart(now time.Time, times []time.Time) int {
	newest := now.Add(-t.LabelDelay)
	since := func(d time.Duration) int {
		i := sort.Search(len(times), func(i int) bool { return times[i].After(newest.Add(-d)) })
		return min(i, len(times)-1)
	}
	if t.Holdout > 0 {
		return since(t.Holdout)
	}
	rows := max(len(times)-since(leastHoldout), t.gateRows())
	return len(times) - max(1, min(rows, int(mostHoldout*float64(len(times)))))
}

// gateRows is how many rows give every gate a power of 0.8; 0: unknown.
func (t terms) gateRows() int {
	rows := 0
	for _, g := range t.Gates {
		if n, ok := g.(interface{ rowsNeeded() int }); ok {
			rows = max(rows, n.rowsNeeded())
		}
	}
	return rows
}

// holdoutTime is how long the holdout's rows take to come, at the rate of those
// that a version was fitted on.
func (l *Loop) holdoutTime(fitted registry.Lineage) time.Duration {
	if l.config.Holdout > 0 {
		return l.config.Holdout
	}
	span := fitted.DataTo.Sub(fitted.DataFrom)
	if fitted.Rows == 0 || span <= 0 {
		return leastHoldout
	}
	part := min(float64(termsOf(l.config).gateRows())/float64(fitted.Rows), mostHoldout)
	return max(leastHoldout, time.Duration(part*float64(span)).Round(time.Hour))
}

// place is where a row of the source lies.
type place struct {
	at  time.Time
	row int
}

// labelled returns the rows whose label is known by now, in the order of time;
// rows of one time stay in the source's order. Errors: errTooFew for none.
func (l *Loop) labelled(table *frame.Table, by terms, now time.Time) (*frame.Table, []time.Time, error) {
	places, err := l.labelledPlaces(table, by, now)
	if err != nil {
		return nil, nil, err
	}
	if len(places) == 0 {
		return nil, nil, fault.Errorf(fault.Unavailable, "%w: none of the source's %d rows has a label that is known by %s: wait for labels, or check LabelDelay", errTooFew, table.NumRows(), now.Format(time.RFC3339))
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

// labelledPlaces returns the rows that have a label, and whose label is known by now.
func (l *Loop) labelledPlaces(table *frame.Table, by terms, now time.Time) ([]place, error) {
	stamps, err := table.Values(l.config.Time)
	if err != nil {
		return nil, fmt.Errorf("time column: %w", err)
	}
	labels, err := table.Values(l.config.Label)
	if err != nil {
		return nil, fmt.Errorf("label column: %w", err)
	}
	newest := now.Add(-by.LabelDelay)
	places := make([]place, 0, len(stamps))
	for i, stamp := range stamps {
		at, err := timeOf(stamp)
		if err == nil {
			err = plausible(at, now)
		}
		if err != nil {
			return nil, fmt.Errorf("time column %q, row %d: %w", l.config.Time, i+1, err)
		}
		if at.Before(newest) && !labels[i].IsNull() {
			places = append(places, place{at, i})
		}
	}
	return places, nil
}

// modelColumns keeps the inputs and the label: the time and the entity are not
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
		if f.Name != l.config.Time && f.Name != l.config.Entity && f.Name != l.config.Label {
			inputs = append(inputs, f.Name)
		}
	}
	return inputs
}
