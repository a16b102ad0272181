package servesql

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"strings"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/internal/sqldb"
	"github.com/mlloop/mlloop/internal/sqlstore"
	"github.com/mlloop/mlloop/serve"
)

const (
	insertPredictions = `INSERT INTO {p}serve_prediction (model, id, row_index, attempt, version, variant, status, key, time,
		features_schema, features, digest, outputs_schema, outputs, propensity, latency, route_rev, trace_id, error, bytes) VALUES `
	insertPrediction = `(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	predictionWidth  = 20
	attemptAt        = 3 // where the attempt is among them

	// overhead is about what a prediction or a label takes up besides its texts: numbers and index entries.
	overhead = 120
)

// AppendPredictions implements serve.Store.
func (s *Store) AppendPredictions(ctx context.Context, ps []serve.Prediction) error {
	if len(ps) == 0 {
		return ctx.Err()
	}
	args, news, bytes, err := s.encode(ctx, ps)
	if err != nil {
		return sqldb.Fault(err)
	}
	groups := group(len(ps), func(i int) rowKey { return keyOf(&ps[i]) })
	stored, err := s.prepareRows(ctx, selectStored, ofTheseRows, groups)
	if err != nil {
		return sqldb.Fault(err)
	}
	in, err := s.prepareInsert(ctx, len(ps), predictionWidth, func(n int) string { return insertPredictions + repeat(insertPrediction, n) })
	if err != nil {
		return sqldb.Fault(err)
	}
	return s.change(ctx, groups, func(tx *sql.Tx, counts tallies) error {
		rows, err := readStored(ctx, tx, stored, groups)
		if err != nil {
			return err
		}
		kept := make([]any, 0, len(args))
		for i := range ps {
			k, p := keyOf(&ps[i]), news[i]
			if p.attempt = place(rows[k], p); p.attempt == 0 {
				continue
			}
			rows[k] = append(rows[k], p)
			counts[k.model].prediction(p, bytes[i])
			from := len(kept)
			kept = append(kept, args[i*predictionWidth:(i+1)*predictionWidth]...)
			kept[from+attemptAt] = p.attempt
		}
		_, err = in.run(ctx, tx, kept)
		return err
	})
}

func keyOf(p *serve.Prediction) rowKey { return rowKey{p.Model, p.ID, p.Index} }

// storedOf returns what decides about p, but for its attempt. Errors: Invalid.
func storedOf(p *serve.Prediction) (r stored, err error) {
	r.digest, r.time = int64(p.Digest), p.Time.UnixMilli()
	if r.variant, err = code(variants, p.Variant); err == nil {
		r.status, err = code(statuses, p.Status)
	}
	return r, err
}

// orNull returns nil for the text that is not to be stored.
func orNull(text, but string) any {
	if text == but {
		return nil
	}
	return text
}

// encode returns the arguments of insertPrediction for each prediction, what
// decides about it, and about how many bytes it takes up.
func (s *Store) encode(ctx context.Context, ps []serve.Prediction) (args []any, news []stored, bytes []int64, err error) {
	args, news, bytes = make([]any, 0, predictionWidth*len(ps)), make([]stored, len(ps)), make([]int64, len(ps))
	features, outputs := schemaCursor{store: s}, schemaCursor{store: s}
	var buf []byte
	for i := range ps {
		p := &ps[i]
		featuresSchema, err := features.number(ctx, p.Features.Schema)
		if err != nil {
			return nil, nil, nil, err
		}
		outputsSchema, err := outputs.number(ctx, p.Outputs.Schema)
		if err != nil {
			return nil, nil, nil, err
		}
		buf, err = appendRow(buf[:0], p.Features)
		middle := len(buf)
		if err == nil {
			buf, err = appendRow(buf, p.Outputs)
		}
		if err == nil {
			news[i], err = storedOf(p)
		}
		if err != nil {
			return nil, nil, nil, fault.Errorf(fault.Invalid, "prediction %q: %w", p.ID, err)
		}
		text := string(buf)
		// The id is in the table and in an index.
		bytes[i] = overhead + int64(len(text)+2*len(p.ID)+4*len(p.Model)+len(p.TraceID)+len(p.Error))
		if p.Key != p.ID {
			bytes[i] += int64(2 * len(p.Key))
		}
		args = append(args, p.Model, p.ID, p.Index, 0, p.Version, news[i].variant, news[i].status, orNull(p.Key, p.ID), news[i].time,
			featuresSchema, text[:middle], news[i].digest, outputsSchema, text[middle:], p.Propensity, int64(p.Latency),
			p.RouteRev, orNull(p.TraceID, ""), orNull(p.Error, ""), bytes[i])
	}
	return args, news, bytes, nil
}

// readStored returns what is stored of the groups' rows.
func readStored(ctx context.Context, tx *sql.Tx, stmts map[int]*sql.Stmt, groups []rowsOf) (map[rowKey][]stored, error) {
	rows := map[rowKey][]stored{}
	err := selectRows(ctx, tx, stmts, groups, func(model string, row sqlstore.Scanner) error {
		k, r := rowKey{model: model}, stored{}
		err := row.Scan(&k.id, &k.index, &r.attempt, &r.variant, &r.status, &r.digest, &r.time)
		if err == nil && !slices.Contains(rows[k], r) { // an id may be in several groups
			rows[k] = append(rows[k], r)
		}
		return err
	})
	return rows, err
}

// inserter is a multi-row insert: statements of 64, 32 … 1 rows serve any
// number and stay prepared.
type inserter struct {
	stmts map[int]*sql.Stmt
	width int
}

func (s *Store) prepareInsert(ctx context.Context, n, width int, text func(rows int) string) (inserter, error) {
	in := inserter{map[int]*sql.Stmt{}, width}
	for size := 64; size > 0; size /= 2 {
		if size > n {
			continue
		}
		stmt, err := s.stmt(ctx, text(size))
		if err != nil {
			return in, err
		}
		in.stmts[size] = stmt
	}
	return in, nil
}

// run inserts the records with these arguments and returns the number that the
// last one got.
func (in inserter) run(ctx context.Context, tx *sql.Tx, args []any) (last int64, err error) {
	for _, size := range sizes(len(args) / in.width) {
		result, err := tx.StmtContext(ctx, in.stmts[size]).ExecContext(ctx, args[:size*in.width]...)
		if err != nil {
			return 0, err
		}
		if last, err = result.LastInsertId(); err != nil {
			return 0, err
		}
		args = args[size*in.width:]
	}
	return last, nil
}

// sizes splits n into powers of two, largest first, at most 64.
func sizes(n int) []int {
	var out []int
	for size := 64; size > 0; size /= 2 {
		for n >= size {
			out = append(out, size)
			n -= size
		}
	}
	return out
}

// Predictions implements serve.Store.
func (s *Store) Predictions(ctx context.Context, q serve.PredictionQuery) ([]serve.Prediction, error) {
	text, args := selectPredictions, []any{q.Model, q.After}
	text, args = among(text, "p.variant", args, variants, q.Variants)
	text, args = among(text, "p.status", args, statuses, q.Statuses)
	var rows []*predictionRow
	err := s.query(ctx, text+` ORDER BY p.seq LIMIT ?`, append(args, limit(q.Limit)), func(row sqlstore.Scanner) error {
		p := &predictionRow{}
		rows = append(rows, p)
		return row.Scan(p.columns()...)
	})
	if err != nil {
		return nil, err
	}
	out := make([]serve.Prediction, len(rows))
	for i, p := range rows {
		if out[i], err = p.decode(ctx, s); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// among adds the condition that a column is one of the values, when there are any.
func among[T ~string](text, column string, args []any, list, values []T) (string, []any) {
	if len(values) == 0 {
		return text, args
	}
	for _, v := range values {
		args = append(args, slices.Index(list, v)) // -1, which no row has, for an unknown one
	}
	return text + ` AND ` + column + ` IN (` + repeat("?", len(values)) + `)`, args
}

// Lookup implements serve.Store.
func (s *Store) Lookup(ctx context.Context, model string, ids []string) ([]serve.LabelledPrediction, error) {
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	var out []serve.LabelledPrediction
	for _, size := range sizes(len(ids)) {
		args := []any{serve.LabelOutput, model}
		for _, id := range ids[:size] {
			args = append(args, id)
		}
		ids = ids[size:]
		found, err := s.labelled(ctx, selectLookup+repeat("?", size)+`)`, args)
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	slices.SortFunc(out, func(a, b serve.LabelledPrediction) int { return cmp.Compare(a.Prediction.Seq, b.Prediction.Seq) })
	return out, nil
}

// query runs a prepared query and hands each row to fn, which must not use the
// database: a pool of one connection must do.
func (s *Store) query(ctx context.Context, text string, args []any, fn func(row sqlstore.Scanner) error) error {
	stmt, err := s.stmt(ctx, text)
	if err != nil {
		return sqldb.Fault(err)
	}
	rows, err := stmt.QueryContext(ctx, args...)
	if err != nil {
		return sqldb.Fault(err)
	}
	return sqldb.Fault(sqlstore.Each(rows, fn))
}

// repeat returns n copies of s with commas between.
func repeat(s string, n int) string { return strings.Repeat(s+",", n-1) + s }

func limit(n int) int {
	if n <= 0 {
		return serve.DefaultLimit
	}
	return n
}
