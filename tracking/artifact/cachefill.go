package artifact

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/mlloop/mlloop/internal/atomicfile"
	"github.com/mlloop/mlloop/internal/blob"
	"github.com/mlloop/mlloop/internal/fault"
)

// fill verifies the file that is in the folder, or fetches it, and opens it.
// Errors: errStream when the folder cannot take it; those of the store.
func (c *Cache) fill(ctx context.Context, s Store, digest string) (io.ReadCloser, error) {
	verified, err := c.verify(ctx, digest)
	if err != nil {
		return nil, err
	}
	if verified == nil {
		if verified, err = c.fetch(ctx, s, digest); err != nil {
			return nil, err
		}
	}
	f, info, err := c.open(digest)
	if err != nil {
		return nil, c.streamBecause(err)
	}
	if !unchanged(verified, info) { // another process put a file in its place
		_ = f.Close() // opened for reading
		return nil, c.streamBecause(nil)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trusted[digest] = &copied{info: info, used: time.Now()}
	return f, nil
}

// unchanged reports whether a file is the one that was verified.
func unchanged(verified, now fs.FileInfo) bool {
	return os.SameFile(verified, now) && verified.Size() == now.Size() && verified.ModTime().Equal(now.ModTime())
}

func (c *Cache) streamBecause(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stats.LastError = err
	return errStream
}

// verify hashes the file that is in the folder, and describes it; nil when there
// is none that is sound. A damaged one is removed. An error is the context's.
func (c *Cache) verify(ctx context.Context, digest string) (fs.FileInfo, error) {
	f, info, err := c.open(digest)
	if err != nil {
		return nil, nil
	}
	got, _, err := blob.Copy(ctx, io.Discard, f, nil)
	_ = f.Close() // opened for reading
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err == nil && got == digest:
		c.count(&c.stats.Verified)
		return info, nil
	}
	c.count(&c.stats.Damaged)
	if root, err := c.disk.Sub(c.path); err == nil {
		_ = root.Remove(digest) // or it is replaced
		_ = root.Close()        // opened for its name alone
	}
	return nil, nil
}

// fetch copies the blob into the folder, and describes the file. Nothing is
// synced: what a machine that dies leaves is hashed before it is used.
func (c *Cache) fetch(ctx context.Context, s Store, digest string) (fs.FileInfo, error) {
	info, err := s.Stat(ctx, digest)
	if err != nil {
		return nil, err
	}
	root, err := c.folder()
	if err != nil {
		return nil, c.streamBecause(err)
	}
	defer func() { _ = root.Close() }() // opened for its name alone
	if !c.reserve(root, info.Size) {
		return nil, c.streamBecause(nil)
	}
	defer c.release(info.Size)
	temp := atomicfile.Temp(digest)
	file, err := atomicfile.Create(root, temp)
	if err != nil {
		return nil, c.streamBecause(err)
	}
	if err = c.copy(ctx, s, digest, file); err == nil {
		written, failed := c.place(root, file, temp, digest)
		if failed == nil {
			c.count(&c.stats.Fetched)
			return written, nil
		}
		err = c.streamBecause(failed)
	}
	file.Discard()
	return nil, err
}

// place ends a file that was written, and gives it its name.
func (c *Cache) place(root atomicfile.Folder, file *atomicfile.Pending, temp, digest string) (fs.FileInfo, error) {
	if err := file.Close(); err != nil {
		return nil, err
	}
	info, err := root.Lstat(temp)
	if err == nil {
		err = root.Rename(temp, digest)
	}
	return info, err
}

// folder opens the folder, and makes it if need be.
func (c *Cache) folder() (atomicfile.Folder, error) {
	root, err := c.disk.Sub(c.path)
	if !errors.Is(err, fs.ErrNotExist) {
		return root, err
	}
	if err := atomicfile.MkdirAll(c.disk, filepath.Clean(c.path)); err != nil {
		return nil, err
	}
	return c.disk.Sub(c.path)
}

// copy trusts no store: it hashes what comes.
func (c *Cache) copy(ctx context.Context, s Store, digest string, w io.Writer) error {
	r, err := s.GetRange(ctx, digest, 0, -1)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }() // opened for reading
	got, _, err := blob.Copy(ctx, w, r, c.streamBecause)
	if err == nil && got != digest {
		err = fault.Errorf(ErrCorrupt, "blob %s is damaged: the store yields bytes of digest %s: restore it from a backup, or put the file again", digest, got)
	}
	return err
}

// reserve makes room for a file of the size, and reports whether it could.
func (c *Cache) reserve(root atomicfile.Folder, size int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if size+c.reserved > c.max {
		return false
	}
	entries, err := root.ReadDir(".")
	if err != nil {
		return false
	}
	total, files := c.survey(root, entries)
	for _, f := range files {
		if total+c.reserved+size <= c.max {
			break
		}
		if err := root.Remove(f.digest); err != nil && !errors.Is(err, fs.ErrNotExist) {
			continue // in use, where that forbids it
		}
		delete(c.trusted, f.digest)
		c.stats.Evicted++
		total -= f.size
	}
	if total+c.reserved+size > c.max {
		return false
	}
	c.reserved += size
	return true
}

func (c *Cache) release(size int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reserved -= size
}

// cached is a file in the folder.
type cached struct {
	digest string
	size   int64
	known  bool // used by this process
	used   time.Time
}

// survey returns how much is in the folder, less what is reserved, and its files
// in the order in which they are to go. It removes what fetches that died left
// behind.
func (c *Cache) survey(root atomicfile.Folder, entries []fs.DirEntry) (total int64, files []cached) {
	var pending int64 // of all processes; our own is reserved
	for _, e := range entries {
		info, err := e.Info()
		switch {
		case err != nil: // removed meanwhile
		case strings.HasPrefix(e.Name(), "."):
			if info.ModTime().Before(time.Now().Add(-stale)) {
				_ = root.Remove(e.Name()) // it frees space and no more
			} else {
				pending += info.Size()
			}
		case blob.CheckDigest(e.Name()) == nil:
			f := cached{digest: e.Name(), size: info.Size(), used: info.ModTime()}
			if t := c.trusted[f.digest]; t != nil {
				f.known, f.used = true, t.used
			}
			total += f.size
			files = append(files, f)
		}
	}
	total += max(0, pending-c.reserved)
	slices.SortFunc(files, func(a, b cached) int {
		if a.known != b.known {
			if b.known {
				return -1
			}
			return 1
		}
		return a.used.Compare(b.used)
	})
	return total, files
}
