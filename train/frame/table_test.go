package frame_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/train/frame"
)

func field(name string, kind frame.Kind) frame.Field { return frame.Field{Name: name, Kind: kind} }

// allKinds has a column of each kind, named by its first letter.
var allKinds = frame.Schema{field("f", frame.Float64), field("i", frame.Int64), field("b", frame.Bool), field("s", frame.String), field("t", frame.Time)}

func randomRows(rng *rand.Rand, schema frame.Schema, n int) []frame.Row {
	rows := make([]frame.Row, n)
	for i := range rows {
		rows[i].Schema = schema
		for _, f := range schema {
			rows[i].Values = append(rows[i].Values, randomValue(rng, f.Kind))
		}
	}
	return rows
}

func mustRows(t testing.TB, schema frame.Schema, rows []frame.Row) *frame.Table {
	table, err := frame.FromRows(schema, rows)
	require.NoError(t, err)
	return table
}

// requireSame compares every way of reading a table with the rows it should hold.
func requireSame(t *testing.T, schema frame.Schema, want []frame.Row, got *frame.Table) {
	t.Helper()
	require.Equal(t, schema, got.Schema())
	require.Equal(t, len(want), got.NumRows())
	total := 0
	for _, r := range got.Records() {
		require.Positive(t, r.NumRows())
		total += int(r.NumRows())
	}
	require.Equal(t, len(want), total)
	for i, r := range got.Rows(0, got.NumRows()) {
		require.Equal(t, want[i].Values, r.Values, "row %d", i)
		require.Equal(t, want[i].Values, got.Row(i).Values)
	}
	for c, f := range schema {
		column, err := got.Values(f.Name)
		require.NoError(t, err)
		require.Len(t, column, len(want))
		for i, v := range column {
			require.Equal(t, want[i].Values[c], v)
			require.Equal(t, v, got.Value(i, c))
		}
		floats, err := got.Floats(f.Name)
		if f.Kind == frame.String {
			require.ErrorIs(t, err, fault.Invalid)
			continue
		}
		require.NoError(t, err)
		for i, x := range floats {
			require.True(t, frame.FloatValue(want[i].Values[c].Float()).Equal(frame.FloatValue(x)))
		}
	}
}

// A table cut, joined and reshaped at random agrees with plain slices of rows.
func TestTableAgreesWithSlicesOfRows(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 60 {
		schema := slices.Clone(allKinds)
		want := randomRows(rng, schema, 1+rng.IntN(40))
		got := mustRows(t, schema, want)
		for range 12 {
			schema, want, got = randomStep(t, rng, schema, want, got)
			requireSame(t, schema, want, got)
			require.Equal(t, mustRows(t, schema, want).Digest(), got.Digest(), "the digest does not depend on batches")
		}
	}
}

func randomStep(t *testing.T, rng *rand.Rand, schema frame.Schema, want []frame.Row, got *frame.Table) (frame.Schema, []frame.Row, *frame.Table) {
	switch rng.IntN(5) {
	case 0: // a slice
		from := rng.IntN(len(want) + 1)
		to := from + rng.IntN(len(want)-from+1)
		return schema, want[from:to], got.Slice(from, to)
	case 1: // rows appended
		more := randomRows(rng, schema, rng.IntN(10))
		got, err := frame.Concat(got, mustRows(t, schema, more), got)
		require.NoError(t, err)
		return schema, slices.Concat(want, more, want), got
	case 2:
		return pickColumns(t, rng, schema, want, got)
	case 3:
		return setColumn(t, rng, schema, want, got)
	}
	if len(schema) == 1 {
		return schema, want, got
	}
	c := rng.IntN(len(schema)) // a column dropped
	got, err := got.Drop(schema[c].Name)
	require.NoError(t, err)
	schema = slices.Delete(slices.Clone(schema), c, c+1)
	return schema, mapRows(want, schema, func(r frame.Row) []frame.Value {
		return slices.Delete(slices.Clone(r.Values), c, c+1)
	}), got
}

// pickColumns selects some columns, in another order.
func pickColumns(t *testing.T, rng *rand.Rand, schema frame.Schema, want []frame.Row, got *frame.Table) (frame.Schema, []frame.Row, *frame.Table) {
	order := rng.Perm(len(schema))[:1+rng.IntN(len(schema))]
	names := make([]string, len(order))
	picked := make(frame.Schema, len(order))
	for i, c := range order {
		names[i], picked[i] = schema[c].Name, schema[c]
	}
	got, err := got.Select(names...)
	require.NoError(t, err)
	return picked, mapRows(want, picked, func(r frame.Row) []frame.Value {
		var v []frame.Value
		for _, c := range order {
			v = append(v, r.Values[c])
		}
		return v
	}), got
}

// setColumn adds a column, or replaces one.
func setColumn(t *testing.T, rng *rand.Rand, schema frame.Schema, want []frame.Row, got *frame.Table) (frame.Schema, []frame.Row, *frame.Table) {
	f := field(string("fibstxyz"[rng.IntN(8)]), kinds[rng.IntN(len(kinds))])
	values := make([]frame.Value, len(want))
	for i := range values {
		values[i] = randomValue(rng, f.Kind)
	}
	got, err := got.WithColumn(f, values)
	require.NoError(t, err)
	at := schema.Index(f.Name)
	schema = slices.Clone(schema)
	if at < 0 {
		at, schema = len(schema), append(schema, f)
	} else {
		schema[at] = f
	}
	i := -1
	return schema, mapRows(want, schema, func(r frame.Row) []frame.Value {
		i++
		if at == len(r.Values) {
			return append(slices.Clone(r.Values), values[i])
		}
		v := slices.Clone(r.Values)
		v[at] = values[i]
		return v
	}), got
}

func mapRows(rows []frame.Row, schema frame.Schema, f func(frame.Row) []frame.Value) []frame.Row {
	out := make([]frame.Row, len(rows))
	for i, r := range rows {
		out[i] = frame.Row{Schema: schema, Values: f(r)}
	}
	return out
}

func TestRowsOfManyBatches(t *testing.T) {
	schema := frame.Schema{field("i", frame.Int64)}
	rows := make([]frame.Row, 150_000)
	for i := range rows {
		rows[i].Values = []frame.Value{frame.IntValue(int64(i))}
	}
	table := mustRows(t, schema, rows)
	require.Len(t, table.Records(), 3, "rows are cut into batches")
	for _, i := range []int{0, 65_535, 65_536, 131_071, 131_072, 149_999} {
		require.Equal(t, int64(i), table.Value(i, 0).Int())
	}
	part := table.Slice(65_000, 66_000)
	require.Len(t, part.Records(), 2)
	require.Equal(t, int64(65_536), part.Row(536).Values[0].Int())
	for i, r := range table.Rows(65_530, 65_540) {
		require.Equal(t, int64(i), r.Values[0].Int())
	}
	for i := range table.Rows(0, 10) {
		require.Zero(t, i)
		break // leaving early is fine
	}
}

func TestYieldedRowsMayBeKept(t *testing.T) {
	table := mustRows(t, allKinds, randomRows(rand.New(rand.NewPCG(2, 2)), allKinds, 300))
	var kept []frame.Row
	for _, r := range table.Rows(0, 300) {
		kept = append(kept, r)
		_ = append(r.Values, frame.IntValue(99)) // must not write into the next row
	}
	for i, r := range kept {
		require.Equal(t, table.Row(i).Values, r.Values)
	}
}

func TestEmptyTable(t *testing.T) {
	empty := mustRows(t, allKinds, nil)
	require.Zero(t, empty.NumRows())
	require.Empty(t, empty.Records())
	require.Equal(t, allKinds, empty.Slice(0, 0).Schema())
	x, err := empty.Floats("f")
	require.NoError(t, err)
	require.Empty(t, x)
	wide, err := empty.WithColumn(field("x", frame.Bool), nil)
	require.NoError(t, err)
	require.Len(t, wide.Schema(), 6)
	both, err := frame.Concat(empty, empty)
	require.NoError(t, err)
	require.Equal(t, empty.Digest(), both.Digest())
	require.NoError(t, empty.SortedBy("t"))
}

type tableError struct {
	why  string
	do   func() error
	want string
}

func tableErrors(t *testing.T) []tableError {
	table := mustRows(t, allKinds, randomRows(rand.New(rand.NewPCG(3, 3)), allKinds, 4))
	small := mustRows(t, allKinds[:2], nil)
	text := frame.StringValue("x")
	return []tableError{
		{"a wrong schema", func() error { _, err := frame.FromRows(nil, nil); return err }, "frame: from rows: no columns"},
		{"a short row", func() error {
			_, err := frame.FromRows(allKinds, []frame.Row{{Values: make([]frame.Value, 2)}})
			return err
		}, "frame: from rows: row 0: 2 values for 5 columns"},
		{"a row of another schema", func() error {
			_, err := frame.FromRows(allKinds[:1], []frame.Row{{Schema: frame.Schema{field("x", frame.Bool)}, Values: make([]frame.Value, 1)}})
			return err
		}, "frame: from rows: row 0: its columns are (x bool), want (f float64)"},
		{"a value of another kind", func() error {
			_, err := frame.FromRows(allKinds[:1], []frame.Row{{Values: []frame.Value{text}}})
			return err
		}, `frame: from rows: row 0: column "f": value "x" is string, want float64`},
		{"text that is not UTF-8", func() error {
			_, err := frame.FromRows(allKinds[3:4], []frame.Row{{Values: []frame.Value{frame.StringValue("\xff")}}})
			return err
		}, `frame: from rows: row 0: column "s": text "\xff" is not UTF-8`},
		{"Values", func() error { _, err := table.Values("x"); return err }, `frame: no column "x"; there are "f", "i", "b", "s", "t"`},
		{"Floats of text", func() error { _, err := table.Floats("s"); return err }, `frame: column "s" is text, not numbers; read it with Values or one-hot encode it`},
		{"Select", func() error { _, err := table.Select("x", "f", "f", "y"); return err },
			`frame: select: no column "x"; there are "f", "i", "b", "s", "t"; column "f" is named twice; no column "y"; there are "f", "i", "b", "s", "t"`},
		{"Select of nothing", func() error { _, err := table.Select(); return err }, "frame: select: no columns are named"},
		{"Drop", func() error { _, err := table.Drop("x"); return err }, `frame: drop: no column "x"; there are "f", "i", "b", "s", "t"`},
		{"Drop of everything", func() error { _, err := small.Drop("f", "i"); return err }, "frame: drop: no column would be left"},
		{"Concat of nothing", func() error { _, err := frame.Concat(); return err }, "frame: concat: no tables"},
		{"Concat", func() error { _, err := frame.Concat(small, table); return err },
			"frame: concat: table 1 has columns (f float64, i int64, b bool, s string, t time), table 0 has (f float64, i int64)"},
		{"too few values", func() error { _, err := table.WithColumn(field("x", frame.Bool), nil); return err }, `frame: with column "x": 0 values for 4 rows`},
		{"values of another kind", func() error {
			_, err := table.WithColumn(field("x", frame.Bool), slices.Repeat([]frame.Value{text}, 4))
			return err
		},
			`frame: with column: row 0: column "x": value "x" is string, want bool`},
		{"an unknown kind", func() error { _, err := table.WithColumn(field("x", "decimal"), make([]frame.Value, 4)); return err },
			`frame: with column "x": column "x": unknown kind "decimal"; the kinds are float64, int64, bool, string and time`},
	}
}

func TestTableErrors(t *testing.T) {
	for _, c := range tableErrors(t) {
		t.Run(c.why, func(t *testing.T) {
			err := c.do()
			require.ErrorIs(t, err, fault.Invalid)
			require.EqualError(t, err, c.want)
		})
	}
}

func TestOutOfRangePanicsAsSlicesDo(t *testing.T) {
	table := mustRows(t, allKinds, randomRows(rand.New(rand.NewPCG(3, 3)), allKinds, 4))
	for why, f := range map[string]func(){
		"row -1":             func() { table.Row(-1) },
		"row 4 of 4":         func() { table.Row(4) },
		"value in row 4":     func() { table.Value(4, 0) },
		"slice beyond":       func() { table.Slice(0, 5) },
		"slice backwards":    func() { table.Slice(3, 2) },
		"rows from negative": func() { table.Rows(-1, 2) },
	} {
		require.Panics(t, f, why)
	}
}

func TestDigestAgainstHashlib(t *testing.T) {
	b, err := os.ReadFile("testdata/digest.json")
	require.NoError(t, err)
	var tables []struct {
		Columns []struct {
			Name   string
			Kind   frame.Kind
			Values []any
		}
		Digest string
	}
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.UseNumber() // 64-bit integers
	require.NoError(t, d.Decode(&tables))
	for _, c := range tables {
		var schema frame.Schema
		rows := make([]frame.Row, len(c.Columns[0].Values))
		for _, col := range c.Columns {
			schema = append(schema, field(col.Name, col.Kind))
			for i, v := range col.Values {
				var value frame.Value
				if v != nil {
					value, err = frame.ParseValue(col.Kind, fmt.Sprint(v))
					require.NoError(t, err)
				}
				rows[i].Values = append(rows[i].Values, value)
			}
		}
		require.Equal(t, c.Digest, mustRows(t, schema, rows).Digest())
	}
}

func TestDigestTellsTablesApart(t *testing.T) {
	one := func(name string, values ...frame.Value) *frame.Table {
		rows := make([]frame.Row, len(values))
		kind := frame.String
		for i, v := range values {
			rows[i].Values = []frame.Value{v}
			if !v.IsNull() {
				kind = v.Kind()
			}
		}
		return mustRows(t, frame.Schema{field(name, kind)}, rows)
	}
	null := frame.Value{}
	tables := []*frame.Table{
		one("a", frame.StringValue("")), one("a", null), one("a", null, null), one("b", null), one("a"),
		one("a", frame.StringValue("ab"), frame.StringValue("c")), one("a", frame.StringValue("a"), frame.StringValue("bc")),
		one("a", frame.IntValue(0)), one("a", frame.FloatValue(0)), one("a", frame.BoolValue(false)), one("a", frame.TimeValue(0)),
		one("a", frame.FloatValue(math.Copysign(0, -1))), one("a", frame.FloatValue(math.NaN())),
	}
	seen := map[string]int{}
	for i, table := range tables {
		first, ok := seen[table.Digest()]
		require.False(t, ok, "tables %d and %d", first, i)
		seen[table.Digest()] = i
	}
	require.Equal(t, one("a", frame.FloatValue(math.NaN())).Digest(), one("a", frame.FloatValue(-math.NaN())).Digest())
}

func TestTableIsSafeForConcurrentUse(t *testing.T) {
	table := mustRows(t, allKinds, randomRows(rand.New(rand.NewPCG(4, 4)), allKinds, 500))
	want := mustRows(t, allKinds, slices.Collect(rowsOf(table))).Digest()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if table.Digest() != want || table.Slice(3, 400).NumRows() != 397 {
				t.Error("readers disagree")
			}
		})
	}
	wg.Wait()
}

func rowsOf(t *frame.Table) func(yield func(frame.Row) bool) {
	return func(yield func(frame.Row) bool) {
		for _, r := range t.Rows(0, t.NumRows()) {
			if !yield(r) {
				return
			}
		}
	}
}
