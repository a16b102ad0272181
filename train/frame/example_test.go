package frame_test

import (
	"fmt"
	"os"
	"strings"

	"github.com/mlloop/mlloop/train/frame"
)

const market = `at,price,region
1996-05-07T00:00:00Z,0.056,NSW
1996-05-07T00:30:00Z,,VIC
1996-05-07T01:00:00Z,0.048,NSW
`

func Example() {
	t, err := frame.ReadCSV(strings.NewReader(market), nil)
	fmt.Println(t.Schema(), err)

	train, later, err := t.SplitAt(2)
	prices, _ := train.Floats("price")
	fmt.Println(prices, err)

	for i, row := range later.Rows(0, later.NumRows()) {
		fmt.Println(i, row.Get("region").Text(), row.Get("price").Float())
	}
	// Output:
	// [{at time} {price float64} {region string}] <nil>
	// [0.056 NaN] <nil>
	// 0 NSW 0.048
}

func ExampleReadCSV_errors() {
	_, err := frame.ReadCSV(strings.NewReader("price,up\n0.5,1\ncheap,0\n0.7\n"), &frame.CSVOptions{
		Schema: frame.Schema{{Name: "price", Kind: frame.Float64}, {Name: "up", Kind: frame.Bool}},
	})
	for _, problem := range strings.Split(err.Error(), "; line") {
		fmt.Println(problem)
	}
	// Output:
	// frame: read CSV: line 3, column "price": "cheap" is no float64; correct it, leave it empty for a null, or give the column another kind in CSVOptions.Schema
	//  4: 1 fields, the header has 2; the line is "0.7": the file may be truncated, or a field with ',' in it unquoted
}

func ExampleTable_WriteCSV() {
	t, _ := frame.ReadCSV(strings.NewReader(market), nil)
	prices, _ := t.Select("region", "price")
	_ = prices.WriteCSV(os.Stdout, &frame.CSVOptions{Comma: ';', Null: "NA"})
	// Output:
	// region;price
	// NSW;0.056
	// VIC;NA
	// NSW;0.048
}

func ExampleRowsFromTensors() {
	schema := frame.Schema{{Name: "price", Kind: frame.Float64}, {Name: "region", Kind: frame.String}}
	rows, err := frame.RowsFromTensors(schema, []frame.Tensor{
		{Name: "region", Datatype: frame.BYTES, Shape: []int64{2}, Data: []string{"NSW", "VIC"}},
		{Name: "price", Datatype: frame.FP32, Shape: []int64{2, 1}, Data: []float32{0.5, 0.25}},
	})
	fmt.Println(len(rows), rows[1].Get("price").Float(), rows[1].Get("region").Text(), err)
	// Output: 2 0.25 VIC <nil>
}
