package drift

import (
	"context"
	"iter"
)

// AllAlerts returns every alert that the query selects, page by page; q.Limit is
// the size of a page. One that changes meanwhile may come again, with its new
// Seq. After an error the sequence ends.
func AllAlerts(ctx context.Context, s Store, q AlertQuery) iter.Seq2[Alert, error] {
	return func(yield func(Alert, error) bool) {
		for q := q; ; {
			page, err := s.Alerts(ctx, q)
			if err != nil {
				yield(Alert{}, err)
				return
			}
			for _, a := range page {
				q.After = a.Seq
				if !yield(a, nil) {
					return
				}
			}
			if len(page) < q.PageSize() {
				return
			}
		}
	}
}

// PageSize is how many alerts the query gives at most.
func (q AlertQuery) PageSize() int {
	if q.Limit == 0 {
		return DefaultLimit
	}
	return q.Limit
}
