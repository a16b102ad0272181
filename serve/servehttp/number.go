package servehttp

import "strconv"

// number is a JSON number as it was read.
type number struct {
	text     []byte
	mantissa uint64 // the digits as one integer, when there are at most 19
	exponent int    // of ten, that the mantissa is to be multiplied by
	exact    bool   // mantissa and exponent hold the number
	integer  bool   // neither fraction nor exponent were written
	negative bool
}

// number reads a number by RFC 8259 §6.
func (s *scanner) number() (number, error) {
	n := number{integer: true}
	start := s.at
	if s.at < len(s.b) && s.b[s.at] == '-' {
		n.negative = true
		s.at++
	}
	first := s.at
	digits := s.digits(&n)
	if digits == 0 {
		s.at = start
		return n, s.errorf("want a number, found %s", s.found())
	}
	if digits > 1 && s.b[first] == '0' {
		s.at = start
		return n, s.errorf("a number does not begin with 0")
	}
	if s.at < len(s.b) && s.b[s.at] == '.' {
		s.at++
		n.integer = false
		fraction := s.digits(&n)
		if fraction == 0 {
			return n, s.errorf("want a digit, found %s", s.found())
		}
		digits += fraction
		n.exponent = -fraction
	}
	n.exact = digits <= 19
	if s.at < len(s.b) && (s.b[s.at] == 'e' || s.b[s.at] == 'E') {
		s.at++
		n.integer = false
		if err := s.exponent(&n); err != nil {
			return n, err
		}
	}
	n.text = s.b[start:s.at]
	return n, nil
}

// digits reads digits into the mantissa and returns how many there were.
func (s *scanner) digits(n *number) int {
	start := s.at
	for s.at < len(s.b) {
		c := s.b[s.at] - '0'
		if c > 9 {
			break
		}
		n.mantissa = n.mantissa*10 + uint64(c) // wraps beyond 19 digits, when it is not used
		s.at++
	}
	return s.at - start
}

func (s *scanner) exponent(n *number) error {
	negative := false
	if s.at < len(s.b) && (s.b[s.at] == '+' || s.b[s.at] == '-') {
		negative = s.b[s.at] == '-'
		s.at++
	}
	var e number
	digits := s.digits(&e)
	if digits == 0 {
		return s.errorf("want a digit, found %s", s.found())
	}
	if digits > 4 {
		n.exact = false
		return nil
	}
	if negative {
		n.exponent -= int(e.mantissa)
	} else {
		n.exponent += int(e.mantissa)
	}
	return nil
}

// exactPower returns 10 to the e for 0 ≤ e ≤ 22, which a float64 holds exactly.
func exactPower(e int) float64 {
	return [...]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
		1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}[e]
}

// float returns the nearest float64 or float32, by bits. When mantissa and
// power of ten are exact in that format, so is one multiplication or division
// (Clinger, How to Read Floating Point Numbers Accurately, 1990); else strconv decides.
func (n number) float(bits int) (float64, error) {
	mantissa, power := uint64(1)<<53, 22
	if bits == 32 {
		mantissa, power = 1<<24, 10
	}
	if n.exact && n.mantissa <= mantissa && -power <= n.exponent && n.exponent <= power {
		f := float64(n.mantissa)
		switch {
		case n.exponent >= 0 && bits == 32:
			f = float64(float32(f) * float32(exactPower(n.exponent)))
		case bits == 32:
			f = float64(float32(f) / float32(exactPower(-n.exponent)))
		case n.exponent >= 0:
			f *= exactPower(n.exponent)
		default:
			f /= exactPower(-n.exponent)
		}
		if n.negative {
			f = -f
		}
		return f, nil
	}
	return strconv.ParseFloat(string(n.text), bits)
}

// signed returns an integer that was written without fraction or exponent.
func (n number) signed(bits int) (int64, error) {
	if !n.integer {
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseInt(string(n.text), 10, bits)
}

// unsigned is signed for numbers from 0.
func (n number) unsigned(bits int) (uint64, error) {
	if !n.integer {
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseUint(string(n.text), 10, bits)
}
