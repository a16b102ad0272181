package alert

import (
	"encoding/json"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
)

// Cursor is how far a sender has come in a feed. It is stored as JSON, with the
// version of its format:
//
//	{"version": 1, "seq": 41, "attempts": 3, "first_failure": "…", "next_try": "…", "last_error": "…"}
type Cursor struct {
	Seq          int64     // the last message that is done with: taken, or given up
	Attempts     int       // that failed in a row; 0 when the last one was answered
	FirstFailure time.Time // since a message was last taken; zero when none failed
	NextTry      time.Time // not before it, while Attempts > 0
	LastError    string    // of the last attempt that failed since a message was taken
}

const cursorVersion = 1

type cursorJSON struct {
	Version      int       `json:"version"`
	Seq          int64     `json:"seq"`
	Attempts     int       `json:"attempts,omitempty"`
	FirstFailure time.Time `json:"first_failure,omitzero"`
	NextTry      time.Time `json:"next_try,omitzero"`
	LastError    string    `json:"last_error,omitempty"`
}

// MarshalJSON implements json.Marshaler.
func (c Cursor) MarshalJSON() ([]byte, error) {
	return json.Marshal(cursorJSON{cursorVersion, c.Seq, c.Attempts, c.FirstFailure.UTC(), c.NextTry.UTC(), c.LastError})
}

// UnmarshalJSON implements json.Unmarshaler. Errors: Corrupt, Unsupported for a
// later version's.
func (c *Cursor) UnmarshalJSON(b []byte) error {
	var j cursorJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return fault.Errorf(fault.Corrupt, "alert: cursor: %w", err)
	}
	if j.Version > cursorVersion {
		return fault.Errorf(fault.Unsupported, "alert: cursor: version %d is newer than this program's %d: run the newer mlloop", j.Version, cursorVersion)
	}
	if j.Version < 1 || j.Seq < 0 || j.Attempts < 0 {
		return fault.Errorf(fault.Corrupt, "alert: cursor: version %d, seq %d, attempts %d", j.Version, j.Seq, j.Attempts)
	}
	*c = Cursor{j.Seq, j.Attempts, j.FirstFailure, j.NextTry, j.LastError}
	return nil
}

// maxRetryAfter bounds what a receiver can ask for, so that none stops its own
// messages. A NextTry that lies further ahead was written by a clock that has
// since been set back.
const maxRetryAfter = time.Hour

// lastError bounds what is kept of an error, in bytes.
const lastError = 500

// due reports whether the next attempt may be made.
func (c Cursor) due(now time.Time, longest time.Duration) bool {
	wait := c.NextTry.Sub(now)
	return c.Attempts == 0 || wait <= 0 || wait > max(longest, maxRetryAfter)
}

// failed is the cursor after an attempt whose error is temporary.
func (c Cursor) failed(now time.Time, err error, o CourierOptions) Cursor {
	c = c.noted(now, err)
	c.Attempts++
	wait := o.Backoff
	for range c.Attempts - 1 {
		if wait = min(2*wait, o.MaxBackoff); wait == o.MaxBackoff {
			break
		}
	}
	c.NextTry = now.Add(max(wait, min(RetryAfter(err), maxRetryAfter)))
	return c
}

// refused is the cursor after a permanent error: the receiver is there, and has
// done with the message.
func (c Cursor) refused(now time.Time, seq int64, err error) Cursor {
	c = c.noted(now, err)
	c.Seq, c.Attempts, c.NextTry = seq, 0, time.Time{}
	return c
}

func (c Cursor) noted(now time.Time, err error) Cursor {
	if c.FirstFailure.IsZero() || c.FirstFailure.After(now) { // after now: the clock was set back
		c.FirstFailure = now
	}
	c.LastError = cut(err.Error(), lastError)
	return c
}

// expired reports whether the sender has failed for giveUp while the message
// waited. A message whose time lies ahead counts from the first failure.
func (c Cursor) expired(m Message, now time.Time, giveUp time.Duration) bool {
	since := c.FirstFailure
	if m.Time.After(since) && !m.Time.After(now) {
		since = m.Time
	}
	return now.Sub(since) >= giveUp
}
