package artifact

import (
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"sync"
	"time"

	"github.com/mlloop/mlloop/internal/atomicfile"
	"github.com/mlloop/mlloop/internal/blob"
)

// DefaultCacheSize bounds a cache whose options name no bound, in bytes.
const DefaultCacheSize = 10 << 30

// CacheOptions are a Cache's settings. The zero value of each is its default.
type CacheOptions struct {
	MaxBytes int64 // of all files together; 0: DefaultCacheSize
}

// Cache keeps copies of blobs in a folder of this machine, so that each is
// fetched once and verified once. The folder is bounded: what was used longest ago
// goes first, and what this process has not used before that, in the order in
// which it came. Several processes may share a folder; they may exceed the bound
// for a moment by what they fetch at once.
//
// A file is hashed when it comes, and once by each process that finds it there.
// After that the process trusts it for as long as it is the same file, with the
// same size and time. Nothing is lost with the folder: it can be removed at any
// time, and a cache that cannot write reads from the store instead and counts it.
//
// A Cache is safe for concurrent use.
type Cache struct {
	path string
	max  int64
	disk atomicfile.Folder

	mu       sync.Mutex
	trusted  map[string]*copied // by digest
	flights  map[string]*flight // by digest: who fetches or verifies it
	reserved int64              // bytes that are being fetched
	stats    CacheStats
}

// copied is a file that this process has verified.
type copied struct {
	info fs.FileInfo
	used time.Time
}

// flight is the one fetch of a digest that others wait for.
type flight struct {
	done chan struct{} // closed when err is set
	err  error
}

// CacheStats say what a cache has done since it was made.
type CacheStats struct {
	Hits     int64 // opened without a look at the bytes
	Verified int64 // found in the folder, and hashed
	Fetched  int64 // came from the store
	Evicted  int64 // removed to make room
	Damaged  int64 // found in the folder with other bytes, and removed
	Streamed int64 // read from the store, because the folder could not take them
	// LastError is why the folder could not take the last of Streamed; nil when it
	// was too small.
	LastError error
}

// NewCache returns a cache in the folder path, which is made when it is needed.
// It does no I/O.
func NewCache(path string, opts *CacheOptions) *Cache {
	if opts == nil {
		opts = &CacheOptions{}
	}
	return &Cache{
		path: path, max: cmp.Or(opts.MaxBytes, DefaultCacheSize), disk: atomicfile.OS(),
		trusted: map[string]*copied{}, flights: map[string]*flight{},
	}
}

// Stats returns what the cache has done.
func (c *Cache) Stats() CacheStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stats
}

func (c *Cache) count(what *int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	*what++
}

// Open opens the blob of the store s, from the folder where it can. The bytes
// have the digest, or reading them to the end reports Corrupt. Many who open one
// blob at once cause one fetch. Errors: those of s; Corrupt when the store yields
// other bytes.
func (c *Cache) Open(ctx context.Context, s Store, digest string) (io.ReadCloser, error) {
	for {
		if err := blob.Check(ctx, digest); err != nil {
			return nil, err
		}
		if f := c.hit(digest); f != nil {
			return f, nil
		}
		f, lead := c.join(digest)
		if lead {
			r, err := c.fill(ctx, s, digest)
			c.land(digest, f, err)
			if errors.Is(err, errStream) {
				return c.stream(ctx, s, digest)
			}
			return r, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-f.done:
		}
		switch {
		case f.err == nil, errors.Is(f.err, context.Canceled), errors.Is(f.err, context.DeadlineExceeded):
			// It is there, or who fetched it gave up.
		case errors.Is(f.err, errStream):
			return c.stream(ctx, s, digest)
		default:
			return nil, f.err
		}
	}
}

// errStream says that the folder cannot take a blob.
var errStream = errors.New("read it from the store")

// stream reads from the store and verifies.
func (c *Cache) stream(ctx context.Context, s Store, digest string) (io.ReadCloser, error) {
	c.count(&c.stats.Streamed)
	r, err := s.GetRange(ctx, digest, 0, -1)
	if err != nil {
		return nil, err
	}
	return blob.Verify(r, digest), nil
}

// hit opens a file that this process has verified and that did not change.
func (c *Cache) hit(digest string) io.ReadCloser {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.trusted[digest]
	if t == nil {
		return nil
	}
	f, info, err := c.open(digest)
	if err != nil || !unchanged(t.info, info) {
		delete(c.trusted, digest)
		if err == nil {
			_ = f.Close() // opened for reading
		}
		return nil
	}
	t.used = time.Now()
	c.stats.Hits++
	return f
}

// open opens a file of the folder.
func (c *Cache) open(digest string) (atomicfile.File, fs.FileInfo, error) {
	root, err := c.disk.Sub(c.path)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = root.Close() }() // opened for its name alone
	f, err := root.Open(digest)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err != nil {
		_ = f.Close() // opened for reading
		return nil, nil, err
	}
	return f, info, nil
}

// join returns the flight of the digest, and whether the caller is to lead it.
func (c *Cache) join(digest string) (*flight, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.flights[digest]; f != nil {
		return f, false
	}
	f := &flight{done: make(chan struct{})}
	c.flights[digest] = f
	return f, true
}

// land ends a flight.
func (c *Cache) land(digest string, f *flight, err error) {
	c.mu.Lock()
	delete(c.flights, digest)
	c.mu.Unlock()
	f.err = err
	close(f.done)
}
