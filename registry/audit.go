package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
)

// Chain returns the hash of an event that follows one with the hash before
// ("" for a model's first): the SHA-256, in hex, of a JSON array of before and
// the event's fields in their order, the time as Unix milliseconds. Stores put
// it into Event.Hash; changing, dropping or inserting an event breaks the chain.
func Chain(before string, e Event) string {
	text, err := json.Marshal([]any{before, e.Seq, e.Model, e.Version, e.Kind, e.Alias, e.From, e.To, e.Actor, e.Reason, e.Time.UnixMilli()})
	if err != nil {
		return "" // strings and integers always encode
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// Events returns a model's audit trail from after the given Seq (0: from the
// beginning), oldest first, at most limit events (0: 1,000). Errors: Invalid;
// NotFound for the model.
func (c *Client) Events(ctx context.Context, model string, after int64, limit int) ([]Event, error) {
	var problems fault.Problems
	checkModel(&problems, model)
	checkNumber(&problems, "after", after, 0)
	checkNumber(&problems, "limit", int64(limit), 0)
	return ask(problems, func() ([]Event, error) { return c.store.Events(ctx, model, after, limit) }, "list events of "+model)
}

// ChampionAt returns the version that was champion at time t, by the audit
// trail. Errors: Invalid; NotFound when the model, or a champion then, does not
// exist.
func (c *Client) ChampionAt(ctx context.Context, model string, t time.Time) (Version, error) {
	var problems fault.Problems
	checkModel(&problems, model)
	return ask(problems, func() (Version, error) { return c.championAt(ctx, model, t) }, fmt.Sprintf("champion of %s at %s", model, t.UTC().Format(time.RFC3339Nano)))
}

func (c *Client) championAt(ctx context.Context, model string, t time.Time) (Version, error) {
	champion := "" // version number
	err := c.eachEvent(ctx, model, func(e Event) error {
		if e.Alias == Champion && !e.Time.After(t) {
			champion = e.To // "" when it was deleted
		}
		return nil
	})
	if err != nil {
		return Version{}, err
	}
	if champion == "" {
		return Version{}, fault.Errorf(ErrNotFound, "there was none: not found")
	}
	number, err := strconv.ParseInt(champion, 10, 64)
	if err != nil {
		return Version{}, fault.Errorf(ErrCorrupt, "the audit trail names version %q", champion)
	}
	return c.store.Version(ctx, model, number)
}

// VerifyAudit reads a model's whole audit trail and checks that no event was
// changed, dropped or inserted after it was stored. Events missing at the very
// end cannot be told: keep the last Hash elsewhere and compare. Errors: Invalid;
// NotFound for the model; Corrupt, naming the first event that does not fit.
func (c *Client) VerifyAudit(ctx context.Context, model string) error {
	var problems fault.Problems
	checkModel(&problems, model)
	_, err := ask(problems, func() (Event, error) { return c.verifyAudit(ctx, model) }, "verify the audit trail of "+model)
	return err
}

func (c *Client) verifyAudit(ctx context.Context, model string) (last Event, err error) {
	err = c.eachEvent(ctx, model, func(e Event) error {
		if e.Seq != last.Seq+1 || e.Model != model {
			return fault.Errorf(ErrCorrupt, "event %d follows event %d: some are missing", e.Seq, last.Seq)
		}
		if e.Hash != Chain(last.Hash, e) {
			return fault.Errorf(ErrCorrupt, "event %d does not fit its hash: it, or the one before, was changed", e.Seq)
		}
		last = e
		return nil
	})
	return last, err
}

// eachEvent calls f with every event of the model, oldest first.
func (c *Client) eachEvent(ctx context.Context, model string, f func(Event) error) error {
	for after := int64(0); ; {
		events, err := c.store.Events(ctx, model, after, 0)
		if err != nil || len(events) == 0 {
			return err
		}
		for _, e := range events {
			if err := f(e); err != nil {
				return err
			}
		}
		after = events[len(events)-1].Seq
	}
}
