package servesql

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/internal/sqldb"
	"github.com/mlloop/mlloop/internal/sqlstore"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train/frame"
)

const (
	insertPredictions = `INSERT INTO {p}serve_prediction (model, id, shadow, version, variant, key, time, schema_id,
		features, output_kind, output, scores, propensity, latency) VALUES `
	insertPrediction  = `(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	ignorePredictions = ` ON CONFLICT (model, id, shadow) DO NOTHING`

	predictionColumns = `p.seq, p.model, p.id, p.version, p.variant, p.key, p.time, p.schema_id,
		p.features, p.output_kind, p.output, p.scores, p.propensity, p.latency`
	labelColumns = `, coalesce(l.seq, 0), coalesce(l.kind, ''), coalesce(l.value, ''), l.time`

	selectPredictions = `SELECT ` + predictionColumns + ` FROM {p}serve_prediction p WHERE p.model = ? AND p.seq > ?`
)

// AppendPredictions implements serve.Store.
func (s *Store) AppendPredictions(ctx context.Context, ps []serve.Prediction) error {
	rows := make([]frame.Row, len(ps))
	for i, p := range ps {
		rows[i] = p.Features
	}
	numbers, err := s.numbers(ctx, rows)
	if err != nil {
		return sqldb.Fault(err)
	}
	args := make([]any, 0, 14*len(ps))
	for i, p := range ps {
		features, err := encodeRow(p.Features)
		if err != nil {
			return fault.Errorf(fault.Invalid, "prediction %q: %w", p.ID, err)
		}
		args = append(args, p.Model, p.ID, p.Variant == serve.Shadow, p.Version, string(p.Variant), p.Key, p.Time.UnixMilli(), numbers[i],
			features, string(p.Output.Kind()), p.Output.Text(), encodeScores(p.Scores), p.Propensity, int64(p.Latency))
	}
	return s.insert(ctx, len(ps), args, func(n int) string {
		return insertPredictions + repeat(insertPrediction, n) + ignorePredictions
	}, nil)
}

// insert runs multi-row statements over n records' arguments in one
// transaction. Statements of 64, 32 … 1 rows serve any n and stay prepared.
// after, when not nil, is told of each statement's result.
func (s *Store) insert(ctx context.Context, n int, args []any, text func(rows int) string, after func(tx *sql.Tx, from, to int, inserted int64) error) error {
	if n == 0 {
		return nil
	}
	// Prepared before the transaction begins: a pool of one connection must do.
	stmts := map[int]*sql.Stmt{}
	for _, size := range sizes(n) {
		stmt, err := s.stmt(ctx, text(size))
		if err != nil {
			return sqldb.Fault(err)
		}
		stmts[size] = stmt
	}
	width, from := len(args)/n, 0
	return s.db.Tx(ctx, func(tx *sql.Tx) error {
		for _, size := range sizes(n) {
			to := from + size
			result, err := tx.StmtContext(ctx, stmts[size]).ExecContext(ctx, args[width*from:width*to]...)
			if err != nil {
				return err
			}
			if after != nil {
				inserted, err := result.RowsAffected()
				if err != nil {
					return err
				}
				if err := after(tx, from, to, inserted); err != nil {
					return err
				}
			}
			from = to
		}
		return nil
	})
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
	if len(q.Variants) > 0 {
		text += ` AND p.variant IN (` + repeat("?", len(q.Variants)) + `)`
		for _, v := range q.Variants {
			args = append(args, string(v))
		}
	}
	text += ` ORDER BY p.seq LIMIT ?`
	var stored []*storedPrediction
	err := s.query(ctx, text, append(args, limit(q.Limit)), func(row sqlstore.Scanner) error {
		p := &storedPrediction{}
		stored = append(stored, p)
		return row.Scan(p.columns()...)
	})
	if err != nil {
		return nil, err
	}
	out := make([]serve.Prediction, len(stored))
	for i, p := range stored {
		if out[i], err = p.decode(ctx, s); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Lookup implements serve.Store.
func (s *Store) Lookup(ctx context.Context, model string, ids []string) ([]serve.LabelledPrediction, error) {
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	var out []serve.LabelledPrediction
	for _, size := range sizes(len(ids)) {
		args := []any{model}
		for _, id := range ids[:size] {
			args = append(args, id)
		}
		ids = ids[size:]
		text := `SELECT ` + predictionColumns + labelColumns + `
			FROM {p}serve_prediction p LEFT JOIN {p}serve_label l ON l.model = p.model AND l.id = p.id
			WHERE p.model = ? AND p.id IN (` + repeat("?", size) + `)`
		found, err := s.labelled(ctx, text, args)
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

// storedPrediction is a row of {p}serve_prediction, and of the label beside it
// in queries that ask for labelColumns.
type storedPrediction struct {
	serve.Prediction
	variant, kind, output string
	latency, schema       int64
	features, scores      []byte

	labelSeq              int64
	labelTime             time.Time
	labelKind, labelValue string
}

func (p *storedPrediction) columns() []any {
	return []any{&p.Seq, &p.Model, &p.ID, &p.Version, &p.variant, &p.Key, sqlstore.Millis(&p.Time), &p.schema,
		&p.features, &p.kind, &p.output, &p.scores, &p.Propensity, &p.latency}
}

func (p *storedPrediction) labelColumns() []any {
	return []any{&p.labelSeq, &p.labelKind, &p.labelValue, sqlstore.Millis(&p.labelTime)}
}

func (p *storedPrediction) decode(ctx context.Context, s *Store) (serve.Prediction, error) {
	schema, err := s.schema(ctx, p.schema)
	if err != nil {
		return serve.Prediction{}, err
	}
	out := p.Prediction
	out.Variant, out.Latency = serve.Variant(p.variant), time.Duration(p.latency)
	if out.Features, err = decodeRow(schema, p.features); err == nil {
		out.Scores, err = decodeScores(p.scores)
	}
	if err == nil {
		out.Output, err = frame.ParseValue(frame.Kind(p.kind), p.output)
	}
	if err != nil {
		return serve.Prediction{}, damaged("prediction", p.ID, p.Model, err)
	}
	return out, nil
}

// label returns the zero Label when there is none.
func (p *storedPrediction) label() (serve.Label, error) {
	if p.labelSeq == 0 {
		return serve.Label{}, nil
	}
	value, err := frame.ParseValue(frame.Kind(p.labelKind), p.labelValue)
	if err != nil {
		return serve.Label{}, damaged("label of", p.ID, p.Model, err)
	}
	return serve.Label{Seq: p.labelSeq, ID: p.ID, Model: p.Model, Value: value, Time: p.labelTime}, nil
}

// damaged says which record cannot be read. A record of a newer release is
// Unsupported, anything else Corrupt.
func damaged(what, id, model string, err error) error {
	kind := fault.Corrupt
	if errors.Is(err, fault.Unsupported) {
		kind = fault.Unsupported
	}
	return fault.Errorf(kind, "stored %s %q of model %q: %v", what, id, model, err)
}

// repeat returns n copies of s with commas between.
func repeat(s string, n int) string { return strings.Repeat(s+",", n-1) + s }

func limit(n int) int {
	if n <= 0 {
		return serve.DefaultLimit
	}
	return n
}
