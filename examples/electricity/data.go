package main

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"fmt"
	"time"

	"github.com/mlloop/mlloop/train/frame"
)

// elecCSV is Elec2, the electricity market of New South Wales: 45,312
// half-hours from 7 May 1996 to 5 December 1998 (M. Harries, "SPLICE-2
// comparative evaluation: electricity pricing", 1999; OpenML data set 151,
// public; the normalised copy that scikit-multiflow redistributes).
//
//go:embed elec.csv.gz
var elecCSV []byte

const (
	rowsPerDay  = 48
	historyRows = 8712  // rows 0..8,711 are the past: the first model and every setting come from them alone
	widening    = 17424 // from this row on feat_4, feat_5 and feat_6 move: the market was widened
	labelDelay  = rowsPerDay
	halfHour    = 30 * time.Minute
)

// firstRow is when row 0 was, in market time.
var firstRow = time.Date(1996, 5, 7, 0, 0, 0, 0, time.UTC)

// inputs are the columns that the model sees: the six values of its own row,
// and nothing of any other row.
var inputs = []string{"feat_1", "feat_2", "feat_3", "feat_4", "feat_5", "feat_6"}

const (
	timeColumn  = "time"
	labelColumn = "target"
)

// rowTime returns the time of a row.
func rowTime(row int) time.Time { return firstRow.Add(time.Duration(row) * halfHour) }

// market is the data: the table, the labels as they are compared with, and how
// many of the first rows are the past when the replay begins.
type market struct {
	table   *frame.Table
	labels  []frame.Value
	history int
}

// loadMarket reads the embedded data and stamps each row with its time.
func loadMarket() (*market, error) {
	unzipped, err := gzip.NewReader(bytes.NewReader(elecCSV))
	if err != nil {
		return nil, fmt.Errorf("elec.csv.gz: %w", err)
	}
	schema := frame.Schema{{Name: labelColumn, Kind: frame.Int64}}
	for _, name := range inputs {
		schema = append(schema, frame.Field{Name: name, Kind: frame.Float64})
	}
	table, err := frame.ReadCSV(unzipped, &frame.CSVOptions{Schema: schema})
	if err != nil {
		return nil, fmt.Errorf("elec.csv.gz: %w", err)
	}
	stamps := make([]frame.Value, table.NumRows())
	for i := range stamps {
		stamps[i] = frame.TimeValue(rowTime(i).UnixMilli())
	}
	if table, err = table.WithColumn(frame.Field{Name: timeColumn, Kind: frame.Time}, stamps); err != nil {
		return nil, fmt.Errorf("elec.csv.gz: %w", err)
	}
	labels, err := table.Values(labelColumn)
	if err != nil {
		return nil, fmt.Errorf("elec.csv.gz: %w", err)
	}
	return &market{table: table, labels: labels, history: historyRows}, nil
}
