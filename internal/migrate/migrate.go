// Package migrate brings the tables of a store to the version this program
// knows: forward only, numbered, checksummed, in one transaction each.
package migrate

import (
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
	"time"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/internal/sqldb"
)

// Set is the migrations of one store.
type Set struct {
	Name   string // the store's name in the table of versions, such as "tracking"
	Files  fs.FS  // NNN_what.sql, numbered from 001 without gaps, at the root
	Prefix string // replaces {p} in the files, and names the table of versions
}

// Migration is one numbered step.
type Migration struct {
	Version  int
	Name     string // file name
	SQL      string // with the prefix filled in
	Checksum string // SHA-256 of the file as embedded, in hex
}

var fileName = regexp.MustCompile(`^(\d{3})_[a-z0-9_]+\.sql$`)
var prefixForm = regexp.MustCompile(`^[a-z][a-z0-9_]*_$`)

// DefaultPrefix begins every table's name when a store's options give none.
const DefaultPrefix = "mlloop_"

// Migrations returns the set's steps in order: what a database administrator
// reviews and may run by hand.
func (s Set) Migrations() ([]Migration, error) {
	if !prefixForm.MatchString(s.Prefix) {
		return nil, fault.Errorf(fault.Invalid, "table prefix %q: want lower-case letters, digits and _, ending in _", s.Prefix)
	}
	names, err := fs.Glob(s.Files, "*.sql")
	if err != nil {
		return nil, err
	}
	sort.Strings(names)
	steps := make([]Migration, 0, len(names))
	for i, name := range names {
		m := fileName.FindStringSubmatch(name)
		if m == nil {
			return nil, fault.Errorf(fault.Invalid, "migration file %q: want NNN_what.sql", name)
		}
		if n, _ := strconv.Atoi(m[1]); n != i+1 {
			return nil, fault.Errorf(fault.Invalid, "migration file %q: number %03d is missing", name, i+1)
		}
		text, err := fs.ReadFile(s.Files, name)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(text)
		steps = append(steps, Migration{
			Version:  i + 1,
			Name:     name,
			SQL:      strings.ReplaceAll(string(text), "{p}", s.Prefix),
			Checksum: hex.EncodeToString(sum[:]),
		})
	}
	return steps, nil
}

// Up applies the steps that the database lacks. Several processes may call it
// on one database at once. Errors: Unsupported when the database was written by
// a newer release, Corrupt when an applied step differs from the one known here.
func Up(ctx context.Context, db *sql.DB, set Set) error {
	steps, err := set.Migrations()
	if err != nil {
		return err
	}
	// IF NOT EXISTS and the immediate transaction make concurrent first starts safe.
	_, err = db.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS `+set.Prefix+`migration (
		store TEXT NOT NULL, version INTEGER NOT NULL, name TEXT NOT NULL, checksum TEXT NOT NULL,
		applied_at INTEGER NOT NULL, PRIMARY KEY (store, version))`)
	if err != nil {
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
		if version > len(steps) {
			return 0, fault.Errorf(fault.Unsupported,
				"the database has version %d of the %s tables, this program knows %d: run the newer mlloop, or open another database", version, s.Name, len(steps))
		}
		if checksum != steps[version-1].Checksum {
			return 0, fault.Errorf(fault.Corrupt,
				"migration %s of the %s tables differs from the one this database was made with: restore the released file", steps[version-1].Name, s.Name)
		}
		applied = version
	}
	return applied, rows.Err()
}

func (s Set) apply(ctx context.Context, tx *sql.Tx, step Migration) error {
	if _, err := tx.ExecContext(ctx, step.SQL); err != nil {
		return fmt.Errorf("migration %s of the %s tables: %w", step.Name, s.Name, sqldb.Fault(err))
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO `+s.Prefix+`migration (store, version, name, checksum, applied_at) VALUES (?, ?, ?, ?, ?)`,
		s.Name, step.Version, step.Name, step.Checksum, time.Now().UnixMilli())
	return err
}
