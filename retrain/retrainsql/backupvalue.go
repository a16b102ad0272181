package retrainsql

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/mlloop/mlloop/internal/fault"
)

// kind is what a column holds, whatever its database calls it.
type kind string

const (
	textKind  kind = "text"
	bytesKind kind = "bytes"
	intKind   kind = "int"
	floatKind kind = "float"
	boolKind  kind = "bool" // PostgreSQL's; a backup has 0 and 1
)

// plain is a column's value as backups have it: nil, an int64, a finite or other
// float64, a string or a []byte, by its kind and not by how the driver gives it.
func (k kind) plain(v any) (any, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case bool:
		if v {
			return int64(1), nil
		}
		return int64(0), nil
	case int64:
		if k == floatKind {
			return float64(v), nil
		}
		return v, nil
	case float64:
		if v == 0 {
			return 0.0, nil // without a sign, which SQLite does not keep
		}
		return v, nil
	case string:
		if k == bytesKind {
			return []byte(v), nil
		}
		return v, nil
	case []byte:
		if k == textKind {
			return string(v), nil
		}
		return v, nil
	}
	return nil, fault.Errorf(fault.Unsupported, "a value of type %T: no backup holds one", v)
}

// argument is a plain value as the column's database takes it.
func (k kind) argument(v any) any {
	if n, ok := v.(int64); ok && k == boolKind {
		return n != 0
	}
	return v
}

// appendRow appends the values as one line of JSON: an array in which an integer
// has neither point nor exponent and any other number has one of them, and in
// which an object stands for what JSON has no word for: {"f":"NaN"} for a number
// that is not finite, {"b":"…"} for bytes in base64, {"t":"…"} likewise for a text
// that is no UTF-8.
func appendRow(dst []byte, values []any) ([]byte, error) {
	dst = append(dst, '[')
	for i, v := range values {
		if i > 0 {
			dst = append(dst, ',')
		}
		var err error
		if dst, err = appendValue(dst, v); err != nil {
			return nil, err
		}
	}
	return append(dst, ']', '\n'), nil
}

func appendValue(dst []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...), nil
	case int64:
		return strconv.AppendInt(dst, v, 10), nil
	case float64:
		return appendFloat(dst, v), nil
	case []byte:
		return appendBase64(dst, 'b', v), nil
	case string:
		if !utf8.ValidString(v) {
			return appendBase64(dst, 't', []byte(v)), nil
		}
		text, err := json.Marshal(v)
		return append(dst, text...), err
	}
	return nil, fault.Errorf(fault.Unsupported, "a value of type %T: no backup holds one", v)
}

func appendFloat(dst []byte, v float64) []byte {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		dst = append(dst, `{"f":"`...)
		return append(strconv.AppendFloat(dst, v, 'g', -1, 64), `"}`...)
	}
	start := len(dst)
	dst = strconv.AppendFloat(dst, v, 'g', -1, 64)
	if !bytes.ContainsAny(dst[start:], ".e") {
		dst = append(dst, ".0"...)
	}
	return dst
}

func appendBase64(dst []byte, name byte, v []byte) []byte {
	dst = append(dst, '{', '"', name, '"', ':', '"')
	dst = base64.StdEncoding.AppendEncode(dst, v)
	return append(dst, '"', '}')
}

// parseRow reads a line that appendRow wrote. Errors: Corrupt.
func parseRow(line []byte) ([]any, error) {
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	var row []any
	if err := d.Decode(&row); err != nil {
		return nil, fault.Errorf(fault.Corrupt, "a row: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fault.Errorf(fault.Corrupt, "a row: something follows it")
	}
	for i, v := range row {
		var err error
		if row[i], err = parseValue(v); err != nil {
			return nil, err
		}
	}
	return row, nil
}

func parseValue(v any) (any, error) {
	switch v := v.(type) {
	case nil, string:
		return v, nil
	case json.Number:
		return parseNumber(v.String())
	case map[string]any:
		for name, text := range v {
			if text, ok := text.(string); ok && len(v) == 1 {
				return parseObject(name, text)
			}
		}
	}
	return nil, fault.Errorf(fault.Corrupt, "a row: %v is no value", v)
}

func parseNumber(text string) (v any, err error) {
	if strings.ContainsAny(text, ".eE") {
		v, err = strconv.ParseFloat(text, 64)
	} else {
		v, err = strconv.ParseInt(text, 10, 64)
	}
	if err != nil {
		return nil, fault.Errorf(fault.Corrupt, "a row: %w", err)
	}
	return v, nil
}

func parseObject(name, text string) (v any, err error) {
	switch name {
	case "f":
		v, err = strconv.ParseFloat(text, 64)
	case "b":
		v, err = base64.StdEncoding.DecodeString(text)
	case "t":
		var b []byte
		b, err = base64.StdEncoding.DecodeString(text)
		v = string(b)
	default:
		return nil, fault.Errorf(fault.Corrupt, "a row: a value has the unknown form %q", name)
	}
	if err != nil {
		return nil, fault.Errorf(fault.Corrupt, "a row: %w", err)
	}
	return v, nil
}
