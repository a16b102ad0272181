package main

import (
	"context"
	"time"

	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/train/frame"
)

// latestWindow yields, at any time of the stream, the newest windowRows rows
// whose labels have come, and the holdout on top of them. It is the same table
// that the clients read their rows from; the loop drops what came too late.
func latestWindow(m *market) retrain.Source {
	return retrain.SourceFunc(func(_ context.Context, now time.Time) (*frame.Table, error) {
		known := int(now.Sub(firstRow)/halfHour) - labelDelay // labels of the rows before it have come
		known = min(max(known, 0), m.table.NumRows())
		holdout := int(3 * day / halfHour)
		return m.table.Slice(max(0, known-windowRows-holdout), known), nil
	})
}
