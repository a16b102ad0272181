package retrain

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/serve"
)

// KnownLabel is the truth about a prediction, with the time when it became known.
type KnownLabel struct {
	serve.LabelInput
	KnownAt time.Time
}

// LabelSource yields what has become known about predictions. Implementations
// are safe for concurrent use. The same label may come any number of times; one
// with another value corrects the one before.
type LabelSource interface {
	// Labels calls yield for every label that became known at since or later, in
	// any order, and returns its error.
	Labels(ctx context.Context, since time.Time, yield func(KnownLabel) error) error
}

// Since, as an argument of LabelQuery, stands for the time from which labels are
// asked for, in UTC; SinceMilli for the same in milliseconds since 1970.
type (
	Since      struct{}
	SinceMilli struct{}
)

// LabelQuery is the LabelSource that reads the service's own database. The
// query gives three columns: the prediction's id, its label, and when that became
// known (a timestamp, milliseconds since 1970, or RFC 3339 text), and optionally
// a fourth, the row's place in its request, from 0:
//
//	retrain.LabelQuery(db, "SELECT prediction_id, churned, known_at FROM outcomes WHERE known_at > ?")
//
// On PostgreSQL an argument is $1. Those of type Since and SinceMilli are filled in; without arguments there
// is one Since. The query is made at every step, from five minutes before the
// latest known_at that was read: a transaction that commits later than that after
// its known_at is missed. Rows whose label is null are passed over.
func LabelQuery(db *sql.DB, query string, args ...any) LabelSource {
	if len(args) == 0 {
		args = []any{Since{}}
	}
	return labelQuery{db, query, args}
}

type labelQuery struct {
	db    *sql.DB
	query string
	args  []any
}

func (q labelQuery) validate(p *fault.Problems) {
	if q.db == nil {
		p.Addf("LabelQuery: the database is nil")
	}
	if q.query == "" {
		p.Addf("LabelQuery: the query is empty")
	}
}

// filled returns the arguments of the query that asks for what came since.
func (q labelQuery) filled(since time.Time) []any {
	filled := make([]any, len(q.args))
	for i, a := range q.args {
		switch a.(type) {
		case Since:
			filled[i] = since.UTC()
		case SinceMilli:
			filled[i] = since.UnixMilli()
		default:
			filled[i] = a
		}
	}
	return filled
}

// Labels implements LabelSource.
func (q labelQuery) Labels(ctx context.Context, since time.Time, yield func(KnownLabel) error) (err error) {
	rows, err := q.db.QueryContext(ctx, q.query, q.filled(since)...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	names, err := rows.Columns()
	if err != nil {
		return err
	}
	if len(names) != 3 && len(names) != 4 {
		return fault.Errorf(fault.Invalid, "the query gives %d columns, want the prediction's id, its label, when that became known, and optionally the row's place in its request", len(names))
	}
	decimals, err := decimalsOf(rows)
	if err != nil {
		return err
	}
	cells, targets := make([]any, len(names)), make([]any, len(names))
	for i := range cells {
		targets[i] = &cells[i]
	}
	for n := 1; rows.Next(); n++ {
		if err := rows.Scan(targets...); err != nil {
			return err
		}
		label, err := knownLabel(names, cells, decimals)
		if err != nil {
			return fmt.Errorf("row %d: %w", n, err)
		}
		if label.Value.IsNull() {
			continue
		}
		if err := yield(label); err != nil {
			return err
		}
	}
	return rows.Err()
}

func knownLabel(names []string, cells []any, decimals []bool) (KnownLabel, error) {
	values, err := cellValues(names, cells, decimals)
	if err != nil {
		return KnownLabel{}, err
	}
	var k KnownLabel
	k.ID, k.Value = values[0].Text(), values[1]
	if len(values) == 4 {
		k.Index = int(values[3].Int())
	}
	if k.KnownAt, err = timeOf(values[2]); err != nil {
		return k, fmt.Errorf("column %q: %w", names[2], err)
	}
	return k, nil
}

const (
	labelOverlap = 5 * time.Minute  // that is read again at each step
	labelBatch   = 1000             // labels that are stored at once
	labelTimeout = 10 * time.Minute // of one reading of the source
)

// labelCursor is where Config.Labels has been read to. It is stored.
type labelCursor struct {
	KnownAt time.Time `json:"known_at"` // the latest that was read
	Unknown int64     `json:"unknown"`  // labels of predictions that are not in the log
	Refused int64     `json:"refused"`  // labels that no version can answer
}

// fetchLabels reads Config.Labels from the cursor on.
func (l *Loop) fetchLabels(ctx context.Context, now time.Time) error {
	if l.config.Labels == nil || l.memory.Followed == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, labelTimeout)
	defer cancel()
	next := l.memory.Labels
	batch := labelBatcher{loop: l, cursor: &next}
	since := next.KnownAt
	if !since.IsZero() {
		since = since.Add(-labelOverlap)
	}
	err := safely(func() error {
		return l.config.Labels.Labels(ctx, since, func(k KnownLabel) error { return batch.add(ctx, now, k) })
	})
	if err == nil {
		err = batch.store(ctx)
	}
	if err != nil {
		return fmt.Errorf("source of labels: %w", err)
	}
	l.memory.Labels = next
	if len(batch.refused) == 0 {
		return nil
	}
	const topic = "labels/refused/" // told once a day
	today := topic + now.Format(time.DateOnly)
	for told := range l.memory.Told {
		if strings.HasPrefix(told, topic) && told != today {
			l.memory.forget(told)
		}
	}
	first := batch.refused[0]
	return l.tell(ctx, now, today, EventLabels, "%d labels were refused, such as that of %q: %s", len(batch.refused), first.ID, first.Reason)
}

// labelBatcher stores labels by the thousand.
type labelBatcher struct {
	loop    *Loop
	cursor  *labelCursor
	waiting []serve.LabelInput
	refused []serve.LabelProblem
}

func (b *labelBatcher) add(ctx context.Context, now time.Time, k KnownLabel) error {
	if k.ID == "" {
		b.cursor.Refused++
		b.refused = append(b.refused, serve.LabelProblem{Reason: "it names no prediction"})
		return nil
	}
	if err := plausible(k.KnownAt, now); err != nil {
		return fmt.Errorf("when the label of %q became known: %w", k.ID, err)
	}
	if k.KnownAt.After(b.cursor.KnownAt) && !k.KnownAt.After(now) { // a time to come would skip what lies before it
		b.cursor.KnownAt = k.KnownAt
	}
	b.waiting = append(b.waiting, k.LabelInput)
	if len(b.waiting) < labelBatch {
		return nil
	}
	return b.store(ctx)
}

func (b *labelBatcher) store(ctx context.Context) error {
	if len(b.waiting) == 0 {
		return nil
	}
	report, err := b.loop.server.Label(ctx, b.loop.config.Model, b.waiting)
	if err != nil {
		return err
	}
	b.cursor.Unknown += int64(len(report.Unknown))
	b.cursor.Refused += int64(len(report.Refused))
	b.refused = append(b.refused, report.Refused...)
	b.waiting = b.waiting[:0]
	return nil
}

// reportLabels says that no label has come in the time in which the first
// should have.
func (l *Loop) reportLabels(ctx context.Context, now time.Time) error {
	const topic = "labels/none"
	if l.watcher.checkpoint.LabelSeq > 0 {
		l.memory.forget(topic)
		return nil
	}
	first := l.memory.FirstSeen
	grace := max(24*time.Hour, l.config.LabelDelay/4)
	if first.IsZero() || now.Before(first.Add(l.config.LabelDelay+grace)) {
		return nil
	}
	return l.tell(ctx, now, topic, EventLabels, "the first prediction was made at %s, labels are due after %s, and none has come: no rollout can be judged; send them to %s, or set Config.Labels",
		first.Format(time.RFC3339), l.config.LabelDelay, "/v2/models/"+l.config.Model+"/feedback")
}
