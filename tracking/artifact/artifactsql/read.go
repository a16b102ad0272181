package artifactsql

import (
	"context"
	"errors"
	"io"
	"iter"

	"github.com/mlloop/mlloop/internal/blob"
	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/sqlstore"
	"github.com/mlloop/mlloop/tracking/artifact"
)

// Get implements artifact.Store. Reading ends when ctx does.
func (s *Store) Get(ctx context.Context, digest string) (io.ReadCloser, error) {
	r, err := s.GetRange(ctx, digest, 0, -1)
	if err != nil {
		return nil, err
	}
	return blob.Verify(r, digest), nil
}

// GetRange implements artifact.Store. Reading ends when ctx does.
func (s *Store) GetRange(ctx context.Context, digest string, offset, length int64) (io.ReadCloser, error) {
	b, err := s.blob(ctx, digest)
	if err != nil {
		return nil, err
	}
	length, err = blob.Clip(b.info.Size, offset, length)
	if err != nil {
		return nil, err
	}
	return &reader{ctx: ctx, db: s.db, blob: b, at: offset, end: offset + length}, nil
}

// Stat implements artifact.Store.
func (s *Store) Stat(ctx context.Context, digest string) (artifact.Info, error) {
	b, err := s.blob(ctx, digest)
	if err != nil {
		return artifact.Info{}, err
	}
	return b.info, nil
}

func (s *Store) blob(ctx context.Context, digest string) (stored, error) {
	if err := blob.Check(ctx, digest); err != nil {
		return stored{}, err
	}
	return readBlob(ctx, s.db, digest, "")
}

// reader reads a blob chunk by chunk, and holds no connection between two. It is
// for one goroutine at a time.
type reader struct {
	ctx     context.Context // of the caller who opened the blob and reads it
	db      *sqlstore.DB
	blob    stored
	at, end int64
	rest    []byte // of the chunk that was read last
	closed  bool
}

func (r *reader) Read(p []byte) (int, error) {
	switch {
	case r.closed:
		return 0, fault.Errorf(fault.Closed, "blob %s: read after Close", r.blob.info.Digest)
	case r.at == r.end:
		return 0, io.EOF
	case len(r.rest) == 0:
		if err := r.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	r.at += int64(n)
	return n, nil
}

// next reads the chunk that holds the byte at.
func (r *reader) next() error {
	number := r.at / chunkSize
	var content []byte
	row := r.db.QueryRow(r.ctx, `SELECT content FROM {p}artifact_chunk WHERE upload = ? AND number = ?`, r.blob.upload, number)
	err := row.Scan(&content)
	first := number * chunkSize
	switch {
	case errors.Is(err, fault.NotFound):
		return r.missing(number)
	case err != nil:
		return err
	case int64(len(content)) != min(chunkSize, r.blob.info.Size-first):
		return r.damaged("chunk %d has %d bytes", number, len(content))
	}
	r.rest = content[r.at-first : min(int64(len(content)), r.end-first)]
	return nil
}

// missing is the error of a chunk that is not there: it was removed with the
// blob, or the table is damaged.
func (r *reader) missing(number int64) error {
	now, err := readBlob(r.ctx, r.db, r.blob.info.Digest, "")
	if err == nil && now.upload == r.blob.upload {
		return r.damaged("chunk %d is missing", number)
	}
	if err != nil && !errors.Is(err, fault.NotFound) {
		return err
	}
	return fault.Errorf(fault.NotFound, "blob %s was deleted or put again more than %v ago, and is read no more: open it again", r.blob.info.Digest, reading)
}

func (r *reader) damaged(format string, args ...any) error {
	return fault.Errorf(fault.Corrupt, "blob %s is damaged: "+format+": restore it from a backup, or put the file again", append([]any{r.blob.info.Digest}, args...)...)
}

func (r *reader) Close() error {
	r.closed, r.rest = true, nil
	return nil
}

// List implements artifact.Store. It reads pages, and holds no connection
// between two.
func (s *Store) List(ctx context.Context) iter.Seq2[artifact.Info, error] {
	const page = 500
	return func(yield func(artifact.Info, error) bool) {
		last := ""
		for {
			infos, err := sqlstore.Select(ctx, s.db, scanInfo,
				`SELECT digest, size, modified_at FROM {p}artifact_blob WHERE digest > ? ORDER BY digest LIMIT ?`, last, page)
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				yield(artifact.Info{}, err)
				return
			}
			for _, info := range infos {
				if !yield(info, nil) {
					return
				}
				last = info.Digest
			}
			if len(infos) < page {
				return
			}
		}
	}
}

func scanInfo(row sqlstore.Scanner) (info artifact.Info, err error) {
	err = row.Scan(&info.Digest, &info.Size, sqlstore.Millis(&info.ModTime))
	return info, err
}
