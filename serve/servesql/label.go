package servesql

import (
	"context"
	"slices"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/sqlstore"
	"github.com/mlloop/mlloop/train/frame"
)

// labelAlike is what many labels of a batch have in common: those that do go
// into one insert.
type labelAlike struct {
	output     string
	attempt    int
	kind       frame.Kind
	correction bool
}

var (
	labelOnce = []column{
		{"model", "bigint"}, {"output", "text"}, {"attempt", "bigint"}, {"kind", "text"}, {"correction", "smallint"},
	}
	labelVaried = []column{
		{"seq", "bigint"}, {"id", "text"}, {"row_index", "bigint"}, {"value", "text"}, {"time", "bigint"}, {"bytes", "bigint"},
		{"replaces_kind", "text"}, {"replaces_value", "text"},
	}
	firstLabels = bulk{`{p}serve_label`, append(labelOnce[:5:5], labelVaried[6:]...), labelVaried[:6]}
	corrections = bulk{`{p}serve_label`, labelOnce, labelVaried}
)

// outputKey names what a label is the truth of.
type outputKey struct {
	rowKey
	output string
}

// knownRows is what the store knows about the rows of some labels that is out of
// the ordinary: of most there is one answered attempt, the first, and no label.
type knownRows struct {
	model    string
	attempts map[rowKey]int // the latest answered attempt, 0 when there is none
	labels   map[outputKey]knownLabel
}

// attempt returns the latest answered attempt of a row that was asked for.
func (known *knownRows) attempt(k rowKey) int {
	if attempt, ok := known.attempts[k]; ok {
		return attempt
	}
	return 1
}

// knownLabel is the latest label of an output.
type knownLabel struct {
	seq   int64
	value frame.Value
}

// AppendLabels implements serve.Store.
func (s *Store) AppendLabels(ctx context.Context, ls []serve.Label) (unknown []serve.Label, err error) {
	if len(ls) == 0 {
		return nil, ctx.Err()
	}
	for i := range ls {
		if !serve.Storable(ls[i].Output) {
			return nil, fault.Errorf(fault.Invalid, "label of %q: output %q: want UTF-8 without the character U+0000", ls[i].ID, ls[i].Output)
		}
	}
	names, places := byModel(len(ls), func(i int) string { return ls[i].Model })
	var stored []knownLabel // beside each label: its number, 0 when it was not stored, and what it replaces
	var missing []bool
	err = s.change(ctx, names, false, func(tx *sqlstore.Tx, name string, m *modelRow) error {
		if name == names[0] { // the first time, or once more
			stored, missing = make([]knownLabel, len(ls)), make([]bool, len(ls))
		}
		return appendLabels(ctx, tx, m, ls, places[name], stored, missing)
	})
	if err != nil {
		return nil, err
	}
	for i := range ls {
		if missing[i] {
			unknown = append(unknown, ls[i])
		} else if l := &stored[i]; l.seq > 0 {
			ls[i].Seq, ls[i].Replaces = l.seq, l.value
		}
	}
	return unknown, nil
}

// appendLabels stores the labels at some places of ls, which are one model's. It
// notes which it stored, and which have no answer; m is nil for a model without
// a log.
func appendLabels(ctx context.Context, tx *sqlstore.Tx, m *modelRow, ls []serve.Label, places []int, stored []knownLabel, missing []bool) error {
	asked, rows := askedRows(m, ls, places, missing)
	if len(asked) == 0 {
		return nil
	}
	known, err := readKnown(ctx, tx, m, rows)
	if err != nil {
		return err
	}
	once := ascending(len(rows), func(i int) rowKey { return rows[i] })
	inserts := map[labelAlike]*labelInsertion{}
	for _, at := range asked {
		l := &ls[at]
		k := outputKey{rowKey{l.ID, l.Index}, l.Output}
		if k.output == "" {
			k.output = serve.LabelOutput
		}
		attempt := known.attempt(k.rowKey)
		before, correction := known.labels[k]
		if missing[at] = attempt == 0; missing[at] || (correction && before.value.Equal(l.Value)) {
			continue
		}
		m.lastLabel++
		if !once {
			known.labels[k] = knownLabel{m.lastLabel, l.Value}
		}
		stored[at] = knownLabel{m.lastLabel, before.value}
		a := labelAlike{k.output, attempt, l.Value.Kind(), correction}
		if inserts[a] == nil {
			inserts[a] = newLabelInsertion(max(1, len(asked)/(1+len(inserts))))
		}
		m.label(correction, inserts[a].add(m.lastLabel, l, before.value, correction))
	}
	for a, in := range inserts {
		if err := in.run(ctx, tx, m, a); err != nil {
			return err
		}
	}
	return nil
}

// askedRows returns those of the places whose rows may have an answer, and the
// rows; the others it notes as missing.
func askedRows(m *modelRow, ls []serve.Label, places []int, missing []bool) (asked []int, rows []rowKey) {
	for _, at := range places {
		if missing[at] = m == nil || !serve.Storable(ls[at].ID); !missing[at] {
			asked, rows = append(asked, at), append(rows, rowKey{ls[at].ID, ls[at].Index})
		}
	}
	return asked, rows
}

func (t *tally) label(correction bool, bytes int64) {
	if t.bytes += bytes; correction {
		t.corrections++
	} else {
		t.labels++
	}
}

// labelInsertion is labels that are alike, column by column.
type labelInsertion struct {
	seqs, indexes, times, bytes                []int64
	ids, values, replacedKinds, replacedValues []string
	buf                                        []byte
}

// newLabelInsertion returns one with room for n.
func newLabelInsertion(n int) *labelInsertion {
	ints, texts := make([]int64, 4*n), make([]string, 2*n)
	return &labelInsertion{
		seqs: ints[:0:n], indexes: ints[n : n : 2*n], times: ints[2*n : 2*n : 3*n], bytes: ints[3*n : 3*n],
		ids: texts[:0:n], values: texts[n:n],
	}
}

// add returns about how many bytes the label takes up.
func (in *labelInsertion) add(seq int64, l *serve.Label, before frame.Value, correction bool) int64 {
	in.buf = appendValue(in.buf[:0], l.Value)
	value := string(in.buf)
	bytes := overhead + int64(2*len(l.ID)+len(value))
	in.seqs, in.ids, in.indexes = append(in.seqs, seq), append(in.ids, l.ID), append(in.indexes, int64(l.Index))
	in.values, in.times, in.bytes = append(in.values, value), append(in.times, l.Time.UnixMilli()), append(in.bytes, bytes)
	if correction {
		in.buf = appendValue(in.buf[:0], before)
		in.replacedKinds, in.replacedValues = append(in.replacedKinds, string(before.Kind())), append(in.replacedValues, string(in.buf))
	}
	return bytes
}

func (in *labelInsertion) run(ctx context.Context, tx *sqlstore.Tx, m *modelRow, a labelAlike) error {
	once := []any{m.id, a.output, a.attempt, string(a.kind), 0}
	varied := values{in.seqs, in.ids, in.indexes, in.values, in.times, in.bytes}
	if !a.correction {
		return firstLabels.insert(ctx, tx, len(in.seqs), append(once, "", "null"), varied)
	}
	once[4] = 1
	return corrections.insert(ctx, tx, len(in.seqs), once, append(varied, in.replacedKinds, in.replacedValues))
}

// What is out of the ordinary about rows: that nobody was answered, a later
// attempt, and all their labels, of which the latest counts.
const (
	knownColumns = `v.column1, v.column2, coalesce(p.attempt, 0), coalesce(l.output, ''), coalesce(l.seq, 0), coalesce(l.kind, ''), coalesce(l.value, '')`
	ofRow        = `p.model = ? AND p.id = v.column1 AND p.row_index = v.column2 AND ` + answers
	labelsOfRow  = `l.model = p.model AND l.id = p.id AND l.row_index = p.row_index`
	isUnusual    = ` WHERE v.column1 IS NOT NULL AND (coalesce(p.attempt, 0) <> 1 OR l.seq IS NOT NULL)`

	// The same of rows without labels.
	plainColumns = `v.column1, v.column2, coalesce(p.attempt, 0), '', 0, '', ''`
	isUnanswered = ` WHERE v.column1 IS NOT NULL AND coalesce(p.attempt, 0) <> 1`
)

// readKnown reads what the store knows about rows.
func readKnown(ctx context.Context, tx *sqlstore.Tx, m *modelRow, rows []rowKey) (knownRows, error) {
	known := knownRows{m.name, map[rowKey]int{}, map[outputKey]knownLabel{}}
	greatest, err := greatestID(ctx, tx, `{p}serve_label`)
	if err != nil {
		return known, err
	}
	var unlabelled, others []rowKey
	for _, k := range rows {
		if k.id > greatest {
			unlabelled = append(unlabelled, k)
		} else {
			others = append(others, k)
		}
	}
	err = known.read(ctx, tx, m, unlabelled, false)
	if err == nil {
		err = known.read(ctx, tx, m, others, true)
	}
	return known, err
}

// read reads what is unusual about rows, which may have labels or not.
func (known *knownRows) read(ctx context.Context, tx *sqlstore.Tx, m *modelRow, rows []rowKey, labelled bool) error {
	columns, labels, unusual := plainColumns, ``, isUnanswered
	if labelled {
		columns, labels, unusual = knownColumns, ifAny(tx.Dialect(), `{p}serve_label`, `l`, labelsOfRow), isUnusual
	}
	for some := range slices.Chunk(rows, mostIDs(tx.Dialect())) {
		from, args := rowList(tx.Dialect(), some)
		text := `SELECT ` + columns + ` FROM ` + from + ifAny(tx.Dialect(), `{p}serve_prediction`, `p`, ofRow) + labels + unusual
		found, err := tx.Query(ctx, text, append(args, m.id)...)
		if err != nil {
			return err
		}
		for found.Next() {
			if err := known.scan(found); err != nil {
				_ = found.Close() // the first error is the one to report
				return err
			}
		}
		if err := found.Err(); err != nil {
			return err
		}
	}
	return nil
}

func (known *knownRows) scan(row sqlstore.Scanner) error {
	var k outputKey
	var attempt int
	var l knownLabel
	var kind, text string
	if err := row.Scan(&k.id, &k.index, &attempt, &k.output, &l.seq, &kind, &text); err != nil {
		return err
	}
	known.attempts[k.rowKey] = max(known.attempts[k.rowKey], attempt)
	if l.seq <= known.labels[k].seq {
		return nil
	}
	var err error
	if l.value, err = decodeLabel(kind, text); err != nil {
		return damaged("label of", k.id, known.model, err)
	}
	known.labels[k] = l
	return nil
}
