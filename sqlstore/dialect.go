package sqlstore

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/mlloop/mlloop/internal/fault"
)

// Dialect names the SQL that a database speaks.
type Dialect string

// The dialects.
const (
	SQLite     Dialect = "sqlite"     // SQLite 3.35 or later
	PostgreSQL Dialect = "postgresql" // PostgreSQL 13 or later
)

// Options say where the tables are. The zero value of a field is its default.
type Options struct {
	// Prefix begins the name of every table, index and trigger: at most 24
	// lower-case letters, digits and _, a letter first and _ last. "": mlloop_
	Prefix string
	// Schema is PostgreSQL's schema that the tables are in; Migrate makes it where
	// it is missing. "": the first one of the connection's search_path, most often
	// public. SQLite has none.
	Schema string
}

// DefaultPrefix begins every table's name when Options give none.
const DefaultPrefix = "mlloop_"

// maxPrefix leaves room for a table's name in the 63 bytes that PostgreSQL keeps.
const maxPrefix = 24

var (
	prefixForm = regexp.MustCompile(`^[a-z][a-z0-9_]*_$`)
	schemaForm = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}$`)
)

// names says how tables are named in a dialect.
type names struct {
	dialect Dialect
	prefix  string
	schema  string
}

// newNames checks the options. Errors: Unsupported for the dialect, Invalid.
func newNames(d Dialect, o *Options) (names, error) {
	n := names{dialect: d, prefix: DefaultPrefix}
	if o != nil && o.Prefix != "" {
		n.prefix = o.Prefix
	}
	if o != nil {
		n.schema = o.Schema
	}
	switch {
	case d != SQLite && d != PostgreSQL:
		return n, fault.Errorf(fault.Unsupported, "dialect %q: want %q or %q", d, SQLite, PostgreSQL)
	case !prefixForm.MatchString(n.prefix) || len(n.prefix) > maxPrefix:
		return n, fault.Errorf(fault.Invalid,
			"table prefix %q: want at most %d lower-case letters, digits and _, a letter first and _ last", n.prefix, maxPrefix)
	case n.schema != "" && d == SQLite:
		return n, fault.Errorf(fault.Invalid, "schema %q: SQLite has no schemas: use a prefix, or another file", n.schema)
	case n.schema != "" && !schemaForm.MatchString(n.schema):
		return n, fault.Errorf(fault.Invalid, "schema %q: want lower-case letters, digits and _", n.schema)
	}
	return n, nil
}

// table begins a table's name: schema and prefix.
func (n names) table() string {
	if n.schema == "" {
		return n.prefix
	}
	return `"` + n.schema + `".` + n.prefix
}

// fill puts the names into a text: {p} begins a table's name, {n} that of what
// lies in the table's schema without saying so, such as an index.
func (n names) fill(text string) string {
	if !strings.Contains(text, "{") {
		return text
	}
	return strings.NewReplacer("{p}", n.table(), "{n}", n.prefix).Replace(text)
}

// statement is fill, with the dialect's marks for arguments in the place of each
// question mark outside of a quoted text.
func (n names) statement(text string) string {
	text = n.fill(text)
	if n.dialect != PostgreSQL || !strings.Contains(text, "?") {
		return text
	}
	var b strings.Builder
	b.Grow(len(text) + 32)
	quoted, arg := false, 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\'':
			quoted = !quoted
			b.WriteByte(c)
		case c == '?' && !quoted:
			arg++
			b.WriteByte('$')
			b.WriteString(strconv.Itoa(arg))
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
