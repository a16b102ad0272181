package servesql

import (
	"context"
	"database/sql"
	"errors"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/internal/sqldb"
	"github.com/mlloop/mlloop/internal/sqlstore"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train/frame"
)

const (
	// A label enters only beside a prediction: the check and the insert are one statement.
	insertLabels = `INSERT INTO {p}serve_label (model, id, kind, value, time)
		SELECT v.column1, v.column2, v.column3, v.column4, v.column5 FROM (VALUES `
	insertLabel  = `(?, ?, ?, ?, ?)`
	ignoreLabels = `) v WHERE EXISTS (SELECT 1 FROM {p}serve_prediction p WHERE p.model = v.column1 AND p.id = v.column2)
		ON CONFLICT (model, id) DO NOTHING`

	selectLabel  = `SELECT kind, value FROM {p}serve_label WHERE model = ? AND id = ?`
	selectLabels = `SELECT ` + predictionColumns + labelColumns + `
		FROM (SELECT * FROM {p}serve_label WHERE model = ? AND seq > ? ORDER BY seq LIMIT ?) l
		JOIN {p}serve_prediction p ON p.model = l.model AND p.id = l.id ORDER BY l.seq, p.shadow`
)

// AppendLabels implements serve.Store.
func (s *Store) AppendLabels(ctx context.Context, ls []serve.Label) (unknown []string, err error) {
	args := make([]any, 0, 5*len(ls))
	for _, l := range ls {
		args = append(args, l.Model, l.ID, string(l.Value.Kind()), l.Value.Text(), l.Time.UnixMilli())
	}
	named := map[string]bool{} // IDs in unknown
	stored, err := s.stmt(ctx, selectLabel)
	if err != nil {
		return nil, sqldb.Fault(err)
	}
	err = s.insert(ctx, len(ls), args, func(n int) string {
		return insertLabels + repeat(insertLabel, n) + ignoreLabels
	}, func(tx *sql.Tx, from, to int, inserted int64) error {
		if inserted == int64(to-from) {
			return nil
		}
		missing, err := compare(ctx, tx.StmtContext(ctx, stored), ls[from:to])
		for _, id := range missing {
			if !named[id] {
				named[id] = true
				unknown = append(unknown, id)
			}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return unknown, nil
}

// compare returns the IDs of those labels that are not stored, for want of
// their prediction. Errors: Conflict when another value is stored.
func compare(ctx context.Context, stored *sql.Stmt, ls []serve.Label) (missing []string, err error) {
	for _, l := range ls {
		var kind, value string
		err := stored.QueryRowContext(ctx, l.Model, l.ID).Scan(&kind, &value)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			missing = append(missing, l.ID)
			continue
		case err != nil:
			return nil, err
		}
		before, err := frame.ParseValue(frame.Kind(kind), value)
		if err != nil {
			return nil, damaged("label of", l.ID, l.Model, err)
		}
		if !before.Equal(l.Value) {
			return nil, fault.Errorf(fault.Conflict, "prediction %q has the label %q: it cannot become %q", l.ID, value, l.Value.Text())
		}
	}
	return missing, nil
}

// Labels implements serve.Store.
func (s *Store) Labels(ctx context.Context, q serve.LabelQuery) ([]serve.LabelledPrediction, error) {
	return s.labelled(ctx, selectLabels, []any{q.Model, q.After, limit(q.Limit)})
}

// labelled runs a query for predictionColumns and labelColumns.
func (s *Store) labelled(ctx context.Context, text string, args []any) ([]serve.LabelledPrediction, error) {
	var stored []*storedPrediction
	err := s.query(ctx, text, args, func(row sqlstore.Scanner) error {
		p := &storedPrediction{}
		stored = append(stored, p)
		return row.Scan(append(p.columns(), p.labelColumns()...)...)
	})
	if err != nil {
		return nil, err
	}
	out := make([]serve.LabelledPrediction, len(stored))
	for i, p := range stored {
		if out[i].Prediction, err = p.decode(ctx, s); err != nil {
			return nil, err
		}
		if out[i].Label, err = p.label(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Counts implements serve.Store.
func (s *Store) Counts(ctx context.Context, model string) (serve.Counts, error) {
	var c serve.Counts
	err := s.query(ctx, `SELECT
		(SELECT count(*) FROM {p}serve_prediction WHERE model = ? AND shadow = 0),
		(SELECT count(*) FROM {p}serve_prediction WHERE model = ? AND shadow = 1),
		(SELECT count(*) FROM {p}serve_label WHERE model = ?)`, []any{model, model, model}, func(row sqlstore.Scanner) error {
		return row.Scan(&c.Predictions, &c.Shadow, &c.Labels)
	})
	return c, err
}
