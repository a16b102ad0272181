package ncruces_test

import (
	"testing"

	"github.com/ncruces/go-sqlite3/driver"
	_ "github.com/ncruces/go-sqlite3/embed" // SQLite itself, as WebAssembly

	"github.com/mlloop/mlloop/internal/drivers"
)

func TestDriver(t *testing.T) {
	drivers.Run(t, drivers.Driver{Driver: &driver.SQLite{}, Options: "?_pragma=busy_timeout(10000)&_pragma=foreign_keys(on)&_pragma=journal_mode(wal)"})
}
