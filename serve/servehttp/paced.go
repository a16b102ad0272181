package servehttp

import (
	"net/http"
	"time"
)

// pacedWriter gives the client a deadline for taking each part of an answer, so
// that one which does not read holds neither goroutine nor connection, and a
// long answer on a slow link arrives.
type pacedWriter struct {
	http.ResponseWriter
	ctl   http.ResponseController
	stall time.Duration
	set   bool // a deadline
	off   bool // the ResponseWriter knows no deadlines
}

func newPacedWriter(w http.ResponseWriter, stall time.Duration) *pacedWriter {
	return &pacedWriter{ResponseWriter: w, ctl: *http.NewResponseController(w), stall: stall, off: stall < 0}
}

// Unwrap lets http.ResponseController find what is below.
func (w *pacedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// partSize is how many bytes a client must take in one stall.
const partSize = 32 << 10

// Write implements io.Writer.
func (w *pacedWriter) Write(b []byte) (int, error) {
	written := 0
	for {
		if !w.off {
			w.off = w.ctl.SetWriteDeadline(time.Now().Add(w.stall)) != nil
			w.set = !w.off
		}
		n, err := w.ResponseWriter.Write(b[written:min(written+partSize, len(b))])
		if written += n; err != nil || written == len(b) {
			return written, err
		}
	}
}

// finish sends what is buffered and lifts the deadline, which would otherwise
// hold for later answers on the same connection, also of other handlers.
func (w *pacedWriter) finish() {
	if w.set {
		_ = w.ctl.Flush() // a client that is gone cannot be told
		_ = w.ctl.SetWriteDeadline(time.Time{})
	}
}
