package frame_test

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v16/arrow"
	"github.com/apache/arrow/go/v16/arrow/array"
	"github.com/apache/arrow/go/v16/arrow/memory"
	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/train/frame"
)

func tensor(name string, dt frame.Datatype, data any, shape ...int64) frame.Tensor {
	return frame.Tensor{Name: name, Datatype: dt, Shape: shape, Data: data}
}

func TestTensorsAndRowsAgree(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 6))
	for range 50 {
		rows := randomRows(rng, allKinds, rng.IntN(8))
		for _, r := range rows {
			for c, f := range allKinds {
				for r.Values[c].IsNull() {
					r.Values[c] = randomValue(rng, f.Kind)
				}
			}
		}
		tensors, err := frame.TensorsFromRows(allKinds, rows)
		require.NoError(t, err)
		for c, x := range tensors {
			require.NoError(t, x.Check())
			require.Equal(t, allKinds[c].Kind.Datatype(), x.Datatype)
			require.Equal(t, []int64{int64(len(rows))}, x.Shape)
			if rng.IntN(2) == 0 {
				tensors[c].Shape = append(tensors[c].Shape, 1)
			}
		}
		rng.Shuffle(len(tensors), func(i, j int) { tensors[i], tensors[j] = tensors[j], tensors[i] })
		back, err := frame.RowsFromTensors(allKinds, tensors)
		require.NoError(t, err)
		require.Equal(t, rows, back)
	}
}

func TestTensorsFromRowsErrors(t *testing.T) {
	rows := []frame.Row{{Values: make([]frame.Value, 5)}}
	_, err := frame.TensorsFromRows(allKinds, rows)
	require.ErrorIs(t, err, fault.Invalid)
	require.EqualError(t, err, `frame: tensors from rows: row 0, column "i": null, which INT64 cannot say; row 0, column "b": null, which BOOL cannot say; `+
		`row 0, column "s": null, which BYTES cannot say; row 0, column "t": null, which INT64 cannot say`)

	nan, err := frame.TensorsFromRows(allKinds[:1], []frame.Row{{Values: make([]frame.Value, 1)}})
	require.NoError(t, err)
	require.True(t, math.IsNaN(nan[0].Data.([]float64)[0]), "FP64 says null as NaN")

	_, err = frame.TensorsFromRows(allKinds, []frame.Row{{}})
	require.EqualError(t, err, "frame: tensors from rows: row 0 has 0 values for 5 columns")
	_, err = frame.TensorsFromRows(allKinds[:1], []frame.Row{{Values: []frame.Value{frame.StringValue("x")}}})
	require.EqualError(t, err, `frame: tensors from rows: row 0, column "f": value "x" is string, want float64`)
}

type conversion struct {
	dt   frame.Datatype
	data any
	kind frame.Kind
	want frame.Value // null: refused
}

func conversions() []conversion {
	f, i, b, s, at := frame.Float64, frame.Int64, frame.Bool, frame.String, frame.Time
	return []conversion{
		{frame.FP32, []float32{0.1}, f, frame.FloatValue(float64(float32(0.1)))},
		{frame.FP64, []float64{math.NaN()}, f, frame.FloatValue(math.NaN())},
		{frame.FP64, []float64{3}, i, frame.IntValue(3)},
		{frame.FP64, []float64{-1 << 63}, i, frame.IntValue(math.MinInt64)},
		{frame.FP64, []float64{1 << 63}, i, frame.Value{}},
		{frame.FP64, []float64{3.5}, i, frame.Value{}},
		{frame.FP64, []float64{math.NaN()}, i, frame.Value{}},
		{frame.FP64, []float64{math.Inf(1)}, at, frame.Value{}},
		{frame.FP64, []float64{1000}, at, frame.TimeValue(1000)},
		{frame.FP32, []float32{1}, b, frame.BoolValue(true)},
		{frame.FP64, []float64{0.5}, b, frame.Value{}},
		{frame.INT64, []int64{1 << 53}, f, frame.FloatValue(1 << 53)},
		{frame.INT64, []int64{1<<53 + 1}, f, frame.Value{}},
		{frame.INT64, []int64{math.MaxInt64}, f, frame.Value{}},
		{frame.INT64, []int64{math.MinInt64}, f, frame.FloatValue(math.MinInt64)},
		{frame.INT64, []int64{2}, b, frame.Value{}},
		{frame.INT64, []int64{5}, s, frame.Value{}},
		{frame.INT32, []int32{-5}, i, frame.IntValue(-5)},
		{frame.INT16, []int16{-5}, f, frame.FloatValue(-5)},
		{frame.INT8, []int8{-5}, at, frame.TimeValue(-5)},
		{frame.UINT8, []uint8{0}, b, frame.BoolValue(false)},
		{frame.UINT16, []uint16{65535}, i, frame.IntValue(65535)},
		{frame.UINT32, []uint32{math.MaxUint32}, i, frame.IntValue(math.MaxUint32)},
		{frame.UINT64, []uint64{math.MaxInt64}, i, frame.IntValue(math.MaxInt64)},
		{frame.UINT64, []uint64{1 << 63}, i, frame.Value{}},
		{frame.UINT64, []uint64{1 << 63}, f, frame.FloatValue(1 << 63)},
		{frame.UINT64, []uint64{math.MaxUint64}, f, frame.Value{}},
		{frame.BOOL, []bool{true}, b, frame.BoolValue(true)},
		{frame.BOOL, []bool{true}, f, frame.FloatValue(1)},
		{frame.BOOL, []bool{false}, i, frame.IntValue(0)},
		{frame.BOOL, []bool{true}, at, frame.Value{}},
		{frame.BOOL, []bool{true}, s, frame.Value{}},
		{frame.BYTES, []string{"x"}, s, frame.StringValue("x")},
		{frame.BYTES, []string{"\xff"}, s, frame.Value{}},
		{frame.BYTES, []string{"5"}, i, frame.Value{}},
	}
}

func TestRowsFromTensorsConvertsWithoutLoss(t *testing.T) {
	for _, c := range conversions() {
		rows, err := frame.RowsFromTensors(frame.Schema{field("x", c.kind)}, []frame.Tensor{tensor("x", c.dt, c.data, 1)})
		if c.want.IsNull() {
			require.ErrorIs(t, err, fault.Invalid, "%v", c)
			require.ErrorContains(t, err, `frame: rows from tensors: tensor "x", element 0: `+string(c.dt)+" ")
			continue
		}
		require.NoError(t, err, "%v", c)
		require.True(t, c.want.Equal(rows[0].Values[0]), "%v", c)
	}
}

func TestRowsFromTensorsTellsEverything(t *testing.T) {
	_, err := frame.RowsFromTensors(allKinds, []frame.Tensor{
		tensor("f", frame.FP64, []float64{1, 2, 3, 4}, 2, 2),
		tensor("i", frame.INT64, []float64{1}, 1),
		tensor("b", frame.BOOL, []bool{true, false}, 2),
		tensor("b", frame.BOOL, []bool{true, false}, 2),
		tensor("t", frame.INT64, []int64{1, 2, 3}, 3, 1),
		tensor("x", frame.INT64, []int64{1}, 1),
	})
	require.ErrorIs(t, err, fault.Invalid)
	require.EqualError(t, err, `frame: rows from tensors: tensor "f": shape [2 2], want [n] or [n 1]; tensor "i": []float64 does not hold INT64 elements; `+
		`tensor "b" is given twice; tensor "t" has 3 rows, those before it 2; unexpected tensor "x"; the inputs are "f", "i", "b", "s", "t"; `+
		`tensor "s" (BYTES, shape [n]) is missing`)

	_, err = frame.RowsFromTensors(allKinds[:2], []frame.Tensor{
		tensor("f", frame.BYTES, []string{"1", strings.Repeat("é", 99)}, 2), tensor("i", frame.FP64, []float64{1, 1.5}, 2)})
	require.EqualError(t, err, `frame: rows from tensors: tensor "f", element 0: BYTES "1" is no float64; tensor "i", element 1: FP64 1.5 is no int64`)
}

func TestTensorCheck(t *testing.T) {
	for _, c := range []struct {
		x    frame.Tensor
		fits bool
	}{
		{tensor("x", frame.FP64, []float64{1, 2, 3, 4, 5, 6}, 2, 3), true},
		{tensor("x", frame.FP64, []float64{1}), true}, // a scalar
		{tensor("x", frame.FP64, []float64{}, 0), true},
		{tensor("x", frame.FP64, []float64{}, 5, 0, math.MaxInt64), true},
		{tensor("x", frame.FP64, []float64{}, 1<<32, 1<<32), false},
		{tensor("x", frame.FP64, []float64{1, 2, 3, 4}, 4, 1<<62+1), false},
		{tensor("x", frame.FP64, []float64{1, 2}, -1, -2), false},
		{tensor("x", frame.FP64, []float64{1, 2}, 3, 0), false},
		{tensor("x", frame.FP64, []float64{1, 2}, 3), false},
		{tensor("x", frame.FP64, nil, 0), false},
		{tensor("x", frame.FP32, []float64{1}, 1), false},
		{tensor("x", "FP16", []float64{1}, 1), false},
	} {
		if err := c.x.Check(); c.fits {
			require.NoError(t, err, "%v", c.x)
		} else {
			require.ErrorIs(t, err, fault.Invalid, "%v", c.x)
		}
	}
	for dt, data := range map[frame.Datatype]any{
		frame.BOOL: []bool{true}, frame.UINT8: []uint8{1}, frame.UINT16: []uint16{1}, frame.UINT32: []uint32{1}, frame.UINT64: []uint64{1},
		frame.INT8: []int8{1}, frame.INT16: []int16{1}, frame.INT32: []int32{1}, frame.INT64: []int64{1},
		frame.FP32: []float32{1}, frame.FP64: []float64{1}, frame.BYTES: []string{"x"},
	} {
		require.Equal(t, 1, tensor("x", dt, data).Len())
		require.Equal(t, -1, tensor("x", "FP16", data).Len())
	}
	require.Equal(t, frame.Datatype(""), frame.Kind("decimal").Datatype())
}

// record builds a batch of one column of any Arrow type from JSON.
func record(t *testing.T, dt arrow.DataType, json string) arrow.Record {
	a, _, err := array.FromJSON(memory.DefaultAllocator, dt, strings.NewReader(json))
	require.NoError(t, err)
	return array.NewRecord(arrow.NewSchema([]arrow.Field{{Name: "x", Type: dt}}, nil), []arrow.Array{a}, int64(a.Len()))
}

func TestFromRecordsConverts(t *testing.T) {
	for _, c := range []struct {
		dt   arrow.DataType
		json string
		want frame.Value // in row 0; row 1 is null
	}{
		{arrow.PrimitiveTypes.Float64, `[0.1, null]`, frame.FloatValue(0.1)},
		{arrow.PrimitiveTypes.Float32, `[0.5, null]`, frame.FloatValue(0.5)},
		{arrow.PrimitiveTypes.Int64, `[-9, null]`, frame.IntValue(-9)},
		{arrow.PrimitiveTypes.Int32, `[-9, null]`, frame.IntValue(-9)},
		{arrow.PrimitiveTypes.Int16, `[-9, null]`, frame.IntValue(-9)},
		{arrow.PrimitiveTypes.Int8, `[-9, null]`, frame.IntValue(-9)},
		{arrow.PrimitiveTypes.Uint64, `[9, null]`, frame.IntValue(9)},
		{arrow.PrimitiveTypes.Uint32, `[9, null]`, frame.IntValue(9)},
		{arrow.PrimitiveTypes.Uint16, `[9, null]`, frame.IntValue(9)},
		{arrow.PrimitiveTypes.Uint8, `[9, null]`, frame.IntValue(9)},
		{arrow.FixedWidthTypes.Boolean, `[true, null]`, frame.BoolValue(true)},
		{arrow.BinaryTypes.String, `["é", null]`, frame.StringValue("é")},
		{arrow.BinaryTypes.LargeString, `["é", null]`, frame.StringValue("é")},
		{arrow.FixedWidthTypes.Timestamp_ms, `["1970-01-01T00:00:01.5Z", null]`, frame.TimeValue(1500)},
		{arrow.FixedWidthTypes.Timestamp_s, `["1970-01-01T00:00:02Z", null]`, frame.TimeValue(2000)},
		{arrow.FixedWidthTypes.Timestamp_us, `["1970-01-01T00:00:01.5Z", null]`, frame.TimeValue(1500)},
		{arrow.FixedWidthTypes.Timestamp_ns, `["1970-01-01T00:00:01.5Z", null]`, frame.TimeValue(1500)},
		{&arrow.TimestampType{Unit: arrow.Millisecond}, `["1970-01-01T00:00:01.5", null]`, frame.TimeValue(1500)},
		{arrow.FixedWidthTypes.Date32, `["1970-01-02", null]`, frame.TimeValue(86_400_000)},
		{arrow.FixedWidthTypes.Date64, `["1970-01-02", null]`, frame.TimeValue(86_400_000)},
	} {
		t.Run(c.dt.String(), func(t *testing.T) {
			r := record(t, c.dt, c.json)
			table, err := frame.FromRecords(r, r.NewSlice(1, 2))
			require.NoError(t, err)
			require.Equal(t, c.want.Kind(), table.Schema()[0].Kind)
			require.Equal(t, 3, table.NumRows())
			require.Equal(t, c.want, table.Value(0, 0))
			require.True(t, table.Value(1, 0).IsNull())
			again, err := frame.FromRecords(table.Records()...)
			require.NoError(t, err)
			require.Equal(t, table.Digest(), again.Digest())
		})
	}
}

func TestFromRecordsErrors(t *testing.T) {
	ints := record(t, arrow.PrimitiveTypes.Int64, `[1]`)
	twice := array.NewRecord(arrow.NewSchema([]arrow.Field{{Name: "x", Type: arrow.PrimitiveTypes.Int64}, {Name: "x", Type: arrow.PrimitiveTypes.Int64}}, nil),
		[]arrow.Array{ints.Column(0), ints.Column(0)}, 1)
	for _, c := range []struct {
		why     string
		records []arrow.Record
		kind    error
		want    string
	}{
		{"no records", nil, fault.Invalid, "frame: from records: no records, so no columns"},
		{"another type", []arrow.Record{record(t, arrow.BinaryTypes.Binary, `["YQ=="]`)}, fault.Unsupported,
			`frame: from records: column "x" has Arrow type binary; cast it to float64, int64, bool, utf8 or timestamp[ms]`},
		{"differing columns", []arrow.Record{ints, record(t, arrow.BinaryTypes.String, `["1"]`)}, fault.Invalid,
			"frame: from records: record 1 has columns (x string), record 0 has (x int64)"},
		{"a repeated name", []arrow.Record{twice}, fault.Invalid, `frame: from records: columns 1 and 2 are both named "x"`},
		{"a large uint64", []arrow.Record{record(t, arrow.PrimitiveTypes.Uint64, `[1, 9223372036854775808]`)}, fault.Invalid,
			`frame: from records: record 0, column "x": row 1: uint64 9223372036854775808 does not fit int64; cast it`},
		{"microseconds", []arrow.Record{record(t, arrow.FixedWidthTypes.Timestamp_us, `["1970-01-01T00:00:00.000001Z"]`)}, fault.Invalid,
			`frame: from records: record 0, column "x": row 0: timestamp[us, tz=UTC] 1970-01-01 00:00:00.000001Z does not fit time; cast it`},
	} {
		t.Run(c.why, func(t *testing.T) {
			_, err := frame.FromRecords(c.records...)
			require.ErrorIs(t, err, c.kind)
			require.EqualError(t, err, c.want)
		})
	}
	b := array.NewStringBuilder(memory.DefaultAllocator)
	b.Append("\xff")
	bad := array.NewRecord(arrow.NewSchema([]arrow.Field{{Name: "x", Type: arrow.BinaryTypes.String}}, nil), []arrow.Array{b.NewArray()}, 1)
	_, err := frame.FromRecords(bad)
	require.ErrorIs(t, err, fault.Invalid)
}

func TestTableOutlivesTheRecordsItIsMadeOf(t *testing.T) {
	r := record(t, arrow.PrimitiveTypes.Float64, `[1.5, 2.5]`)
	table, err := frame.FromRecords(r)
	require.NoError(t, err)
	r.Release()
	x, err := table.Floats("x")
	require.NoError(t, err)
	require.Equal(t, []float64{1.5, 2.5}, x)
}
