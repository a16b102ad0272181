package artifact

import (
	"context"
	"io"

	"github.com/mlloop/mlloop/internal/atomicfile"
)

// lockWithin takes the folder's lock, or gives up when ctx ends: a process that
// was stopped may hold it.
func lockWithin(ctx context.Context, root atomicfile.Folder, exclusive bool) (io.Closer, error) {
	type taken struct {
		lock io.Closer
		err  error
	}
	done := make(chan taken, 1)
	go func() {
		lock, err := root.Lock(lockFile, exclusive)
		done <- taken{lock, err}
	}()
	select {
	case t := <-done:
		return t.lock, t.err
	case <-ctx.Done():
		go func() {
			if t := <-done; t.err == nil {
				_ = t.lock.Close() // nothing is written to it
			}
		}()
		return nil, ctx.Err()
	}
}
