package frame

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"math"

	"github.com/apache/arrow/go/v16/arrow"
)

// digestBlock is how many bytes are gathered before they are hashed.
const digestBlock = 64 << 10

// Digest returns the SHA-256, in hex, of the table's content: the columns'
// names and kinds, and every value. It does not depend on how the rows are cut
// into batches; all NaN count as one. It is computed once.
//
// What is hashed is "mlloop.frame/1\n", the numbers of columns and rows (each
// as a little-endian uint64), and then for each column its name and kind (each
// with its length before it as a uint64) and its values: byte 0 for a null, else
// byte 1 and the bits as a uint64, or the text with its length before it.
func (t *Table) Digest() string {
	t.digestOnce.Do(func() {
		d := digester{h: sha256.New(), buf: make([]byte, 0, digestBlock+16)}
		d.write("mlloop.frame/1\n")
		d.number(uint64(len(t.schema)))
		d.number(uint64(t.rows))
		for c, f := range t.schema {
			d.text(f.Name)
			d.text(string(f.Kind))
			for _, r := range t.records {
				d.column(r.Column(c))
			}
		}
		d.flush()
		t.digest = hex.EncodeToString(d.h.Sum(nil))
	})
	return t.digest
}

type digester struct {
	h   hash.Hash
	buf []byte
}

func (d *digester) column(col arrow.Array) {
	for i := range col.Len() {
		switch v := valueAt(col, i); v.kind {
		case Null:
			d.buf = append(d.buf, 0)
		case String:
			d.buf = append(d.buf, 1)
			d.text(v.text)
		case Float64:
			d.buf = append(d.buf, 1)
			if v.Float() != v.Float() {
				v = FloatValue(math.NaN())
			}
			d.number(v.bits)
		default:
			d.buf = append(d.buf, 1)
			d.number(v.bits)
		}
	}
}

func (d *digester) number(n uint64) {
	d.buf = binary.LittleEndian.AppendUint64(d.buf, n)
	if len(d.buf) >= digestBlock {
		d.flush()
	}
}

func (d *digester) text(s string) {
	d.number(uint64(len(s)))
	d.write(s)
}

func (d *digester) write(s string) {
	d.buf = append(d.buf, s...)
	if len(d.buf) >= digestBlock {
		d.flush()
	}
}

func (d *digester) flush() {
	_, _ = d.h.Write(d.buf) // a hash never fails
	d.buf = d.buf[:0]
}
