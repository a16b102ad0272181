package servehttp

import (
	"unicode/utf16"
	"unicode/utf8"

	"github.com/mlloop/mlloop/internal/fault"
)

// maxDepth is how deeply values that are passed over may be nested.
const maxDepth = 64

// scanner reads JSON (RFC 8259) from memory, strictly: no trailing commas, no
// leading zeros, no invalid UTF-8. It exists because request bodies are mostly
// numbers that must land in typed slices: encoding/json takes seven times as
// long. Every method leaves at on the first byte that it has not read.
type scanner struct {
	b       []byte
	at      int
	scratch []byte // of strings with escapes, valid until the next string
}

func (s *scanner) errorf(format string, args ...any) error {
	return fault.Errorf(fault.Invalid, "the body is not the JSON of a request: byte %d: "+format, append([]any{s.at}, args...)...)
}

// space skips white space and returns the next byte without reading it, 0 at the end.
func (s *scanner) space() byte {
	for s.at < len(s.b) {
		switch c := s.b[s.at]; c {
		case ' ', '\n', '\t', '\r':
			s.at++
		default:
			return c
		}
	}
	return 0
}

// take reads c after white space, or says what it wanted.
func (s *scanner) take(c byte) error {
	if got := s.space(); got != c || s.at == len(s.b) {
		return s.errorf("want %q, found %s", c, s.found())
	}
	s.at++
	return nil
}

// found describes the next byte for an error message.
func (s *scanner) found() string {
	if s.at >= len(s.b) {
		return "the end"
	}
	r, _ := utf8.DecodeRune(s.b[s.at:])
	return string([]rune{'"', r, '"'})
}

// object reads an object and calls member at each value, which must read it.
// The key is valid only until member reads on.
func (s *scanner) object(member func(key []byte) error) error {
	if err := s.take('{'); err != nil {
		return err
	}
	if s.space() == '}' {
		s.at++
		return nil
	}
	for {
		if s.space() != '"' {
			return s.errorf("want a name in quotes, found %s", s.found())
		}
		key, err := s.text()
		if err != nil {
			return err
		}
		if err := s.take(':'); err != nil {
			return err
		}
		s.space()
		if err := member(key); err != nil {
			return err
		}
		if more, err := s.more('}'); !more {
			return err
		}
	}
}

// array reads an array and calls element at each value, which must read it.
func (s *scanner) array(element func() error) error {
	if err := s.take('['); err != nil {
		return err
	}
	if s.space() == ']' {
		s.at++
		return nil
	}
	for {
		s.space()
		if err := element(); err != nil {
			return err
		}
		if more, err := s.more(']'); !more {
			return err
		}
	}
}

// more reads the comma before another member, or the closing byte.
func (s *scanner) more(closing byte) (bool, error) {
	switch s.space() {
	case ',':
		s.at++
		return true, nil
	case closing:
		s.at++
		return false, nil
	}
	return false, s.errorf("want \",\" or %q, found %s", closing, s.found())
}

// text reads a string at its opening quote. The result is valid until the next
// string is read.
func (s *scanner) text() ([]byte, error) {
	s.at++
	start := s.at
	ascii := true
	for s.at < len(s.b) {
		switch c := s.b[s.at]; {
		case c == '"':
			t := s.b[start:s.at]
			if !ascii && !utf8.Valid(t) {
				s.at = start
				return nil, s.errorf("the string is not UTF-8")
			}
			s.at++
			return t, nil
		case c == '\\':
			return s.escaped(start)
		case c < ' ':
			return nil, s.errorf("control character %#02x in a string: escape it", c)
		case c >= utf8.RuneSelf:
			ascii = false
		}
		s.at++
	}
	return nil, s.errorf("the string does not end")
}

// escaped reads on in a string at its first escape.
func (s *scanner) escaped(start int) ([]byte, error) {
	s.scratch = append(s.scratch[:0], s.b[start:s.at]...)
	for s.at < len(s.b) {
		c := s.b[s.at]
		switch {
		case c == '"':
			if !utf8.Valid(s.scratch) {
				s.at = start
				return nil, s.errorf("the string is not UTF-8")
			}
			s.at++
			return s.scratch, nil
		case c < ' ':
			return nil, s.errorf("control character %#02x in a string: escape it", c)
		case c != '\\':
			s.scratch = append(s.scratch, c)
			s.at++
		default:
			if err := s.escape(); err != nil {
				return nil, err
			}
		}
	}
	return nil, s.errorf("the string does not end")
}

// escape reads one escape sequence. A lone surrogate becomes U+FFFD, as in encoding/json.
func (s *scanner) escape() error {
	if s.at+1 >= len(s.b) {
		return s.errorf("the string does not end")
	}
	c := s.b[s.at+1]
	switch c {
	case '"', '\\', '/':
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 't':
		c = '\t'
	case 'u':
		r := s.hex(s.at)
		if r < 0 {
			return s.errorf("\\u wants four hexadecimal digits")
		}
		s.at += 6
		if utf16.IsSurrogate(r) {
			if pair := utf16.DecodeRune(r, s.hex(s.at)); pair != utf8.RuneError {
				r = pair
				s.at += 6
			}
		}
		s.scratch = utf8.AppendRune(s.scratch, r) // a lone surrogate is written as U+FFFD
		return nil
	default:
		return s.errorf("unknown escape \\%c", c)
	}
	s.scratch = append(s.scratch, c)
	s.at += 2
	return nil
}

// hex returns the \uXXXX at a position, -1 when there is none.
func (s *scanner) hex(at int) rune {
	if at+6 > len(s.b) || s.b[at] != '\\' || s.b[at+1] != 'u' {
		return -1
	}
	var r rune
	for _, c := range s.b[at+2 : at+6] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}

// literal reads one of the words true, false and null, if it is next.
func (s *scanner) literal(word string) bool {
	if len(s.b)-s.at < len(word) || string(s.b[s.at:s.at+len(word)]) != word {
		return false
	}
	s.at += len(word)
	return true
}

// skip reads any value, checking that it is well formed.
func (s *scanner) skip(depth int) error {
	if depth > maxDepth {
		return s.errorf("values are nested more than %d deep", maxDepth)
	}
	switch c := s.space(); {
	case c == '{':
		return s.object(func([]byte) error { return s.skip(depth + 1) })
	case c == '[':
		return s.array(func() error { return s.skip(depth + 1) })
	case c == '"':
		_, err := s.text()
		return err
	case c == '-' || ('0' <= c && c <= '9'):
		_, err := s.number()
		return err
	case s.literal("true") || s.literal("false") || s.literal("null"):
		return nil
	}
	return s.errorf("want a value, found %s", s.found())
}

// end checks that nothing but white space is left.
func (s *scanner) end() error {
	if s.space(); s.at < len(s.b) {
		return s.errorf("want the end, found %s", s.found())
	}
	return nil
}
