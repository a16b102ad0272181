package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/mlloop/mlloop/internal/fault"
)

// MaxHeader is the longest header that is read or written, in bytes: the limit
// of the reference implementation.
const MaxHeader = 100_000_000

// metadataKey is the header's key for File.Metadata; no tensor can have this name.
const metadataKey = "__metadata__"

// File is what a safetensors file holds.
type File struct {
	Tensors  map[string]Tensor
	Metadata map[string]string // free strings about the file; may be nil
}

// entry is a tensor's description in the header.
type entry struct {
	Dtype   Dtype    `json:"dtype"`
	Shape   []int64  `json:"shape"`
	Offsets [2]int64 `json:"data_offsets"` // begin and end in the bytes after the header
}

// Encode returns the file's bytes. The order is that of the reference
// implementation (element types from the widest down, then names), so that
// equal files give equal bytes. Errors: Invalid, listing every tensor whose data
// does not fit its shape and every name or metadata that is not UTF-8.
func Encode(f File) ([]byte, error) {
	if err := f.check(); err != nil {
		return nil, fault.Errorf(fault.Invalid, "safetensors: encode: %w", err)
	}
	names := slices.SortedFunc(maps.Keys(f.Tensors), func(a, b string) int {
		return cmp.Or(cmp.Compare(f.Tensors[b].Dtype.rank(), f.Tensors[a].Dtype.rank()), cmp.Compare(a, b))
	})
	header, err := f.header(names)
	if err != nil {
		return nil, fault.Errorf(fault.Invalid, "safetensors: encode: %w", err)
	}
	if len(header) > MaxHeader {
		return nil, fault.Errorf(fault.Invalid, "safetensors: encode: the header takes %d bytes, the format allows %d", len(header), MaxHeader)
	}
	out := make([]byte, 8, 8+len(header)+f.size())
	binary.LittleEndian.PutUint64(out, uint64(len(header)))
	out = append(out, header...)
	for _, name := range names {
		out = append(out, f.Tensors[name].Data...)
	}
	return out, nil
}

func (f File) check() error {
	var problems fault.Problems
	for _, name := range slices.Sorted(maps.Keys(f.Tensors)) {
		if name == metadataKey || !utf8.ValidString(name) {
			problems.Addf("tensor %q: no tensor can have this name", name)
		}
		if err := f.Tensors[name].check(); err != nil {
			problems.Addf("tensor %q: %v", name, err)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(f.Metadata)) {
		if !utf8.ValidString(key) || !utf8.ValidString(f.Metadata[key]) {
			problems.Addf("metadata %q is not UTF-8", key)
		}
	}
	return problems.Err()
}

// header returns the JSON, padded so that the elements begin at a multiple of eight.
func (f File) header(names []string) ([]byte, error) {
	var buf bytes.Buffer
	buf.WriteByte('{')
	if len(f.Metadata) > 0 {
		if err := appendMember(&buf, metadataKey, f.Metadata); err != nil {
			return nil, err
		}
	}
	var at int64
	for _, name := range names {
		t := f.Tensors[name]
		e := entry{Dtype: t.Dtype, Shape: t.Shape, Offsets: [2]int64{at, at + int64(len(t.Data))}}
		if e.Shape == nil {
			e.Shape = []int64{} // a scalar is [], not null
		}
		at = e.Offsets[1]
		if err := appendMember(&buf, name, e); err != nil {
			return nil, err
		}
	}
	buf.WriteByte('}')
	for buf.Len()%8 != 0 {
		buf.WriteByte(' ')
	}
	return buf.Bytes(), nil
}

// appendMember adds "key":value to an object that has been begun.
func appendMember(buf *bytes.Buffer, key string, value any) error {
	if buf.Len() > 1 {
		buf.WriteByte(',')
	}
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(key); err != nil {
		return err
	}
	buf.Truncate(buf.Len() - 1) // Encode ends with a line feed
	buf.WriteByte(':')
	if err := enc.Encode(value); err != nil {
		return err
	}
	buf.Truncate(buf.Len() - 1)
	return nil
}

func (f File) size() int {
	n := 0
	for _, t := range f.Tensors {
		n += len(t.Data)
	}
	return n
}
