package sqlstore

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"regexp"
	"sort"
	"strconv"
	"strings"

	"github.com/mlloop/mlloop/internal/fault"
)

// Schema is the tables of one store, as the steps that make them.
type Schema struct {
	Domain string // "tracking": the tables are {p}tracking_…
	// Files holds migration/sqlite/NNN_what.sql and migration/postgres/NNN_what.sql,
	// numbered from 001 without gaps. In them {p} begins the name of a table, {n}
	// that of an index, a constraint or a trigger.
	Files fs.FS
}

// Migration is one numbered step: exactly what Migrate runs, so that an
// administrator can review it, and run it instead.
type Migration struct {
	Version  int    // 1, 2, 3 …
	Name     string // of its file
	SQL      string // the file, and a row in the table of versions that says so
	Checksum string // SHA-256 of the file as embedded, line ends as \n, in hex
}

var (
	fileName = regexp.MustCompile(`^(\d{3})_[a-z0-9_]+\.sql$`)
	nameForm = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
)

// folder is where a dialect's files lie.
func folder(d Dialect) string {
	if d == PostgreSQL {
		return "migration/postgres"
	}
	return "migration/sqlite"
}

// Migrations returns the steps in order. Whoever runs the SQL of each, one after
// the other and each in one transaction, leaves nothing for Migrate to do; a
// schema in opts has to exist then. Errors: Unsupported for the dialect; Invalid
// for the options, or for files that are not numbered 001, 002, 003 …
func (s Schema) Migrations(d Dialect, opts *Options) ([]Migration, error) {
	n, err := newNames(d, opts)
	if err != nil {
		return nil, err
	}
	return s.steps(n)
}

func (s Schema) steps(n names) ([]Migration, error) {
	if !nameForm.MatchString(s.Domain) {
		return nil, fault.Errorf(fault.Invalid, "store name %q: want lower-case letters, digits and _", s.Domain)
	}
	files, err := fs.Sub(s.Files, folder(n.dialect))
	if err != nil {
		return nil, err
	}
	found, err := fs.Glob(files, "*.sql")
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fault.Errorf(fault.Unsupported, "the %s tables have no migrations for %s", s.Domain, n.dialect)
	}
	sort.Strings(found)
	steps := make([]Migration, 0, len(found))
	for i, name := range found {
		step, err := s.read(files, name, i+1, n)
		if err != nil {
			return nil, err
		}
		steps = append(steps, step)
	}
	return steps, nil
}

func (s Schema) read(files fs.FS, name string, version int, n names) (Migration, error) {
	m := fileName.FindStringSubmatch(name)
	if m == nil {
		return Migration{}, fault.Errorf(fault.Invalid, "migration file %q: want NNN_what.sql", name)
	}
	if number, _ := strconv.Atoi(m[1]); number != version {
		return Migration{}, fault.Errorf(fault.Invalid, "migration file %q: want number %03d here, each number once from 001", name, version)
	}
	text, err := fs.ReadFile(files, name)
	if err != nil {
		return Migration{}, err
	}
	// A checkout may have turned line ends around; the step is the same.
	text = bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))
	sum := sha256.Sum256(text)
	step := Migration{Version: version, Name: name, Checksum: hex.EncodeToString(sum[:])}
	step.SQL = s.statements(step, n.fill(string(text)), n)
	return step, nil
}

// statements returns the step's file and what records it.
func (s Schema) statements(step Migration, text string, n names) string {
	var b strings.Builder
	if step.Version == 1 {
		b.WriteString(n.versionTable() + ";\n\n")
	}
	b.WriteString(strings.TrimSuffix(strings.TrimSpace(text), ";") + ";\n\n")
	now := `CAST(strftime('%s', 'now') AS INTEGER) * 1000`
	if n.dialect == PostgreSQL {
		now = `CAST(extract(epoch FROM now()) * 1000 AS BIGINT)`
	}
	// The values need no escaping: names and checksums hold no quotes.
	fmt.Fprintf(&b, `INSERT INTO %smigration (store, version, name, checksum, applied_at)
VALUES ('%s', %d, '%s', '%s', %s);
`, n.table(), s.Domain, step.Version, step.Name, step.Checksum, now)
	return b.String()
}

func (n names) versionTable() string {
	return `CREATE TABLE IF NOT EXISTS ` + n.table() + `migration (
	store TEXT NOT NULL,
	version BIGINT NOT NULL,
	name TEXT NOT NULL,
	checksum TEXT NOT NULL,
	applied_at BIGINT NOT NULL, -- UTC milliseconds
	PRIMARY KEY (store, version)
)`
}
