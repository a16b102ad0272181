package main

import (
	"context"
	"time"

	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/train/frame"
)

// latestWindow yields, at any time of the stream, the newest windowRows rows
// whose labels have come, and on top of them what the loop does not fit on: the
// holdout, and the label delay before it. It is the same table that the clients
// read their rows from; the loop drops what came too late.
func latestWindow(m *market) retrain.Source {
	return retrain.SourceFunc(func(_ context.Context, now time.Time) (*frame.Table, error) {
		known := int(now.Sub(firstRow)/halfHour) - labelDelay // labels of the rows before it have come
		known = min(max(known, 0), m.table.NumRows())
		kept := int(holdout/halfHour) + labelDelay
		return m.table.Slice(max(0, known-windowRows-kept), known), nil
	})
}
