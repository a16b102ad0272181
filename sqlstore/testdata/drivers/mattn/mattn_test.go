package mattn_test

import (
	"testing"

	"github.com/mattn/go-sqlite3"

	"github.com/mlloop/mlloop/internal/drivers"
)

func TestDriver(t *testing.T) {
	drivers.Run(t, drivers.Driver{Driver: &sqlite3.SQLiteDriver{}, Options: "?_busy_timeout=10000&_foreign_keys=on&_journal_mode=wal"})
}
