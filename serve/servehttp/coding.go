package servehttp

import (
	"bufio"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/mlloop/mlloop/internal/fault"
)

// coding is what was done to a body before it was sent (RFC 9110 §8.4.1).
type coding string

const (
	identity coding = "identity"
	gzipped  coding = "gzip"
	deflated coding = "deflate" // in the zlib format
)

// acceptEncoding lists the codings that are taken, for answers with status 415
// (RFC 9110 §12.5.3).
const acceptEncoding = "gzip, deflate, identity"

// contentCoding returns the coding of a request's body. Codings upon one
// another are refused: no client of the protocol sends them, and each multiplies
// what a small body may unpack to. Errors: status 415.
func contentCoding(h http.Header) (coding, error) {
	found := identity
	for _, line := range h.Values("Content-Encoding") {
		for name := range strings.SplitSeq(line, ",") {
			var c coding
			switch strings.ToLower(strings.Trim(name, " \t")) {
			case "", "identity":
				continue
			case "gzip", "x-gzip": // RFC 9110 §8.4.1.3: the same
				c = gzipped
			case "deflate":
				c = deflated
			}
			if c == "" || found != identity {
				return "", &codeError{http.StatusUnsupportedMediaType,
					fmt.Errorf("Content-Encoding %q is not taken: pack the body once, by gzip or deflate, or not at all", strings.Join(h.Values("Content-Encoding"), ", "))}
			}
			found = c
		}
	}
	return found, nil
}

// unpack undoes a coding.
func unpack(c coding, body io.Reader) (io.Reader, error) {
	switch c {
	case gzipped:
		return gzip.NewReader(body) // to the end of the body: what follows a stream is another one
	case deflated:
		packed := bufio.NewReader(body)
		plain, err := zlib.NewReader(packed)
		return &deflateReader{plain, packed}, err
	}
	return body, nil
}

// deflateReader reads a zlib stream that is the whole body.
type deflateReader struct {
	plain  io.Reader
	packed *bufio.Reader // read by plain byte by byte, no further than the stream
}

// Read implements io.Reader.
func (d *deflateReader) Read(p []byte) (int, error) {
	n, err := d.plain.Read(p)
	if err != io.EOF {
		return n, err
	}
	if _, end := d.packed.ReadByte(); end != io.EOF {
		if end != nil {
			return n, end
		}
		return n, fault.Errorf(fault.Invalid, "something follows the deflate stream")
	}
	return n, io.EOF
}
