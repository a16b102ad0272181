package frame

import (
	"bufio"
	"fmt"
	"io"
)

// csvBuffer is how far the CSV reader reads ahead of the line it is in.
const csvBuffer = 64 << 10

// csvGuard stops a read that goes beyond the limits, before the text is held
// in memory.
type csvGuard struct {
	r        io.Reader
	maxBytes int64 // 0: none
	maxLine  int64 // bytes delivered since the line's start, read-ahead included
	read     int64
	start    int64 // of the line being read
}

// csvLimitError says which limit a file exceeds.
type csvLimitError struct{ text string }

func (e *csvLimitError) Error() string { return e.text }

// mark notes that a line starts at offset.
func (g *csvGuard) mark(offset int64) { g.start = offset }

func (g *csvGuard) Read(p []byte) (int, error) {
	n, err := g.r.Read(p)
	g.read += int64(n)
	if g.maxBytes > 0 && g.read > g.maxBytes {
		return 0, &csvLimitError{fmt.Sprintf("the file is longer than the limit of %d bytes (CSVOptions.MaxBytes)", g.maxBytes)}
	}
	if g.read-g.start > g.maxLine+csvBuffer {
		return 0, &csvLimitError{fmt.Sprintf("a line of more than %d bytes (CSVOptions.MaxField for each column); a quote may be missing", g.maxLine)}
	}
	return n, err
}

// skipBOM returns a buffered reader behind UTF-8 byte-order marks.
func skipBOM(r io.Reader) *bufio.Reader {
	b := bufio.NewReaderSize(r, csvBuffer)
	for {
		if lead, err := b.Peek(3); err != nil || string(lead) != "\xef\xbb\xbf" {
			return b
		}
		_, _ = b.Discard(3) // they are in the buffer
	}
}
