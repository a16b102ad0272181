package sqlstore

import (
	"errors"
	"reflect"
	"strings"

	"github.com/mlloop/mlloop/internal/fault"
)

// Result codes of SQLite (https://www.sqlite.org/rescode.html): primary ones
// in the low byte, extended ones of a broken constraint.
const (
	sqliteError      = 1
	sqliteBusy       = 5
	sqliteLocked     = 6
	sqliteReadOnly   = 8
	sqliteIOErr      = 10
	sqliteCorrupt    = 11
	sqliteFull       = 13
	sqliteCantOpen   = 14
	sqliteConstraint = 19
	sqliteNotADB     = 26

	constraintForeignKey = 787
	constraintPrimaryKey = 1555
	constraintUnique     = 2067
	constraintRowID      = 2579
)

// sqliteCode returns the result code, extended where there is one, of an error
// of any driver: modernc.org/sqlite has a method Code() int, ncruces' an
// ExtendedCode() of a number type of its own, mattn's a field of that name.
// None of them need be linked to be told.
func sqliteCode(err error) (int, bool) {
	var coded interface{ Code() int }
	if errors.As(err, &coded) {
		return coded.Code(), true
	}
	return codeIn(err)
}

// codeIn looks for a code in err and in what it wraps.
func codeIn(err error) (int, bool) {
	if err == nil {
		return 0, false
	}
	if code, ok := extendedCode(reflect.ValueOf(err)); ok {
		return code, true
	}
	switch w := err.(type) {
	case interface{ Unwrap() error }:
		return codeIn(w.Unwrap())
	case interface{ Unwrap() []error }:
		for _, e := range w.Unwrap() {
			if code, ok := codeIn(e); ok {
				return code, true
			}
		}
	}
	return 0, false
}

func extendedCode(v reflect.Value) (int, bool) {
	const name = "ExtendedCode"
	if m := v.MethodByName(name); m.IsValid() && m.Type().NumIn() == 0 && m.Type().NumOut() == 1 {
		return number(m.Call(nil)[0])
	}
	if v = reflect.Indirect(v); v.Kind() == reflect.Struct {
		return number(v.FieldByName(name))
	}
	return 0, false
}

func number(v reflect.Value) (int, bool) {
	switch {
	case !v.IsValid():
		return 0, false
	case v.CanInt():
		return int(v.Int()), true
	case v.CanUint():
		return int(v.Uint()), true
	}
	return 0, false
}

// sqliteFault tells an error of SQLite by its code.
func sqliteFault(code int, err error) error {
	switch code & 0xff {
	case sqliteConstraint:
		return constraintFault(code, err)
	case sqliteFull:
		return fault.Errorf(fault.Unavailable, "the disk is full: free some space and try again: %w", err)
	case sqliteBusy, sqliteLocked:
		return fault.Errorf(fault.Unavailable, "the database is locked by another writer: try again: %w", err)
	case sqliteReadOnly:
		return fault.Errorf(fault.Unavailable, "the database file can only be read: check its rights, its folder and its disk: %w", err)
	case sqliteIOErr, sqliteCantOpen:
		return fault.Errorf(fault.Unavailable, "the database file cannot be read or written: check its folder, rights and disk: %w", err)
	case sqliteCorrupt, sqliteNotADB:
		return fault.Errorf(fault.Corrupt, "the database file is damaged, or is no SQLite file: %w", err)
	case sqliteError:
		if strings.Contains(err.Error(), "no such table") {
			return fault.Errorf(fault.Unavailable, "a table is missing: call Migrate on the store first: %w", err)
		}
	}
	return err
}

func constraintFault(code int, err error) error {
	switch code {
	case constraintUnique, constraintPrimaryKey, constraintRowID:
		return fault.Errorf(fault.AlreadyExists, "already exists: %w", err)
	case constraintForeignKey:
		return fault.Errorf(fault.NotFound, "refers to something that does not exist: %w", err)
	}
	return fault.Errorf(fault.Invalid, "a column refuses the value: %w", err)
}
