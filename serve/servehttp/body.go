package servehttp

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/mlloop/mlloop/internal/fault"
)

// bodies holds buffers between requests.
type bodies struct{ pool sync.Pool }

func (b *bodies) get() *bytes.Buffer {
	if buf, ok := b.pool.Get().(*bytes.Buffer); ok {
		buf.Reset()
		return buf
	}
	return &bytes.Buffer{}
}

func (b *bodies) put(buf *bytes.Buffer) {
	if buf.Cap() <= maxKept {
		b.pool.Put(buf)
	}
}

// trusted is how much of a stated Content-Length is allocated at once.
const trusted = 1 << 20

// read reads a request's body, unpacked, into buf.
func (h *Handler) read(w http.ResponseWriter, r *http.Request, buf *bytes.Buffer) error {
	if r.ContentLength > 0 {
		buf.Grow(int(min(r.ContentLength, trusted)) + bytes.MinRead)
	}
	limited := http.MaxBytesReader(w, r.Body, h.opts.MaxBodyBytes)
	body, err := unpack(r.Header.Get("Content-Encoding"), limited)
	if err == nil {
		// What is unpacked may be far larger than what is sent: it has the same limit.
		_, err = buf.ReadFrom(io.LimitReader(body, h.opts.MaxBodyBytes+1))
	}
	if err == nil && int64(buf.Len()) > h.opts.MaxBodyBytes {
		err = &http.MaxBytesError{Limit: h.opts.MaxBodyBytes}
	}
	if err == nil {
		return nil
	}
	if status(err) == http.StatusRequestEntityTooLarge {
		return fmt.Errorf("the body is larger than %d bytes: send the rows in parts (%w)", h.opts.MaxBodyBytes, err)
	}
	return fault.Errorf(fault.Invalid, "the body cannot be read: %w", err)
}

// unpack undoes a Content-Encoding; deflate is the zlib format (RFC 9110 §8.4.1.2).
func unpack(encoding string, body io.Reader) (io.Reader, error) {
	switch strings.ToLower(encoding) {
	case "", "identity":
		return body, nil
	case "gzip":
		return gzip.NewReader(body)
	case "deflate":
		return zlib.NewReader(body)
	}
	return nil, fmt.Errorf("Content-Encoding %q: use gzip, deflate or none", encoding)
}

// headerSize is the name of the header with the length of the JSON before binary tensors.
const headerSize = "Inference-Header-Content-Length"

// split parts a body into the JSON and the binary tensors.
func split(r *http.Request, body []byte) (header, tensors []byte, err error) {
	text := r.Header.Get(headerSize)
	if text == "" {
		return body, nil, nil
	}
	n, err := strconv.Atoi(text)
	switch {
	case err != nil || n < 0 || n > len(body):
		return nil, nil, fault.Errorf(fault.Invalid, "%s %q: want the length of the JSON, 0 to %d", headerSize, text, len(body))
	case n == 0:
		return nil, nil, fault.Errorf(fault.Unsupported, "%s is 0: send the JSON that names the inputs before the binary tensors", headerSize)
	}
	return body[:n], body[n:], nil
}
