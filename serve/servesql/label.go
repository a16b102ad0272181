package servesql

import (
	"context"
	"database/sql"

	"github.com/mlloop/mlloop/internal/sqldb"
	"github.com/mlloop/mlloop/internal/sqlstore"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train/frame"
)

const (
	insertLabels = `INSERT INTO {p}serve_label (model, id, row_index, output, attempt, kind, value, correction,
		replaces_kind, replaces_value, time, bytes) VALUES `
	insertLabel = `(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	labelWidth  = 12

	selectAnswered = `SELECT p.id, p.row_index, p.attempt FROM ` + theseRows
	andAnswered    = ofTheseRows + ` WHERE ` + answers
	// Every label of the rows, whose latest counts.
	selectStoredLabels = `SELECT l.id, l.row_index, l.output, l.seq, l.kind, l.value FROM ` + theseRows
	ofTheseLabels      = `) v CROSS JOIN {p}serve_label l ON l.model = ? AND l.id = v.column1 AND l.row_index BETWEEN ? AND ?`
)

// outputKey names what a label is the truth of.
type outputKey struct {
	rowKey
	output string
}

// knownRows is what the store knows about the rows of some labels.
type knownRows struct {
	attempts map[rowKey]int // the latest answered attempt
	labels   map[outputKey]frame.Value
	seqs     map[outputKey]int64 // of labels
}

// AppendLabels implements serve.Store.
func (s *Store) AppendLabels(ctx context.Context, ls []serve.Label) (unknown []serve.Label, err error) {
	if len(ls) == 0 {
		return nil, ctx.Err()
	}
	groups := group(len(ls), func(i int) rowKey { return rowKey{ls[i].Model, ls[i].ID, ls[i].Index} })
	answered, err := s.prepareRows(ctx, selectAnswered, andAnswered, groups)
	if err != nil {
		return nil, sqldb.Fault(err)
	}
	stored, err := s.prepareRows(ctx, selectStoredLabels, ofTheseLabels, groups)
	if err != nil {
		return nil, sqldb.Fault(err)
	}
	in, err := s.prepareInsert(ctx, len(ls), labelWidth, func(n int) string { return insertLabels + repeat(insertLabel, n) })
	if err != nil {
		return nil, sqldb.Fault(err)
	}
	var kept []int
	var replaces []frame.Value
	var last int64
	err = s.change(ctx, groups, func(tx *sql.Tx, counts tallies) error {
		known, err := readRows(ctx, tx, answered, stored, groups)
		if err != nil {
			return err
		}
		var args []any
		args, kept, replaces, unknown = known.sort(ls, counts)
		last, err = in.run(ctx, tx, args)
		return err
	})
	if err != nil {
		return nil, err
	}
	// One transaction writes at a time: its numbers follow one another.
	for j, i := range kept {
		ls[i].Seq, ls[i].Replaces = last-int64(len(kept)-1-j), replaces[j]
	}
	return unknown, nil
}

// readRows reads what the groups' rows have.
func readRows(ctx context.Context, tx *sql.Tx, answered, stored map[int]*sql.Stmt, groups []rowsOf) (knownRows, error) {
	known := knownRows{map[rowKey]int{}, map[outputKey]frame.Value{}, map[outputKey]int64{}}
	err := selectRows(ctx, tx, answered, groups, func(model string, row sqlstore.Scanner) error {
		k, attempt := rowKey{model: model}, 0
		err := row.Scan(&k.id, &k.index, &attempt)
		known.attempts[k] = max(known.attempts[k], attempt)
		return err
	})
	if err != nil {
		return known, err
	}
	err = selectRows(ctx, tx, stored, groups, func(model string, row sqlstore.Scanner) error {
		k := outputKey{rowKey: rowKey{model: model}}
		var seq int64
		var kind, text string
		if err := row.Scan(&k.id, &k.index, &k.output, &seq, &kind, &text); err != nil || seq < known.seqs[k] {
			return err
		}
		value, err := frame.ParseValue(frame.Kind(kind), text)
		if err != nil {
			return damaged("label of", k.id, model, err)
		}
		known.seqs[k], known.labels[k] = seq, value
		return nil
	})
	return known, err
}

// sort returns the arguments of the labels that are to be stored, their places
// in ls and what they replace, and the labels of rows that are not known.
func (known knownRows) sort(ls []serve.Label, counts tallies) (args []any, kept []int, replaces []frame.Value, unknown []serve.Label) {
	for i, l := range ls {
		k := outputKey{rowKey{l.Model, l.ID, l.Index}, l.Output}
		if k.output == "" {
			k.output = serve.LabelOutput
		}
		attempt := known.attempts[k.rowKey]
		if attempt == 0 {
			unknown = append(unknown, l)
			continue
		}
		before, correction := known.labels[k]
		if correction && before.Equal(l.Value) {
			continue
		}
		known.labels[k] = l.Value
		kept, replaces = append(kept, i), append(replaces, before)
		bytes := overhead + int64(2*len(l.ID)+3*len(l.Model)+2*len(k.output)+len(l.Value.Text()))
		args = append(args, l.Model, l.ID, l.Index, k.output, attempt, string(l.Value.Kind()), l.Value.Text(), correction,
			string(before.Kind()), before.Text(), l.Time.UnixMilli(), bytes)
		c := counts[l.Model]
		if c.bytes += bytes; correction {
			c.corrections++
		} else {
			c.labels++
		}
	}
	return args, kept, replaces, unknown
}

// Labels implements serve.Store.
func (s *Store) Labels(ctx context.Context, q serve.LabelQuery) ([]serve.LabelledPrediction, error) {
	return s.labelled(ctx, selectLabels, []any{q.Model, q.After, limit(q.Limit)})
}
