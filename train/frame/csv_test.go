package frame_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/train/frame"
)

func read(t testing.TB, text string, opts *frame.CSVOptions) *frame.Table {
	t.Helper()
	table, err := frame.ReadCSV(strings.NewReader(text), opts)
	require.NoError(t, err)
	return table
}

type inference struct {
	why    string
	fields []string
	kind   frame.Kind
}

func inferences() []inference {
	return []inference{
		{"whole numbers", []string{"1", "-2", "", "+3", "007", "0"}, frame.Int64},
		{"the int64 range", []string{"9223372036854775807", "-9223372036854775808"}, frame.Int64},
		{"one beyond it", []string{"1", "9223372036854775808"}, frame.Float64},
		{"a fraction at the end", []string{"1", "2", "3.5"}, frame.Float64},
		{"exponents, NaN and infinities", []string{"1e3", "NaN", "-Inf", ".5", "5.", "-.5", "1E-7"}, frame.Float64},
		{"minus zero keeps its sign", []string{"1", "-0"}, frame.Float64},
		{"spaces around numbers", []string{" 1", "2 "}, frame.Int64},
		{"a number too large for float64", []string{"1", "1e999"}, frame.String},
		{"hexadecimal is text", []string{"0x10"}, frame.String},
		{"underscores are text", []string{"1_000"}, frame.String},
		{"two points are text", []string{"1.2.3"}, frame.String},
		{"a lone point or sign is text", []string{"."}, frame.String},
		{"bools", []string{"true", "False", "", "TRUE"}, frame.Bool},
		{"bools, then a number", []string{"true", "1"}, frame.String},
		{"numbers, then a bool", []string{"1", "true"}, frame.String},
		{"odd case is text", []string{"tRue"}, frame.String},
		{"days", []string{"1996-05-07", "", "1998-12-05"}, frame.Time},
		{"times of several forms", []string{"1996-05-07T00:30:00Z", "1996-05-07 00:30:00", "1996-05-07T00:30:00.25+10:00", "1996-05-07T00:30", "1996-05-07 00:30", "1996-05-07 00:30:00+00:00", "1996-05-07"}, frame.Time},
		{"days, then a word", []string{"1996-05-07", "later"}, frame.String},
		{"no such day", []string{"1996-02-30"}, frame.String},
		{"a number among words", []string{"NSW", "1"}, frame.String},
		{"nothing at all", []string{"", ""}, frame.Float64},
	}
}

func TestKindsAreInferredFromAllTheData(t *testing.T) {
	for _, c := range inferences() {
		t.Run(c.why, func(t *testing.T) {
			text := "x,y\n"
			for _, f := range c.fields {
				text += f + ",1\n"
			}
			table := read(t, text, nil)
			require.Equal(t, frame.Schema{field("x", c.kind), field("y", frame.Int64)}, table.Schema())
			require.Equal(t, len(c.fields), table.NumRows())
			values, err := table.Values("x")
			require.NoError(t, err)
			for i, f := range c.fields {
				want := frame.Value{}
				if f != "" {
					want, err = frame.ParseValue(c.kind, strings.TrimSpace(f))
					require.NoError(t, err)
				}
				require.Equal(t, want, values[i], "field %q", f)
			}
			same := read(t, text, &frame.CSVOptions{Schema: table.Schema()})
			require.Equal(t, table.Digest(), same.Digest(), "a schema changes nothing that inference found")
		})
	}
}

func TestReadCSVForms(t *testing.T) {
	want := read(t, "a,b\n1,x\n2,y\n", nil).Digest()
	for why, text := range map[string]string{
		"no newline at the end":   "a,b\n1,x\n2,y",
		"Windows line ends":       "a,b\r\n1,x\r\n2,y\r\n",
		"a byte-order mark":       "\xef\xbb\xbfa,b\n1,x\n2,y\n",
		"quotes":                  "\"a\",b\n\"1\",\"x\"\n2,y\n",
		"empty lines are skipped": "a,b\n\n1,x\n\n2,y\n\n",
	} {
		require.Equal(t, want, read(t, text, nil).Digest(), why)
		slow, err := frame.ReadCSV(iotest.OneByteReader(strings.NewReader(text)), nil)
		require.NoError(t, err)
		require.Equal(t, want, slow.Digest(), "byte by byte")
	}
	require.Equal(t, want, read(t, "a;b\n1;x\n2;y\n", &frame.CSVOptions{Comma: ';'}).Digest())
	require.Equal(t, want, read(t, "b,zusatz,a\nx,,1\ny,?,2\n", &frame.CSVOptions{Schema: frame.Schema{field("a", frame.Int64), field("b", frame.String)}}).Digest(),
		"a schema picks and orders columns")

	header := read(t, "a,b\n", nil)
	require.Zero(t, header.NumRows())
	require.Equal(t, frame.Schema{field("a", frame.Float64), field("b", frame.Float64)}, header.Schema())

	quoted := read(t, "a,b\n\"x \"\"y\"\", z\nnext\",1\n", nil)
	require.Equal(t, "x \"y\", z\nnext", quoted.Value(0, 0).Text())

	nulls := read(t, "a,b\nNA,\n1,NA\n", &frame.CSVOptions{Null: "NA"})
	require.Equal(t, frame.Schema{field("a", frame.Int64), field("b", frame.String)}, nulls.Schema())
	require.True(t, nulls.Value(0, 0).IsNull())
	require.Equal(t, frame.StringValue(""), nulls.Value(0, 1))
	require.True(t, nulls.Value(1, 1).IsNull())

	given := read(t, "t,b\n1500, 1 \n1970-01-01T00:00:02Z,f\n", &frame.CSVOptions{Schema: frame.Schema{field("t", frame.Time), field("b", frame.Bool)}})
	require.Equal(t, frame.TimeValue(1500), given.Value(0, 0))
	require.Equal(t, frame.TimeValue(2000), given.Value(1, 0))
	require.Equal(t, frame.BoolValue(true), given.Value(0, 1))
}

func TestReadCSVErrors(t *testing.T) {
	ints := &frame.CSVOptions{Schema: frame.Schema{field("a", frame.Int64), field("b", frame.Float64)}}
	remedy := "; correct it, leave it empty for a null, or give the column another kind in CSVOptions.Schema"
	for _, c := range []struct {
		why, text string
		o         *frame.CSVOptions
		want      string
	}{
		{"an empty file", "", nil, "the file is empty: its first line must name the columns"},
		{"a repeated header", "a,b,a\n1,2,3\n", nil, `header: columns 1 and 3 are both named "a"`},
		{"a nameless column", "a,\n1,2\n", nil, "header: column 2 has no name"},
		{"a header that is not UTF-8", "a,\xff\n1,2\n", nil, `header: column 2: name "\xff" is not UTF-8`},
		{"missing columns, all of them named", "x,y\n1,2\n", ints, `no column "a" in the header; it has "x", "y"; no column "b" in the header; it has "x", "y"`},
		{"a short line", "a,b\n1,2\n3\n", nil,
			`line 3: 1 fields, the header has 2; the line is "3": the file may be truncated, or a field with ',' in it unquoted`},
		{"a long line", "a,b\n1,2,3\n", nil,
			`line 2: 3 fields, the header has 2; the line is "1,2,3": the file may be truncated, or a field with ',' in it unquoted`},
		{"values of another kind, all of them told", "a,b\n1,2\nx,2\n\n3,y\n", ints,
			`line 3, column "a": "x" is no int64` + remedy + `; line 5, column "b": "y" is no float64` + remedy},
		{"a fraction in an int64", "a,b\n1.5,2\n", ints, `line 2, column "a": "1.5" is no int64` + remedy},
		{"lines after a quoted newline", "s,a,b\n\"x\ny\",1,2\nz,q,2\n", ints, `line 4, column "a": "q" is no int64` + remedy},
		{"text that is not UTF-8", "a,b\n1,\"caf\xe9\"\n", nil, `line 2, column "b": "caf\xe9" is not UTF-8; convert the file first`},
		{"a missing quote", "a,b\n1,\"x\n2,y\n", nil,
			"line 3, byte 5: a quote is missing or stands alone in the field that starts in line 2; double a quote inside a quoted field, and see whether the file is truncated"},
		{"a stray quote", "a,b\n1,x\"y\n", nil, "line 2, byte 4: a quote inside a field that is not quoted; quote the whole field and double the quote"},
		{"too many rows", "a,b\n1,2\n1,2\n", &frame.CSVOptions{MaxRows: 1}, "line 3: more than the limit of 1 rows (CSVOptions.MaxRows)"},
		{"too many bytes", "a,b\n1,2\n1,2\n", &frame.CSVOptions{MaxBytes: 10}, "after 0 rows: the file is longer than the limit of 10 bytes (CSVOptions.MaxBytes)"},
		{"a long field", "a,b\n1,abcdef\n", &frame.CSVOptions{MaxField: 5},
			`line 2, column "b": a field of 6 bytes, starting "abcdef": the limit is 5 (CSVOptions.MaxField); a quote may be missing`},
		{"an odd separator", "a", &frame.CSVOptions{Comma: '"'}, `options: '"' cannot separate fields`},
		{"a wrong schema", "a", &frame.CSVOptions{Schema: frame.Schema{{}}}, `options: column 1 has no name; column "": unknown kind ""; the kinds are float64, int64, bool, string and time`},
		{"problems before the end of reading", "a,b\nx,1\n1,\"2\n", ints,
			`line 2, column "a": "x" is no int64` + remedy + "; line 3, byte 6: a quote is missing or stands alone in the field that starts in line 3; double a quote inside a quoted field, and see whether the file is truncated"},
	} {
		t.Run(c.why, func(t *testing.T) {
			_, err := frame.ReadCSV(strings.NewReader(c.text), c.o)
			require.ErrorIs(t, err, fault.Invalid)
			require.EqualError(t, err, "frame: read CSV: "+c.want)
		})
	}
}

func TestReadCSVStopsAtTenProblems(t *testing.T) {
	_, err := frame.ReadCSV(strings.NewReader("a\n"+strings.Repeat("x\n", 100)), &frame.CSVOptions{Schema: frame.Schema{field("a", frame.Int64)}})
	require.ErrorIs(t, err, fault.Invalid)
	require.Equal(t, 10, strings.Count(err.Error(), "is no int64"))
	require.True(t, strings.HasSuffix(err.Error(), "reading stopped here"))
}

func TestReadCSVOfTruncatedGzip(t *testing.T) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err := w.Write(marketCSV(1000))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	r, err := gzip.NewReader(bytes.NewReader(packed.Bytes()[:packed.Len()/2]))
	require.NoError(t, err)
	_, err = frame.ReadCSV(r, nil)
	require.ErrorIs(t, err, fault.Invalid)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.ErrorContains(t, err, "rows: the file ends early")
}

func TestReadCSVOfFailingReader(t *testing.T) {
	broken := errors.New("the network is gone")
	_, err := frame.ReadCSV(io.MultiReader(strings.NewReader("a\n1\n2\n"), iotest.ErrReader(broken)), nil)
	require.ErrorIs(t, err, broken)
	require.ErrorIs(t, err, fault.Unavailable)
	require.EqualError(t, err, "frame: read CSV: after 2 rows: the network is gone")
}

// endless is a field that never ends.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	e.read += len(p)
	return len(p), nil
}

func TestMissingQuoteDoesNotSwallowTheFile(t *testing.T) {
	for _, head := range []string{"a,b\n1,\"", "\"a,b"} {
		rest := &endless{}
		_, err := frame.ReadCSV(io.MultiReader(strings.NewReader(head), rest), &frame.CSVOptions{MaxField: 1000})
		require.ErrorIs(t, err, fault.Invalid)
		require.ErrorContains(t, err, "a quote may be missing")
		require.Less(t, rest.read, 1<<20)
	}
}

func TestWrittenCSVReadsBack(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	for i := range 100 {
		schema := allKinds
		if i%4 == 0 {
			schema = frame.Schema{allKinds[i/4%5]} // a lone column: a null is a line of its own
		}
		table := mustRows(t, schema, randomRows(rng, schema, rng.IntN(30)))
		for _, o := range []frame.CSVOptions{{}, {Comma: ';'}, {Null: "NULL"}, {Null: "a \"b\"", Comma: '\t'}} {
			var b bytes.Buffer
			require.NoError(t, table.WriteCSV(&b, &o))
			o.Schema = schema
			back, err := frame.ReadCSV(&b, &o)
			require.NoError(t, err)
			require.Equal(t, table.Digest(), back.Digest(), "%s", b.String())
		}
	}
}

func TestWriteCSV(t *testing.T) {
	table := read(t, "at,x,s,b,i\n1996-05-07T10:00:00+10:00,0.1,\"a,\"\"b\",true,1\n,,,,\n", nil)
	var b bytes.Buffer
	require.NoError(t, table.WriteCSV(&b, nil))
	require.Equal(t, "at,x,s,b,i\n1996-05-07T00:00:00.000Z,0.1,\"a,\"\"b\",true,1\n,,,,\n", b.String())

	far := mustRows(t, allKinds[4:], []frame.Row{{Values: []frame.Value{frame.TimeValue(1 << 60)}}})
	b.Reset()
	require.NoError(t, far.WriteCSV(&b, nil))
	require.Equal(t, "t\n1152921504606846976\n", b.String(), "a year beyond 9999")

	empty := mustRows(t, allKinds[3:4], []frame.Row{{Values: []frame.Value{frame.StringValue("")}}})
	err := empty.WriteCSV(&b, nil)
	require.ErrorIs(t, err, fault.Invalid)
	require.EqualError(t, err, `frame: write CSV: row 0, column "s": the text "" would read back as null; set CSVOptions.Null to a text that does not occur`)
	require.NoError(t, empty.WriteCSV(&b, &frame.CSVOptions{Null: "NA"}))

	require.ErrorIs(t, table.WriteCSV(&b, &frame.CSVOptions{Comma: '\n'}), fault.Invalid)
}

// full is a disk with room for some bytes.
type full struct{ room int }

var errFull = errors.New("no space left on device")

func (f *full) Write(p []byte) (int, error) {
	if f.room -= len(p); f.room < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestWriteCSVToFullDisk(t *testing.T) {
	table := read(t, string(marketCSV(5000)), nil)
	for _, room := range []int{0, 100, 200_000} {
		err := table.WriteCSV(&full{room}, nil)
		require.ErrorIs(t, err, errFull)
		require.ErrorIs(t, err, fault.Unavailable)
	}
	lone, err := table.Select("price")
	require.NoError(t, err)
	require.ErrorIs(t, lone.WriteCSV(&full{10}, nil), fault.Unavailable)
}

func TestReadCSVAcrossBatches(t *testing.T) {
	var b strings.Builder
	b.WriteString("i,s\n")
	for i := range 140_000 {
		b.WriteString(strconv.Itoa(i))
		if i == 139_999 {
			b.WriteString(".5") // the last row of the last batch decides
		}
		b.WriteString(",t\n")
	}
	table := read(t, b.String(), nil)
	require.Equal(t, frame.Float64, table.Schema()[0].Kind)
	require.Len(t, table.Records(), 3)
	require.Equal(t, 65_536.0, table.Value(65_536, 0).Float())
	require.Equal(t, 139_999.5, table.Value(139_999, 0).Float())
}

func FuzzReadCSV(f *testing.F) {
	for _, text := range []string{
		"a,b\n1,x\n2.5,\n", "a\n\"\"\n", "\xef\xbb\xbfat\n1996-05-07\n", "a,b\n1,\"x\ny\"\n", "a,b\n1\n", "a;b\ntrue;-0\n", "a\n0x1p-2\n", string(marketCSV(3)),
	} {
		f.Add(text, ",", "")
		f.Add(text, ";", "NA")
	}
	f.Fuzz(func(t *testing.T, text, comma, null string) {
		o := frame.CSVOptions{Null: null}
		for _, c := range comma {
			o.Comma = c
		}
		table, err := frame.ReadCSV(strings.NewReader(text), &o)
		if err != nil {
			require.ErrorIs(t, err, fault.Invalid)
			return
		}
		var b bytes.Buffer
		if err := table.WriteCSV(&b, &o); err != nil {
			require.ErrorIs(t, err, fault.Invalid, "only a text that would read back as null may fail")
			return
		}
		o.Schema = table.Schema()
		back, err := frame.ReadCSV(&b, &o)
		require.NoError(t, err)
		require.Equal(t, table.Digest(), back.Digest())
	})
}
