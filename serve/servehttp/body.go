package servehttp

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
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

// read reads a request's body, unpacked, into buf.
func (h *Handler) read(w http.ResponseWriter, r *http.Request, buf *bytes.Buffer) error {
	err := h.fill(w, r, buf)
	switch {
	case err == nil:
		return nil
	case status(err) == http.StatusRequestEntityTooLarge:
		return fmt.Errorf("the body is larger than %d bytes: send the rows in parts (%w)", h.opts.MaxBodyBytes, err)
	case status(err) == http.StatusUnsupportedMediaType:
		w.Header().Set("Accept-Encoding", acceptEncoding)
		return err
	case tooSlow(err):
		return &codeError{http.StatusRequestTimeout, fmt.Errorf("the body stopped after %d bytes: it may pause for %v and must come at %d bytes a second (%w)",
			buf.Len(), h.pace.stall, h.pace.rate, err)}
	}
	return fault.Errorf(fault.Invalid, "the body cannot be read: %w", err)
}

func (h *Handler) fill(w http.ResponseWriter, r *http.Request, buf *bytes.Buffer) error {
	most := h.opts.MaxBodyBytes
	if r.ContentLength > most {
		return &http.MaxBytesError{Limit: most}
	}
	coding, err := contentCoding(r.Header)
	if err != nil {
		return err
	}
	if below, ok := w.(interface{ Unwrap() http.ResponseWriter }); ok {
		w = below.Unwrap() // net/http's own, which closes the connection behind a body that is too large
	}
	limited := http.MaxBytesReader(w, r.Body, most)
	body, err := unpack(coding, limited)
	if err != nil {
		return err
	}
	size := r.ContentLength
	if coding != identity {
		size = -1
	}
	// What is unpacked may be far larger than what is sent: it has the same limit.
	if err := fillBuffer(buf, io.LimitReader(body, most+1), size, most); err != nil {
		return err
	}
	if int64(buf.Len()) > most {
		return &http.MaxBytesError{Limit: most}
	}
	return nil
}

// trusted is how much of a stated Content-Length is allocated at once.
const trusted = 1 << 20

// fillBuffer reads all of a body of size bytes, -1 when that is not known, into
// buf. A stated size is believed up to eight times what has come, so that a
// large body is copied little and one that is only promised costs little.
func fillBuffer(buf *bytes.Buffer, from io.Reader, size, most int64) error {
	for {
		if buf.Available() == 0 {
			room := min(max(2*int64(buf.Cap()), bytes.MinRead), most+bytes.MinRead)
			if size >= 0 {
				// One byte more than the body, to see its end.
				room = min(size+1, max(8*int64(buf.Cap()), trusted))
			}
			bigger := bytes.NewBuffer(make([]byte, 0, max(room, int64(buf.Len())+bytes.MinRead)))
			bigger.Write(buf.Bytes())
			*buf = *bigger
		}
		free := buf.AvailableBuffer()
		n, err := from.Read(free[:cap(free)])
		buf.Write(free[:n])
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
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
