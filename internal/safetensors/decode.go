package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/mlloop/mlloop/internal/fault"
)

// Decode reads a file's bytes. The tensors share memory with data, which must
// not be changed while they are in use. What the file claims is checked before
// anything is allocated for it. Errors: Corrupt, saying what breaks the format;
// Unsupported for an element type that this release does not know.
func Decode(data []byte) (File, error) {
	f, err := decode(data)
	if err != nil {
		return File{}, fmt.Errorf("safetensors: decode: %w", err)
	}
	return f, nil
}

func decode(data []byte) (File, error) {
	if len(data) < 8 {
		return File{}, fault.Errorf(fault.Corrupt, "%d bytes are too few for a safetensors file", len(data))
	}
	n := binary.LittleEndian.Uint64(data)
	switch {
	case n > MaxHeader:
		return File{}, fault.Errorf(fault.Corrupt, "the header claims %d bytes, the format allows %d", n, MaxHeader)
	case n > uint64(len(data)-8):
		return File{}, fault.Errorf(fault.Corrupt, "the header claims %d bytes, the file has %d after its first 8: it was cut short", n, len(data)-8)
	}
	metadata, entries, err := parseHeader(data[8 : 8+n])
	if err != nil {
		return File{}, err
	}
	tensors, err := place(entries, data[8+n:])
	if err != nil {
		return File{}, err
	}
	return File{Tensors: tensors, Metadata: metadata}, nil
}

type namedEntry struct {
	name string
	entry
}

func parseHeader(header []byte) (map[string]string, []namedEntry, error) {
	if len(header) == 0 || header[0] != '{' || !utf8.Valid(header) {
		return nil, nil, fault.Errorf(fault.Corrupt, "the header is not a JSON object in UTF-8")
	}
	var metadata map[string]string
	var entries []namedEntry
	dec := json.NewDecoder(bytes.NewReader(header))
	dec.UseNumber()
	err := eachMember(dec, func(name string) error {
		if name == metadataKey {
			metadata = map[string]string{}
			return eachMember(dec, func(key string) error {
				value, err := stringValue(dec)
				metadata[key] = value
				return err
			})
		}
		e, err := parseEntry(dec)
		entries = append(entries, namedEntry{name, e})
		if err != nil {
			return fault.Errorf(fault.Corrupt, "tensor %q: %w", name, err)
		}
		return nil
	})
	if err != nil {
		return nil, nil, fault.Errorf(fault.Corrupt, "the header: %w", err)
	}
	if rest := bytes.Trim(header[dec.InputOffset():], " \t\r\n"); len(rest) > 0 {
		return nil, nil, fault.Errorf(fault.Corrupt, "the header goes on after its JSON object")
	}
	return metadata, entries, nil
}

func parseEntry(dec *json.Decoder) (entry, error) {
	var e entry
	seen := 0
	err := eachMember(dec, func(key string) error {
		seen++
		switch key {
		case "dtype":
			s, err := stringValue(dec)
			e.Dtype = Dtype(s)
			return err
		case "shape":
			var err error
			e.Shape, err = intValues(dec)
			return err
		case "data_offsets":
			offsets, err := intValues(dec)
			if err == nil && len(offsets) != 2 {
				return fault.Errorf(fault.Corrupt, "data_offsets has %d numbers, not 2", len(offsets))
			}
			copy(e.Offsets[:], offsets)
			return err
		}
		return fault.Errorf(fault.Corrupt, "unknown key %q", key)
	})
	if err == nil && seen != 3 {
		return e, fault.Errorf(fault.Corrupt, "dtype, shape or data_offsets is missing")
	}
	return e, err
}

// eachMember calls value at each member of an object, with the decoder before
// the member's value. A key that comes twice is an error: readers that take the
// first and readers that take the last would see different files.
func eachMember(dec *json.Decoder, value func(key string) error) error {
	if err := delim(dec, '{'); err != nil {
		return err
	}
	seen := map[string]bool{}
	for dec.More() {
		key, err := stringValue(dec)
		if err != nil {
			return err
		}
		if seen[key] {
			return fault.Errorf(fault.Corrupt, "key %q comes twice", key)
		}
		seen[key] = true
		if err := value(key); err != nil {
			return err
		}
	}
	return delim(dec, '}')
}

func delim(dec *json.Decoder, want json.Delim) error {
	token, err := dec.Token()
	if err != nil {
		return err
	}
	if token != want {
		return fault.Errorf(fault.Corrupt, "%v where %v belongs", token, want)
	}
	return nil
}

func stringValue(dec *json.Decoder) (string, error) {
	token, err := dec.Token()
	if err != nil {
		return "", err
	}
	s, ok := token.(string)
	if !ok {
		return "", fault.Errorf(fault.Corrupt, "%v where a string belongs", token)
	}
	return s, nil
}

// intValues reads an array of integers that are not negative.
func intValues(dec *json.Decoder) ([]int64, error) {
	if err := delim(dec, '['); err != nil {
		return nil, err
	}
	values := []int64{}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return nil, err
		}
		number, _ := token.(json.Number)
		value, err := strconv.ParseInt(number.String(), 10, 64)
		if err != nil || value < 0 {
			return nil, fault.Errorf(fault.Corrupt, "%v where an integer of at least 0 belongs", token)
		}
		values = append(values, value)
	}
	return values, delim(dec, ']')
}

// place cuts the elements up by the entries, which must tile them.
func place(entries []namedEntry, elements []byte) (map[string]Tensor, error) {
	slices.SortStableFunc(entries, func(a, b namedEntry) int {
		return cmp.Or(cmp.Compare(a.Offsets[0], b.Offsets[0]), cmp.Compare(a.Offsets[1], b.Offsets[1]))
	})
	tensors := make(map[string]Tensor, len(entries))
	var at int64
	for _, e := range entries {
		begin, end := e.Offsets[0], e.Offsets[1]
		size, err := byteSize(e.Dtype, e.Shape)
		switch {
		case errors.Is(err, fault.Unsupported):
			return nil, fault.Errorf(fault.Unsupported, "tensor %q: %w", e.name, err)
		case err != nil:
			return nil, fault.Errorf(fault.Corrupt, "tensor %q: %v", e.name, err)
		case begin != at:
			return nil, fault.Errorf(fault.Corrupt, "tensor %q begins at byte %d, the one before it ends at %d: holes and overlaps are forbidden", e.name, begin, at)
		case end > int64(len(elements)) || end < begin:
			return nil, fault.Errorf(fault.Corrupt, "tensor %q ends at byte %d of %d: the file was cut short", e.name, end, len(elements))
		case end-begin != size:
			return nil, fault.Errorf(fault.Corrupt, "tensor %q: %s of shape %v takes %d bytes, it has %d", e.name, e.Dtype, e.Shape, size, end-begin)
		}
		tensors[e.name] = Tensor{Dtype: e.Dtype, Shape: e.Shape, Data: elements[begin:end:end]}
		at = end
	}
	if at != int64(len(elements)) {
		return nil, fault.Errorf(fault.Corrupt, "%d bytes after the last tensor", int64(len(elements))-at)
	}
	return tensors, nil
}
