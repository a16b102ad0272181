package retrain

import (
	"context"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
)

// Backup says what a backup holds.
type Backup struct {
	TakenAt   time.Time
	Rows      int64 // of all tables
	Artifacts int64
	Bytes     int64 // of the artifacts
	// Missing are the digests of artifacts that runs or versions name and that the
	// artifact store does not have, or has damaged. Nothing can bring them back.
	Missing []string
}

// Archive backs up what Stores keep. Implementations are safe for concurrent use.
type Archive interface {
	// Backup is Stores.Backup for s, which is checked to be what it knows.
	Backup(ctx context.Context, s *Stores, dir string) (Backup, error)
}

// Backup writes everything that the stores keep into the folder, which must be
// new or empty: all rows as they are at one moment, while others go on writing,
// and the artifacts that they name. It holds as much in memory as a few rows
// take. The folder is complete once Backup has returned without an error;
// retrainsql.Restore takes no other, and brings it into an empty database, SQLite
// or PostgreSQL, whichever it was. The audit trails are verified before.
//
// Workflows under way are left out: after a restore a fit begins anew. While it
// runs on SQLite, the file's write-ahead log grows.
//
// Errors: Unsupported for stores without an Archive, or of which one was
// replaced; AlreadyExists for a folder with something in it; Corrupt when an audit
// trail does not verify; Unavailable.
func (s *Stores) Backup(ctx context.Context, dir string) (Backup, error) {
	if s.Archive == nil {
		return Backup{}, fault.Errorf(fault.Unsupported, "retrain: back up: these stores have no Archive: use those of retrainsql.Open")
	}
	return s.Archive.Backup(ctx, s, dir)
}
