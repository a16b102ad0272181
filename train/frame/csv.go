package frame

import (
	"encoding/csv"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/apache/arrow/go/v16/arrow"
	"github.com/apache/arrow/go/v16/arrow/array"

	"github.com/mlloop/mlloop/internal/fault"
)

// CSVOptions say how text stands for a table. Nil and the zero value read
// what RFC 4180 describes, with a header.
type CSVOptions struct {
	// Schema gives the columns to read, found by their names in the header; other
	// columns of the file are left out. Nil: all columns, each of the narrowest
	// kind that all its values have (Int64, Float64, Bool, Time, else String; a
	// column without values is Float64).
	Schema Schema
	// Comma separates fields. 0: ','.
	Comma rune
	// Null is the text of a null, in columns of every kind. Default: the empty field.
	Null string
	// MaxRows bounds the rows of the file. 0: no limit.
	MaxRows int
	// MaxBytes bounds the length of the file. 0: no limit.
	MaxBytes int64
	// MaxField bounds the bytes of one field, and with the number of columns those of
	// one line, so that a missing quote cannot swallow the file. 0: 1 MiB.
	MaxField int
}

func (o *CSVOptions) withDefaults() (CSVOptions, error) {
	var out CSVOptions
	if o != nil {
		out = *o
	}
	if out.Comma == 0 {
		out.Comma = ','
	}
	if out.MaxField <= 0 {
		out.MaxField = 1 << 20
	}
	if c := out.Comma; c == '"' || c == '\r' || c == '\n' || !utf8.ValidRune(c) || c == utf8.RuneError {
		return out, fault.Errorf(fault.Invalid, "%q cannot separate fields", c)
	}
	if out.Schema != nil {
		return out, out.Schema.Check()
	}
	return out, nil
}

// ReadCSV reads a table from UTF-8 CSV whose first line names the columns. A
// byte-order mark is skipped; unpack a gzip file first.
//
// Numbers are decimal, bools true or false (with a Schema also 1 or 0), times
// RFC 3339, with a space for the T, without seconds or without a time of day as
// well, in UTC where they name no zone, cut to milliseconds (with a Schema also
// milliseconds since 1970). Spaces around them do not count.
//
// The file is read as a stream. Besides the table itself only the text of the
// columns being inferred is held, once and in Arrow's form, until their kinds
// are known; with a Schema, none.
//
// Errors: Invalid for a missing, repeated or nameless column, a line of another
// length than the header, a value that is not of its column's kind, a stray or
// missing quote, text that is not UTF-8, an exceeded limit, and a file that ends
// early; up to ten problems are told at once, each with its line and column.
// Unavailable when r fails.
func ReadCSV(r io.Reader, opts *CSVOptions) (*Table, error) {
	o, err := opts.withDefaults()
	if err != nil {
		return nil, fault.Errorf(fault.Invalid, "frame: read CSV: options: %w", err)
	}
	c := newCSVReader(r, o)
	if err := c.readHeader(); err != nil {
		return nil, fault.Errorf(fault.Kind(err), "frame: read CSV: %w", err)
	}
	t, err := c.readRows()
	if err != nil {
		return nil, fault.Errorf(fault.Kind(err), "frame: read CSV: %w", err)
	}
	return t, nil
}

// csvReader is one ReadCSV.
type csvReader struct {
	opts     CSVOptions
	in       *csvGuard
	csv      *csv.Reader
	fields   int // in the header
	columns  []*csvColumn
	rows     int
	batch    []int // rows of each finished batch
	pending  int   // rows of the batch being built
	text     int64 // where in the file that batch started
	problems fault.Problems
}

const maxCSVProblems = 10

func newCSVReader(r io.Reader, opts CSVOptions) *csvReader {
	in := &csvGuard{r: r, maxBytes: opts.MaxBytes, maxLine: int64(opts.MaxField)}
	c := csv.NewReader(skipBOM(in))
	c.Comma = opts.Comma
	c.ReuseRecord = true
	c.FieldsPerRecord = -1 // counted here, to tell more
	return &csvReader{opts: opts, in: in, csv: c}
}

// readHeader matches the first line with the schema.
func (c *csvReader) readHeader() error {
	c.in.maxLine = int64(c.opts.MaxField) + csvBuffer
	header, err := c.csv.Read()
	if errors.Is(err, io.EOF) {
		return fault.Errorf(fault.Invalid, "the file is empty: its first line must name the columns")
	}
	if err != nil {
		return c.readError(err)
	}
	names := make(Schema, len(header)) // the kinds are set below
	for i, name := range header {
		names[i] = Field{Name: strings.Clone(name), Kind: String}
	}
	if err := names.Check(); err != nil {
		return fault.Errorf(fault.Invalid, "header: %w", err)
	}
	c.fields = len(header)
	c.in.maxLine = int64(c.opts.MaxField)*int64(c.fields) + csvBuffer
	if c.opts.Schema == nil {
		for i, f := range names {
			c.columns = append(c.columns, newCSVColumn(Field{Name: f.Name}, i))
		}
		return nil
	}
	var problems fault.Problems
	for _, f := range c.opts.Schema {
		at := names.Index(f.Name)
		if at < 0 {
			problems.Addf("no column %q in the header; it has %s", f.Name, names.names())
		}
		c.columns = append(c.columns, newCSVColumn(f, at))
	}
	return problems.Err()
}

func (c *csvReader) readRows() (*Table, error) {
	for {
		c.in.mark(c.csv.InputOffset())
		record, err := c.csv.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, c.withProblems(c.readError(err))
		}
		if c.opts.MaxRows > 0 && c.rows == c.opts.MaxRows {
			return nil, c.withProblems(fault.Errorf(fault.Invalid, "line %d: more than the limit of %d rows (CSVOptions.MaxRows)", c.line(), c.opts.MaxRows))
		}
		c.add(record)
		if len(c.problems) >= maxCSVProblems {
			c.problems.Addf("reading stopped here")
			return nil, c.problems.Err()
		}
	}
	if err := c.problems.Err(); err != nil {
		return nil, err
	}
	return c.table()
}

// add takes one line into the batch.
func (c *csvReader) add(record []string) {
	if len(record) != c.fields {
		c.problems.Addf("line %d: %d fields, the header has %d; the line is %q: the file may be truncated, or a field with %q in it unquoted",
			c.line(), len(record), c.fields, clip(strings.Join(record, string(c.opts.Comma))), c.opts.Comma)
		return
	}
	for _, col := range c.columns {
		text := record[col.at]
		if err := c.addField(col, text); err != nil {
			line, _ := c.csv.FieldPos(col.at)
			c.problems.Addf("line %d, column %q: %s", line, col.field.Name, err)
			col.build.AppendNull()
		}
	}
	c.rows++
	c.pending++
	if c.pending == batchRows || c.csv.InputOffset()-c.text >= batchText {
		c.flush()
	}
}

func (c *csvReader) addField(col *csvColumn, text string) error {
	if text == c.opts.Null {
		col.build.AppendNull()
		return nil
	}
	if len(text) > c.opts.MaxField {
		return fault.Errorf(fault.Invalid, "a field of %d bytes, starting %q: the limit is %d (CSVOptions.MaxField); a quote may be missing", len(text), clip(text), c.opts.MaxField)
	}
	return col.append(text)
}

func (c *csvReader) flush() {
	for _, col := range c.columns {
		col.done = append(col.done, col.build.NewArray())
	}
	c.batch = append(c.batch, c.pending)
	c.pending, c.text = 0, c.csv.InputOffset()
}

// table turns the finished columns into record batches of their final kinds.
func (c *csvReader) table() (*Table, error) {
	if c.pending > 0 {
		c.flush()
	}
	schema := make(Schema, len(c.columns))
	for i, col := range c.columns {
		if err := col.settle(); err != nil {
			return nil, err
		}
		schema[i] = col.field
	}
	as := schema.arrow()
	records := make([]arrow.Record, len(c.batch))
	for b, rows := range c.batch {
		arrays := make([]arrow.Array, len(c.columns))
		for i, col := range c.columns {
			arrays[i] = col.done[b]
		}
		records[b] = array.NewRecord(as, arrays, int64(rows))
	}
	return newTable(schema, records), nil
}

// line returns the line on which the last record starts.
func (c *csvReader) line() int {
	line, _ := c.csv.FieldPos(0)
	return line
}

// withProblems puts the problems found before in front of the one that ended reading.
func (c *csvReader) withProblems(last error) error {
	if len(c.problems) == 0 {
		return last
	}
	all := append(slices.Clone(c.problems), last.Error())
	return fault.Errorf(fault.Kind(last), "%s", strings.Join(all, "; "))
}

// readError says what ended reading and what to do.
func (c *csvReader) readError(err error) error {
	var parse *csv.ParseError
	var limit *csvLimitError
	switch {
	case errors.As(err, &limit):
		return fault.Errorf(fault.Invalid, "after %d rows: %s", c.rows, limit)
	case errors.As(err, &parse) && errors.Is(err, csv.ErrQuote):
		return fault.Errorf(fault.Invalid, "line %d, byte %d: a quote is missing or stands alone in the field that starts in line %d; double a quote inside a quoted field, and see whether the file is truncated",
			parse.Line, parse.Column, parse.StartLine)
	case errors.As(err, &parse) && errors.Is(err, csv.ErrBareQuote):
		return fault.Errorf(fault.Invalid, "line %d, byte %d: a quote inside a field that is not quoted; quote the whole field and double the quote", parse.Line, parse.Column)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fault.Errorf(fault.Invalid, "after %d rows: the file ends early (%w): it is truncated; fetch it again", c.rows, err)
	}
	return fault.Errorf(fault.Unavailable, "after %d rows: %w", c.rows, err)
}

// clip shortens a text for an error message.
func clip(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
