package servesql

import (
	"context"
	"slices"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/sqlstore"
	"github.com/mlloop/mlloop/train/frame"
)

// rowKey names one row of one request of a model.
type rowKey struct {
	id    string
	index int
}

// stored is what of a stored prediction decides about the next one of its row.
type stored struct {
	attempt         int
	variant, status int64 // codes
	digest, time    int64
}

func (r *stored) ok() bool { return r.status <= fallback }

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

// decoded returns the value at a place. Errors: Unsupported.
func decoded[T ~string](list []T, i int64) (T, error) {
	if i < 0 || i >= int64(len(list)) {
		return "", fault.Errorf(fault.Unsupported, "code %d is newer than %q: run the newer mlloop", i, list)
	}
	return list[i], nil
}

// requests are the ids of some records of a model, at most maxIDs, and between
// which indexes their rows are.
type requests struct {
	ids       []string
	low, high int
}

// group gathers the requests of rows, which come one after the other as a rule:
// an id that comes again later is asked for again.
func group(d sqlstore.Dialect, rows []rowKey) []requests {
	most := mostIDs(d)
	var out []requests
	for i, k := range rows {
		if len(out) == 0 || len(out[len(out)-1].ids) == most {
			out = append(out, requests{ids: make([]string, 0, min(most, len(rows)-i)), low: k.index, high: k.index})
		}
		g := &out[len(out)-1]
		if last := len(g.ids) - 1; last < 0 || g.ids[last] != k.id {
			g.ids = append(g.ids, k.id)
		}
		g.low, g.high = min(g.low, k.index), max(g.high, k.index)
	}
	return out
}

// ascending reports whether each of n rows comes behind the one before it, so
// that none is there twice.
func ascending(n int, at func(i int) rowKey) bool {
	for i := 1; i < n; i++ {
		a, b := at(i-1), at(i)
		if a.id > b.id || (a.id == b.id && a.index >= b.index) {
			return false
		}
	}
	return true
}

// greatestID returns the last id of a table in byte order. Nothing is stored of
// an id behind it, so that it need not be looked for: ids that the server makes
// rise.
func greatestID(ctx context.Context, tx *sqlstore.Tx, table string) (id string, err error) {
	err = tx.QueryRow(ctx, `SELECT coalesce(max(id), '') FROM `+table).Scan(&id)
	return id, err
}

const (
	storedColumns = `p.id, p.row_index, p.attempt, p.variant, p.status, p.digest, p.time`
	ofRequests    = `p.model = ? AND p.id = v.column1 AND p.row_index BETWEEN ? AND ?`
)

// readStored returns what is stored of the requests' rows.
func readStored(ctx context.Context, tx *sqlstore.Tx, m *modelRow, groups []requests) (map[rowKey][]stored, error) {
	rows := map[rowKey][]stored{}
	for _, g := range groups {
		from, args := idRows(tx.Dialect(), g.ids)
		text := `SELECT ` + storedColumns + ` FROM ` + from + each(tx.Dialect(), `{p}serve_prediction`, `p`, ofRequests)
		found, err := tx.Query(ctx, text, append(args, m.id, g.low, g.high)...)
		if err != nil {
			return nil, err
		}
		for found.Next() {
			var k rowKey
			var r stored
			if err := found.Scan(&k.id, &k.index, &r.attempt, &r.variant, &r.status, &r.digest, &r.time); err != nil {
				_ = found.Close() // the first error is the one to report
				return nil, err
			}
			if !slices.Contains(rows[k], r) { // an id may be asked for twice
				rows[k] = append(rows[k], r)
			}
		}
		if err := found.Err(); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// place returns the attempt that p belongs to beside the stored rows; 0: it is
// passed over. It is what serve.Store.AppendPredictions says.
func place(rows []stored, p *stored) int {
	latest, alike := 0, 0
	again := false
	for i := range rows {
		r := &rows[i]
		again = again || (r.variant == p.variant && r.status == p.status && r.digest == p.digest && r.time == p.time)
		latest = max(latest, r.attempt)
		if r.variant != shadow && r.digest == p.digest {
			alike = max(alike, r.attempt)
			again = again || (r.ok() && p.variant != shadow)
		}
	}
	switch {
	case again:
		return 0
	case p.variant == shadow:
		if slices.ContainsFunc(rows, func(r stored) bool { return r.variant == shadow && r.attempt == alike }) {
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
func inPlaceOf(rows []stored, attempt int, p *stored) bool {
	failed := false
	for i := range rows {
		r := &rows[i]
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
