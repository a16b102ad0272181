package servesql

import (
	"context"
	"database/sql"
	"slices"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/internal/sqlstore"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train/frame"
)

// rowKey names one row of one request.
type rowKey struct {
	model, id string
	index     int
}

// stored is what of a stored prediction decides about the next one of its row.
type stored struct {
	attempt         int
	variant, status int64 // codes
	digest, time    int64
}

func (r stored) ok() bool { return r.status <= fallback }

// Variants and statuses are stored as the places in these lists, which only
// ever grow at the end.
var (
	variants = []serve.Variant{serve.Primary, serve.Canary, serve.Shadow}
	statuses = []serve.Status{frame.Answered, frame.Fallback, frame.Failed, frame.TimedOut, frame.Refused}
)

// Codes that decide.
const (
	primary  = 0
	shadow   = 2
	fallback = 1 // the last status that is an answer
)

// code returns the place of v in a list. Errors: Invalid.
func code[T ~string](list []T, v T) (int64, error) {
	i := slices.Index(list, v)
	if i < 0 {
		return 0, fault.Errorf(fault.Invalid, "%q is none of %q", v, list)
	}
	return int64(i), nil
}

// decoded returns the value at a place. Errors: Unsupported.
func decoded[T ~string](list []T, i int64) (T, error) {
	if i < 0 || i >= int64(len(list)) {
		return "", fault.Errorf(fault.Unsupported, "code %d is newer than %q: run the newer mlloop", i, list)
	}
	return list[i], nil
}

const selectStored = `SELECT p.id, p.row_index, p.attempt, p.variant, p.status, p.digest, p.time FROM ` + theseRows

// rowsOf are the rows of some records that a query is for: at most maxIDs
// different ids of one model.
type rowsOf struct {
	model     string
	ids       []string
	low, high int
}

const maxIDs = 64

// theseRows is followed by the ids, each in brackets, and by ofTheseRows.
const (
	theseRows   = `(VALUES `
	ofTheseRows = `) v CROSS JOIN {p}serve_prediction p ON p.model = ? AND p.id = v.column1 AND p.row_index BETWEEN ? AND ?`
)

// group gathers the rows of n records, which come model by model and request by
// request as a rule: an id that comes again later is asked for again.
func group(n int, at func(i int) rowKey) []rowsOf {
	var out []rowsOf
	for i := range n {
		k := at(i)
		if len(out) == 0 || out[len(out)-1].model != k.model || len(out[len(out)-1].ids) == maxIDs {
			out = append(out, rowsOf{model: k.model, ids: make([]string, 0, maxIDs), low: k.index, high: k.index})
		}
		g := &out[len(out)-1]
		if last := len(g.ids) - 1; last < 0 || g.ids[last] != k.id {
			g.ids = append(g.ids, k.id)
		}
		g.low, g.high = min(g.low, k.index), max(g.high, k.index)
	}
	return out
}

// selectRows runs a query over theseRows for each group, and hands its rows to
// fn. The statements are prepared already.
func selectRows(ctx context.Context, tx *sql.Tx, stmts map[int]*sql.Stmt, groups []rowsOf, fn func(model string, row sqlstore.Scanner) error) error {
	for _, g := range groups {
		args := make([]any, 0, maxIDs+3)
		for _, id := range g.ids {
			args = append(args, id)
		}
		size := padded(len(g.ids))
		for len(args) < size { // filled up to a size that is prepared
			args = append(args, nil)
		}
		args = append(args, g.model, g.low, g.high)
		rows, err := tx.StmtContext(ctx, stmts[size]).QueryContext(ctx, args...)
		if err != nil {
			return err
		}
		if err := sqlstore.Each(rows, func(row sqlstore.Scanner) error { return fn(g.model, row) }); err != nil {
			return err
		}
	}
	return nil
}

// padded returns the prepared size for n ids: 1, 8 or maxIDs.
func padded(n int) int {
	for _, size := range []int{1, 8} {
		if n <= size {
			return size
		}
	}
	return maxIDs
}

// prepareRows prepares a query for the groups; after follows the ids.
func (s *Store) prepareRows(ctx context.Context, text, after string, groups []rowsOf) (map[int]*sql.Stmt, error) {
	stmts := map[int]*sql.Stmt{}
	for _, g := range groups {
		size := padded(len(g.ids))
		stmt, err := s.stmt(ctx, text+repeat("(?)", size)+after)
		if err != nil {
			return nil, err
		}
		stmts[size] = stmt
	}
	return stmts, nil
}

// place returns the attempt that p belongs to beside the stored rows; 0: it is
// passed over. It is what serve.Store.AppendPredictions says.
func place(rows []stored, p stored) int {
	latest, alike, shadowed := 0, 0, map[int]bool{}
	again := false
	for _, r := range rows {
		again = again || (r.variant == p.variant && r.status == p.status && r.digest == p.digest && r.time == p.time)
		latest = max(latest, r.attempt)
		if r.variant == shadow {
			shadowed[r.attempt] = true
			continue
		}
		if r.digest == p.digest {
			alike = max(alike, r.attempt)
			again = again || (r.ok() && p.variant != shadow)
		}
	}
	switch {
	case again:
		return 0
	case p.variant == shadow:
		if shadowed[alike] {
			return 0
		}
		return alike
	case p.variant == primary && inPlaceOf(rows, latest, p):
		return latest
	}
	return latest + 1
}

// inPlaceOf reports whether the attempt so far is a canary's failure, in whose
// place the primary's p comes.
func inPlaceOf(rows []stored, attempt int, p stored) bool {
	failed := false
	for _, r := range rows {
		if r.attempt != attempt || r.variant == shadow {
			continue
		}
		if r.variant == primary {
			return false
		}
		failed = !r.ok() && (p.status == fallback || r.time == p.time)
	}
	return failed
}
