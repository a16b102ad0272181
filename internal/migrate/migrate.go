// Package migrate brings the tables of a store to the version this program
// knows: forward only, numbered, checksummed, all missing steps in one
// transaction.
package migrate

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"io/fs"
	"regexp"
	"sort"
	"strconv"
	"strings"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/internal/sqldb"
)

// Set is the migrations of one store.
type Set struct {
	Name   string // the store's name in the table of versions, such as "tracking"
	Files  fs.FS  // NNN_what.sql, numbered from 001 without gaps, at the root
	Prefix string // replaces {p} in the files, and names the table of versions
}

// Migration is one numbered step: exactly what Up runs, so that an administrator
// can review it, and run it instead.
type Migration struct {
	Version  int
	Name     string // file name
	SQL      string // the file, and a row in the table of versions that says so
	Checksum string // SHA-256 of the file as embedded, line ends as \n, in hex
}

var fileName = regexp.MustCompile(`^(\d{3})_[a-z0-9_]+\.sql$`)
var prefixForm = regexp.MustCompile(`^[a-z][a-z0-9_]*_$`)
var nameForm = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// DefaultPrefix begins every table's name when a store's options give none.
const DefaultPrefix = "mlloop_"

// maxPrefix leaves room for a table's name in the 63 bytes that PostgreSQL keeps.
const maxPrefix = 24

// Migrations returns the set's steps in order. Whoever runs the SQL of each,
// one after the other and each in one transaction, leaves nothing for Up to do.
// Errors: Invalid for the prefix, or for files that are not numbered 001, 002,
// 003 …
func (s Set) Migrations() ([]Migration, error) {
	if !prefixForm.MatchString(s.Prefix) || len(s.Prefix) > maxPrefix {
		return nil, fault.Errorf(fault.Invalid,
			"table prefix %q: want at most %d lower-case letters, digits and _, a letter first and _ last", s.Prefix, maxPrefix)
	}
	if !nameForm.MatchString(s.Name) {
		return nil, fault.Errorf(fault.Invalid, "store name %q: want lower-case letters, digits and _", s.Name)
	}
	names, err := fs.Glob(s.Files, "*.sql")
	if err != nil {
		return nil, err
	}
	sort.Strings(names)
	steps := make([]Migration, 0, len(names))
	for i, name := range names {
		step, err := s.read(name, i+1)
		if err != nil {
			return nil, err
		}
		steps = append(steps, step)
	}
	return steps, nil
}

func (s Set) read(name string, version int) (Migration, error) {
	m := fileName.FindStringSubmatch(name)
	if m == nil {
		return Migration{}, fault.Errorf(fault.Invalid, "migration file %q: want NNN_what.sql", name)
	}
	if n, _ := strconv.Atoi(m[1]); n != version {
		return Migration{}, fault.Errorf(fault.Invalid, "migration file %q: want number %03d here, each number once from 001", name, version)
	}
	text, err := fs.ReadFile(s.Files, name)
	if err != nil {
		return Migration{}, err
	}
	// A checkout may have turned line ends around; the step is the same.
	text = bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))
	sum := sha256.Sum256(text)
	step := Migration{Version: version, Name: name, Checksum: hex.EncodeToString(sum[:])}
	step.SQL = s.statements(step, strings.ReplaceAll(string(text), "{p}", s.Prefix))
	return step, nil
}

// statements returns the step's file and what records it.
func (s Set) statements(step Migration, text string) string {
	var b strings.Builder
	if step.Version == 1 {
		b.WriteString(s.versionTable() + ";\n\n")
	}
	b.WriteString(strings.TrimSuffix(strings.TrimSpace(text), ";") + ";\n\n")
	// The values need no escaping: names and checksums hold no quotes.
	fmt.Fprintf(&b, `INSERT INTO %smigration (store, version, name, checksum, applied_at)
VALUES ('%s', %d, '%s', '%s', CAST(strftime('%%s', 'now') AS INTEGER) * 1000);
`, s.Prefix, s.Name, step.Version, step.Name, step.Checksum)
	return b.String()
}

func (s Set) versionTable() string {
	return `CREATE TABLE IF NOT EXISTS ` + s.Prefix + `migration (
	store TEXT NOT NULL,
	version INTEGER NOT NULL,
	name TEXT NOT NULL,
	checksum TEXT NOT NULL,
	applied_at BIGINT NOT NULL, -- UTC milliseconds
	PRIMARY KEY (store, version)
)`
}

// Up applies the steps that the database lacks, all or none. Several processes
// may call it on one database at once. Errors: Unsupported when the database
// was written by a newer release, Corrupt when an applied step differs from the
// one known here or is missing, Invalid as for Migrations, Unavailable.
func Up(ctx context.Context, db *sql.DB, set Set) error {
	steps, err := set.Migrations()
	if err != nil {
		return err
	}
	// IF NOT EXISTS and the immediate transaction make concurrent first starts safe.
	if _, err = db.ExecContext(ctx, set.versionTable()); err != nil {
		return sqldb.Fault(err)
	}
	return sqldb.Tx(ctx, db, func(tx *sql.Tx) error {
		applied, err := set.applied(ctx, tx, steps)
		if err != nil {
			return err
		}
		for _, step := range steps[applied:] {
			if err := set.apply(ctx, tx, step); err != nil {
				return err
			}
		}
		return nil
	})
}

// applied returns how many steps the database has, after checking that they
// are the ones known here.
func (s Set) applied(ctx context.Context, tx *sql.Tx, steps []Migration) (int, error) {
	rows, err := tx.QueryContext(ctx, `SELECT version, checksum FROM `+s.Prefix+`migration WHERE store = ? ORDER BY version`, s.Name)
	if err != nil {
		return 0, err
	}
	defer func() { _ = rows.Close() }()
	applied := 0
	for rows.Next() {
		var version int
		var checksum string
		if err := rows.Scan(&version, &checksum); err != nil {
			return 0, err
		}
		switch {
		case version != applied+1:
			return 0, fault.Errorf(fault.Corrupt,
				"the database lacks version %d of the %s tables but has version %d: restore a backup", applied+1, s.Name, version)
		case version > len(steps):
			return 0, fault.Errorf(fault.Unsupported,
				"the database has version %d of the %s tables, this program knows %d: run the newer mlloop, or open another database", version, s.Name, len(steps))
		case checksum != steps[applied].Checksum:
			return 0, fault.Errorf(fault.Corrupt,
				"migration %s of the %s tables differs from the one this database was made with: restore the released file", steps[applied].Name, s.Name)
		}
		applied = version
	}
	return applied, rows.Err()
}

func (s Set) apply(ctx context.Context, tx *sql.Tx, step Migration) error {
	if _, err := tx.ExecContext(ctx, step.SQL); err != nil {
		return fmt.Errorf("migration %s of the %s tables: %w", step.Name, s.Name, sqldb.Fault(err))
	}
	return nil
}
