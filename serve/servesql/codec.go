package servesql

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/train/frame"
)

// Values are stored as a JSON array, so that any SQL tool reads them; their
// schema says what is no JSON type of its own. Every value comes back bit by
// bit: a number that is not finite is the text "NaN", "Infinity" or "-Infinity",
// a NaN of other bits "NaN:" and those in hex, text that is not UTF-8
// {"base64":…}, a time its milliseconds.

// appendRow appends r's values, which fit its schema.
func appendRow(dst []byte, r frame.Row) []byte {
	dst = append(dst, '[')
	for i, v := range r.Values {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendValue(dst, v)
	}
	return append(dst, ']')
}

func appendValue(dst []byte, v frame.Value) []byte {
	switch v.Kind() {
	case frame.Float64:
		return appendFloat(dst, v.Float())
	case frame.Int64, frame.Time:
		return strconv.AppendInt(dst, v.Int(), 10)
	case frame.Bool:
		return strconv.AppendBool(dst, v.Int() != 0)
	case frame.String:
		return appendText(dst, v.Text())
	}
	return append(dst, "null"...)
}

func appendFloat(dst []byte, f float64) []byte {
	switch {
	case !math.IsNaN(f) && !math.IsInf(f, 0):
		return appendFinite(dst, f)
	case math.IsNaN(f) && math.Float64bits(f) != math.Float64bits(math.NaN()):
		dst = append(dst, `"NaN:`...)
		return append(strconv.AppendUint(dst, math.Float64bits(f), 16), '"')
	case math.IsNaN(f):
		return append(dst, `"NaN"`...)
	case math.IsInf(f, 1):
		return append(dst, `"Infinity"`...)
	}
	return append(dst, `"-Infinity"`...)
}

// appendFinite appends a finite number; few decimals, as most have, cost little.
func appendFinite(dst []byte, f float64) []byte {
	if math.Abs(f) < 1e9 && (f != 0 || !math.Signbit(f)) {
		// The quotient of two exact numbers is the float that its decimal form reads
		// back to: no need to search for the digits.
		if n := int64(math.Round(f * million)); float64(n)/million == f {
			return appendMillionths(dst, n)
		}
	}
	return strconv.AppendFloat(dst, f, 'g', -1, 64)
}

const million = 1e6

// appendMillionths appends n/1,000,000 without trailing zeros.
func appendMillionths(dst []byte, n int64) []byte {
	if n < 0 {
		dst, n = append(dst, '-'), -n
	}
	dst = strconv.AppendInt(dst, n/million, 10)
	rest := n % million
	if rest == 0 {
		return dst
	}
	dst = append(dst, '.')
	for unit := int64(million / 10); rest > 0; unit /= 10 {
		dst = append(dst, byte('0'+rest/unit))
		rest %= unit
	}
	return dst
}

func appendText(dst []byte, s string) []byte {
	if !utf8.ValidString(s) {
		dst = append(dst, `{"base64":"`...)
		return append(base64.StdEncoding.AppendEncode(dst, []byte(s)), `"}`...)
	}
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	from := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[from:i]...)
		from = i + 1
		if c < ' ' {
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		} else {
			dst = append(dst, '\\', c)
		}
	}
	return append(append(dst, s[from:]...), '"')
}

// decodeRow reads what appendRow wrote. Errors: Corrupt.
func decodeRow(schema frame.Schema, text string) (frame.Row, error) {
	if len(schema) == 0 && text == "[]" {
		return frame.Row{}, nil
	}
	r := frame.Row{Schema: schema, Values: make([]frame.Value, len(schema))}
	rest, ok := strings.CutPrefix(text, "[")
	for i, f := range schema {
		if i > 0 && ok {
			rest, ok = strings.CutPrefix(rest, ",")
		}
		if ok {
			r.Values[i], rest, ok = decodeValue(f.Kind, rest)
		}
		if !ok {
			return frame.Row{}, fault.Errorf(fault.Corrupt, "stored values are not of their schema: column %q", f.Name)
		}
	}
	if rest != "]" {
		return frame.Row{}, fault.Errorf(fault.Corrupt, "stored values are not of their schema: %d bytes after its %d columns", len(rest), len(schema))
	}
	return r, nil
}

// decodeLabel reads what appendValue wrote of a value of the kind. Errors:
// Corrupt.
func decodeLabel(kind, text string) (frame.Value, error) {
	if frame.Kind(kind) == frame.Null {
		return frame.Value{}, nil
	}
	v, rest, ok := decodeValue(frame.Kind(kind), text+"]")
	if !ok || rest != "]" || v.IsNull() {
		return frame.Value{}, fault.Errorf(fault.Corrupt, "the stored value is no %s", kind)
	}
	return v, nil
}

// decodeValue reads one value and returns the text after it.
func decodeValue(kind frame.Kind, s string) (v frame.Value, rest string, ok bool) {
	end := elementEnd(s)
	if end < 0 {
		return v, "", false
	}
	element, rest := s[:end], s[end:]
	if element == "null" {
		return v, rest, true
	}
	switch kind {
	case frame.Float64:
		f, ok := parseFloat(element)
		return frame.FloatValue(f), rest, ok
	case frame.Int64, frame.Time:
		i, err := strconv.ParseInt(element, 10, 64)
		if v = frame.IntValue(i); kind == frame.Time {
			v = frame.TimeValue(i)
		}
		return v, rest, err == nil
	case frame.Bool:
		return frame.BoolValue(element == "true"), rest, element == "true" || element == "false"
	case frame.String:
		text, ok := parseText(element)
		return frame.StringValue(text), rest, ok
	}
	return v, rest, false
}

// elementEnd returns where the element at the start of s ends, -1 when it does not.
func elementEnd(s string) int {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && (c == ',' || c == ']'):
			return i
		}
	}
	return -1
}

func parseFloat(element string) (float64, bool) {
	text, quoted := strings.CutPrefix(element, `"`)
	if !quoted {
		f, err := strconv.ParseFloat(element, 64)
		return f, err == nil && !math.IsNaN(f) && !math.IsInf(f, 0)
	}
	switch text = strings.TrimSuffix(text, `"`); text {
	case "NaN":
		return math.NaN(), true
	case "Infinity":
		return math.Inf(1), true
	case "-Infinity":
		return math.Inf(-1), true
	}
	payload, ok := strings.CutPrefix(text, "NaN:")
	bits, err := strconv.ParseUint(payload, 16, 64)
	f := math.Float64frombits(bits)
	return f, ok && err == nil && math.IsNaN(f)
}

func parseText(element string) (string, bool) {
	if len(element) >= 2 && element[0] == '"' && element[len(element)-1] == '"' && !strings.Contains(element, `\`) {
		return element[1 : len(element)-1], true
	}
	if !strings.HasPrefix(element, "{") {
		var s string
		err := json.Unmarshal([]byte(element), &s)
		return s, err == nil
	}
	var b struct {
		Base64 *[]byte `json:"base64"`
	}
	if json.Unmarshal([]byte(element), &b) != nil || b.Base64 == nil {
		return "", false
	}
	return string(*b.Base64), true
}
