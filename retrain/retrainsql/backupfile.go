package retrainsql

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash"
	"io"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/sqlstore"
)

// backupFormat is the version of a backup's files.
const backupFormat = 1

// A backup is a folder of these.
const (
	manifestFile   = "manifest.json" // written last: without it the backup was cut short
	rowsFile       = "rows.jsonl.gz"
	artifactFolder = "artifacts" // an artifact.Dir
)

// manifest is what a backup consists of.
type manifest struct {
	Format    int              `json:"format"`
	TakenAt   time.Time        `json:"taken_at"`
	Dialect   sqlstore.Dialect `json:"dialect"` // of the database that it was taken of
	Schemas   map[string]int   `json:"schemas"` // how many migrations each store's tables had
	Tables    []tableSum       `json:"tables"`
	Artifacts int64            `json:"artifacts"`
	Bytes     int64            `json:"bytes"`       // of the artifacts
	Missing   []string         `json:"missing"`     // named artifacts that the store did not have, or had damaged
	Heads     []registry.Head  `json:"heads"`       // of every model's audit trail
	Rows      string           `json:"rows_sha256"` // of the file of rows
}

// tableSum is a table's content in brief. Sum does not depend on the order of
// the rows: it is the sum, modulo 2^256, of the SHA-256 of their lines.
type tableSum struct {
	Name string `json:"name"` // without the prefix
	Rows int64  `json:"rows"`
	Sum  string `json:"sum"`
	Last int64  `json:"last,omitempty"` // the last number that the database drew for the table's key
}

// lineHead is a line of the file of rows that is no row: it begins a table, an
// artifact stands for itself, and the end comes last.
type lineHead struct {
	Table    string   `json:"table,omitempty"`
	Columns  []string `json:"columns,omitempty"`
	Artifact string   `json:"artifact,omitempty"`
	Size     int64    `json:"size,omitempty"`
	End      bool     `json:"end,omitempty"`
}

// adder sums the lines of a table.
type adder struct {
	rows int64
	sum  [sha256.Size]byte
}

func (a *adder) add(line []byte) {
	h := sha256.Sum256(line)
	carry := uint(0)
	for i := len(h) - 1; i >= 0; i-- {
		n := uint(a.sum[i]) + uint(h[i]) + carry
		a.sum[i], carry = byte(n), n>>8
	}
	a.rows++
}

func (a *adder) total() (rows int64, sum string) { return a.rows, hex.EncodeToString(a.sum[:]) }

// lineWriter writes the file of rows.
type lineWriter struct {
	hash hash.Hash
	out  *bufio.Writer
	zip  *gzip.Writer
	line []byte
}

func newLineWriter(w io.Writer) *lineWriter {
	l := &lineWriter{hash: sha256.New()}
	l.out = bufio.NewWriterSize(io.MultiWriter(w, l.hash), 1<<20)
	l.zip, _ = gzip.NewWriterLevel(l.out, gzip.BestSpeed) // the level is a known one
	return l
}

func (l *lineWriter) head(h lineHead) error {
	text, err := json.Marshal(h)
	if err != nil {
		return err
	}
	_, err = l.zip.Write(append(text, '\n'))
	return err
}

// row writes a row and returns its line, which is valid until the next one.
func (l *lineWriter) row(values []any) (line []byte, err error) {
	if l.line, err = appendRow(l.line[:0], values); err != nil {
		return nil, err
	}
	_, err = l.zip.Write(l.line)
	return l.line, err
}

// close ends the file and returns its SHA-256.
func (l *lineWriter) close() (string, error) {
	err := errors.Join(l.head(lineHead{End: true}), l.zip.Close(), l.out.Flush())
	return hex.EncodeToString(l.hash.Sum(nil)), err
}

// mostLine bounds a line: a database's value holds at most 1 GB.
const mostLine = 2 << 30

// lineReader reads the file of rows.
type lineReader struct {
	in    *bufio.Reader
	heads bool // rows are passed over
}

func newLineReader(r io.Reader) (*lineReader, error) {
	zip, err := gzip.NewReader(bufio.NewReaderSize(r, 1<<20))
	if err != nil {
		return nil, fault.Errorf(fault.Corrupt, "%s: %w", rowsFile, err)
	}
	return &lineReader{in: bufio.NewReaderSize(zip, 1<<20)}, nil
}

// next returns the next line: a row, or a head when there is none. It is never
// called after the end. Errors: Corrupt.
func (l *lineReader) next() (row []any, head lineHead, err error) {
	line, err := l.line()
	for err == nil && l.heads && line[0] == '[' {
		line, err = l.line()
	}
	if err != nil {
		return nil, head, fault.Errorf(fault.Corrupt, "%s: %w", rowsFile, err)
	}
	if line[0] == '[' {
		row, err = parseRow(line)
		return row, head, err
	}
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&head); err != nil {
		return nil, head, fault.Errorf(fault.Corrupt, "%s: %w", rowsFile, err)
	}
	if head.Table == "" && head.Artifact == "" && !head.End {
		return nil, head, fault.Errorf(fault.Corrupt, "%s: a line says nothing", rowsFile)
	}
	return nil, head, nil
}

// line returns a line that is not empty.
func (l *lineReader) line() (line []byte, err error) {
	for {
		part, err := l.in.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case err == io.EOF:
			return nil, io.ErrUnexpectedEOF // what ends well ends with a line that says so
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		case len(line) > mostLine:
			return nil, errors.New("a line is too long")
		case err == nil && len(line) > 1:
			return line, nil
		case err == nil:
			return nil, errors.New("a line is empty")
		}
	}
}
