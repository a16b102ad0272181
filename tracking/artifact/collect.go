package artifact

import (
	"context"
	"fmt"
	"time"
)

// Collected says what Collect did.
type Collected struct {
	Blobs int   // removed
	Bytes int64 // of them
	Kept  int   // because they are young, or keep wants them
}

// Collect removes the blobs whose ModTime is before the time and that keep does
// not want. It is safe beside writers that put a blob before they name it, also
// one that was there already: what was put since the time stays, and what was
// named before is seen by keep. So before lies further back than the longest time
// from the beginning of a Put to the name; a day is ample. An error of keep ends
// it. Errors: those of the store.
func Collect(ctx context.Context, s Store, before time.Time, keep func(ctx context.Context, digest string) (bool, error)) (Collected, error) {
	var done Collected
	for info, err := range s.List(ctx) {
		if err != nil {
			return done, fmt.Errorf("artifact: collect: %w", err)
		}
		removed, err := collect(ctx, s, info, before, keep)
		switch {
		case err != nil:
			return done, fmt.Errorf("artifact: collect %s: %w", info.Digest, err)
		case removed:
			done.Blobs++
			done.Bytes += info.Size
		default:
			done.Kept++
		}
	}
	return done, nil
}

func collect(ctx context.Context, s Store, info Info, before time.Time, keep func(context.Context, string) (bool, error)) (bool, error) {
	if !info.ModTime.Before(before) {
		return false, nil
	}
	if wanted, err := keep(ctx, info.Digest); wanted || err != nil {
		return false, err
	}
	return s.Expire(ctx, info.Digest, before)
}
