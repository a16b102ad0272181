package frame

import (
	"bufio"
	"encoding/csv"
	"io"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
)

// WriteCSV writes the table as CSV with a header, so that ReadCSV with the same
// options and t.Schema() gives an equal table: floats in the shortest form that
// reads back to them, times as RFC 3339 in UTC with milliseconds. Of the options
// Comma and Null count. (A carriage return before a newline inside text does not
// survive reading.)
//
// Errors: Invalid for a text that would read back as null (an empty one, unless
// Null says otherwise); Unavailable when w fails.
func (t *Table) WriteCSV(w io.Writer, opts *CSVOptions) error {
	o, err := opts.withDefaults()
	if err != nil {
		return fault.Errorf(fault.Invalid, "frame: write CSV: options: %w", err)
	}
	c := newCSVWriter(w, o)
	record := make([]string, len(t.schema))
	for i, f := range t.schema {
		record[i] = f.Name
	}
	if err := c.write(record); err != nil {
		return fault.Errorf(fault.Unavailable, "frame: write CSV: header: %w", err)
	}
	for i, row := range t.Rows(0, t.rows) {
		for j, v := range row.Values {
			text, ok := c.text(v)
			if !ok {
				return fault.Errorf(fault.Invalid, "frame: write CSV: row %d, column %q: the text %q would read back as null; set CSVOptions.Null to a text that does not occur", i, t.schema[j].Name, text)
			}
			record[j] = text
		}
		if err := c.write(record); err != nil {
			return fault.Errorf(fault.Unavailable, "frame: write CSV: row %d: %w", i, err)
		}
	}
	if err := c.flush(); err != nil {
		return fault.Errorf(fault.Unavailable, "frame: write CSV: %w", err)
	}
	return nil
}

type csvWriter struct {
	buf  *bufio.Writer
	csv  *csv.Writer // into buf
	null string
}

func newCSVWriter(w io.Writer, opts CSVOptions) *csvWriter {
	buf := bufio.NewWriterSize(w, csvBuffer)
	c := csv.NewWriter(buf)
	c.Comma = opts.Comma
	return &csvWriter{buf: buf, csv: c, null: opts.Null}
}

// text returns a value's field; not ok when it would be mistaken for a null.
func (c *csvWriter) text(v Value) (text string, ok bool) {
	switch v.kind {
	case Null:
		return c.null, true
	case Time:
		text = timeText(v.Int())
	default:
		text = v.Text()
	}
	return text, text != c.null
}

// write writes one line. A lone empty field is quoted, since a reader skips empty lines.
func (c *csvWriter) write(record []string) error {
	if len(record) == 1 && record[0] == "" {
		c.csv.Flush()
		_, err := c.buf.WriteString("\"\"\n")
		return err
	}
	return c.csv.Write(record)
}

func (c *csvWriter) flush() error {
	c.csv.Flush()
	if err := c.csv.Error(); err != nil {
		return err
	}
	return c.buf.Flush()
}

// timeText writes a time as RFC 3339, or as milliseconds where its year has not four digits.
func timeText(ms int64) string {
	t := time.UnixMilli(ms).UTC()
	if y := t.Year(); y < 0 || y > 9999 {
		return TimeValue(ms).Text()
	}
	return t.Format("2006-01-02T15:04:05.000Z")
}
