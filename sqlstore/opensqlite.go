package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/mlloop/mlloop/internal/fault"

	_ "modernc.org/sqlite" // registers the "sqlite" driver
)

// busyTimeout is how long, in milliseconds, a writer waits inside SQLite for
// another one, before it is tried again from outside.
const busyTimeout = 5_000

func openSQLite(ctx context.Context, rawURL string) (*sql.DB, error) {
	path, o, err := parseSQLite(rawURL)
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
		return nil, fault.Errorf(fault.Unavailable, "the folder %s does not exist: create it first", filepath.Dir(path))
	}
	if !o.readOnly {
		o.readOnly = unwritable(path)
	}
	pool, err := sql.Open("sqlite", o.dsn(path))
	if err != nil {
		return nil, fault.Errorf(fault.Invalid, "%w", err)
	}
	// Under WAL readers do not block each other, and one writes at a time.
	pool.SetMaxOpenConns(8)
	pool.SetMaxIdleConns(8)
	db := New(pool, SQLite, nil)
	return answers(ctx, pool, func() error { return db.again(ctx, func() error { return Fault(pool.PingContext(ctx)) }) })
}

// Path returns the file that a sqlite: URL names. Errors: Unsupported for
// another scheme, and for a URL that names no file.
func Path(rawURL string) (string, error) {
	rest, ok := strings.CutPrefix(rawURL, "sqlite:")
	if !ok {
		return "", fault.Errorf(fault.Unsupported, "database scheme %q: use sqlite:PATH", schemeOf(rawURL))
	}
	path, _, _ := strings.Cut(rest, "?")
	if path == "" || strings.Contains(path, ":memory:") {
		return "", fault.Errorf(fault.Unsupported, "%q names no file: use sqlite:PATH, or the in-memory store of the package", rawURL)
	}
	return filepath.Clean(path), nil
}

// sqliteOptions are what may stand behind the path.
type sqliteOptions struct {
	synchronous string
	readOnly    bool
}

func parseSQLite(rawURL string) (path string, o sqliteOptions, err error) {
	o.synchronous = "full"
	if path, err = Path(rawURL); err != nil {
		return "", o, err
	}
	_, query, _ := strings.Cut(rawURL, "?")
	options, err := url.ParseQuery(query)
	if err != nil {
		return "", o, fault.Errorf(fault.Invalid, "options: %w", err)
	}
	for name, values := range options {
		switch value := strings.ToLower(values[len(values)-1]); {
		case name == "synchronous" && (value == "full" || value == "normal"):
			o.synchronous = value
		case name == "mode" && (value == "ro" || value == "rwc"):
			o.readOnly = value == "ro"
		default:
			return "", o, fault.Errorf(fault.Invalid, "option %s=%s: want synchronous=full, synchronous=normal or mode=ro", name, value)
		}
	}
	return path, o, nil
}

// unwritable reports whether the file exists and lies where nothing can be written.
func unwritable(path string) bool {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err == nil {
		_ = f.Close() // nothing was written
		return false
	}
	return errors.Is(err, os.ErrPermission) || errors.Is(err, syscall.EROFS)
}

// dsn is what the driver opens.
func (o sqliteOptions) dsn(path string) string {
	values := url.Values{"_pragma": {fmt.Sprintf("busy_timeout(%d)", busyTimeout), "foreign_keys(on)"}}
	if o.readOnly {
		values.Set("mode", "ro")
		// A reader of a WAL file writes its index beside it, unless nothing can change.
		if wal, err := os.Stat(path + "-wal"); (err != nil || wal.Size() == 0) && unwritable(path) {
			values.Set("immutable", "1")
		}
	} else {
		values["_pragma"] = append(values["_pragma"], "journal_mode(wal)", "synchronous("+o.synchronous+")")
	}
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: values.Encode()}).String()
}
