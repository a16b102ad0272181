package servesql

import (
	"cmp"
	"context"
	"slices"

	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/sqlstore"
)

// Predictions implements serve.Store.
func (s *Store) Predictions(ctx context.Context, q serve.PredictionQuery) ([]serve.Prediction, error) {
	text, args := selectPredictions, []any{q.Model, q.After}
	text, args = among(text, "p.variant", args, variants, q.Variants)
	text, args = among(text, "p.status", args, statuses, q.Statuses)
	rows, err := sqlstore.Select(ctx, s.db, scanPrediction(q.Model), text+` ORDER BY p.seq LIMIT ?`, append(args, limit(q.Limit))...)
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

// Labels implements serve.Store.
func (s *Store) Labels(ctx context.Context, q serve.LabelQuery) ([]serve.LabelledPrediction, error) {
	rows, err := sqlstore.Select(ctx, s.db, scanLabelled(q.Model), selectLabels(s.db.Dialect()), q.Model, q.After, limit(q.Limit))
	if err != nil {
		return nil, err
	}
	return s.labelled(ctx, rows)
}

// Lookup implements serve.Store.
func (s *Store) Lookup(ctx context.Context, model string, ids []string) ([]serve.LabelledPrediction, error) {
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	ids = slices.DeleteFunc(ids, func(id string) bool { return !serve.Storable(id) })
	var rows []*predictionRow
	err := s.db.ReadTx(ctx, func(tx *sqlstore.Tx) error {
		rows = nil
		for some := range slices.Chunk(ids, mostIDs(tx.Dialect())) {
			from, args := idRows(tx.Dialect(), some)
			text := `SELECT ` + predictionColumns + labelColumns + ` FROM ` + from +
				each(tx.Dialect(), `{p}serve_prediction`, `p`, `p.model = `+modelID+` AND p.id = v.column1`) + latestLabel
			found, err := sqlstore.Select(ctx, tx, scanLabelled(model), text, append(args, model, serve.LabelOutput)...)
			if err != nil {
				return err
			}
			rows = append(rows, found...)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(rows, func(a, b *predictionRow) int { return cmp.Compare(a.Seq, b.Seq) })
	return s.labelled(ctx, rows)
}

func scanPrediction(model string) func(row sqlstore.Scanner) (*predictionRow, error) {
	return func(row sqlstore.Scanner) (*predictionRow, error) {
		p := &predictionRow{}
		p.Model = model
		return p, row.Scan(p.columns()...)
	}
}

func scanLabelled(model string) func(row sqlstore.Scanner) (*predictionRow, error) {
	return func(row sqlstore.Scanner) (*predictionRow, error) {
		p := &predictionRow{}
		p.Model = model
		return p, row.Scan(append(p.columns(), p.labelColumns()...)...)
	}
}

func (s *Store) labelled(ctx context.Context, rows []*predictionRow) ([]serve.LabelledPrediction, error) {
	out := make([]serve.LabelledPrediction, len(rows))
	for i, p := range rows {
		var err error
		if out[i].Prediction, err = p.decode(ctx, s); err != nil {
			return nil, err
		}
		if out[i].Truth, err = p.label(); err != nil {
			return nil, err
		}
	}
	return out, nil
}
