package tracking

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/mlloop/mlloop/internal/fault"
)

// Finish makes everything durable and marks the run as FINISHED, for good. When
// the store cannot be written the run stays RUNNING, and Finish may be called
// again. When a record was wrong (a bad key, a param with another value, one
// that the store refuses) or found the queue full, the run is finished all the
// same, all other records are stored, and the error names each wrong one and
// how many were dropped: see DroppedError. It returns when ctx is done, even if
// the store hangs.
//
// Errors: Unavailable, Denied, Closed; Conflict when the run has ended otherwise, by
// this handle or another one; Invalid, AlreadyExists and Unavailable of records
// that are not stored.
func (r *Run) Finish(ctx context.Context) error {
	if r == nil {
		return nil
	}
	return r.end(ctx, Finished, "")
}

// stopTime is how long Fail tries when its context has ended already.
const stopTime = 5 * time.Second

// Fail is Finish for a run that did not succeed: it marks the run as FAILED
// because of err, or as KILLED when err is context.Canceled. A context that is
// done does not keep it from doing so, within 5 seconds.
func (r *Run) Fail(ctx context.Context, err error) error {
	if r == nil {
		return nil
	}
	if ctx.Err() != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), stopTime)
		defer cancel()
	}
	status, cause := Failed, "failed"
	if errors.Is(err, context.Canceled) {
		status = Killed
	}
	if err != nil {
		cause = shorten(err.Error())
	}
	return r.end(ctx, status, cause)
}

func (r *Run) end(ctx context.Context, status Status, cause string) error {
	r.refuse()
	err := r.alone(ctx, func(ctx context.Context) error { return r.setEnded(ctx, status, cause) })
	if err != nil {
		return fmt.Errorf("tracking: end run %s: %w", r.info.ID, err)
	}
	if err := r.trouble.err(); err != nil {
		return fmt.Errorf("tracking: run %s is %s, but not every record is stored: %w", r.info.ID, status, err)
	}
	return nil
}

// setEnded writes what waits and then the status. The token is held.
func (r *Run) setEnded(ctx context.Context, status Status, cause string) error {
	if r.ended == "" {
		if err := r.client.checkOpen(); err != nil {
			return err
		}
		if err := r.write(ctx); err != nil {
			return err
		}
		ended, err := r.storeEnd(ctx, status, cause)
		if err != nil {
			return err
		}
		r.ended = ended
	}
	if r.ended != status {
		return fault.Errorf(ErrConflict, "the run is %s already", r.ended)
	}
	r.client.forgetTrouble(r.trouble)
	return nil
}

// storeEnd ends the run if it is RUNNING, and returns the status that it has
// now: another handle may have been quicker, or an earlier try whose answer was
// lost. What else was changed meanwhile, the name say, stays.
func (r *Run) storeEnd(ctx context.Context, status Status, cause string) (Status, error) {
	p := RunPatch{ID: r.info.ID, Rev: r.info.Rev, Status: status, EndedAt: r.client.timestamp(), Error: cause}
	for {
		stored, err := r.client.store.UpdateRun(ctx, p)
		switch {
		case !errors.Is(err, ErrConflict):
			return status, err
		case stored.Rev == p.Rev || stored.ID != p.ID: // no reason to try again
			return "", err
		case stored.Status != Running:
			return stored.Status, nil
		}
		p.Rev = stored.Rev
	}
}

// shorten cuts a text to what an error column holds, and mends its UTF-8.
func shorten(text string) string {
	runes := []rune(text) // invalid bytes become U+FFFD
	if len(runes) > maxErrorLength {
		runes = runes[:maxErrorLength]
	}
	return string(slices.DeleteFunc(runes, func(c rune) bool { return c == 0 || !utf8.ValidRune(c) }))
}
