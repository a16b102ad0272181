package registry

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
)

// ChampionAt returns the version that was champion at time t, by the audit
// trail: it reads the last move of the alias until then, by index, and checks its
// hash. Errors: Invalid; NotFound when the model, or a champion then, does not
// exist; Corrupt.
func (c *Client) ChampionAt(ctx context.Context, model string, t time.Time) (Version, error) {
	var problems fault.Problems
	checkModel(&problems, model)
	return ask(problems, func() (Version, error) {
		return settled(func() (Version, error) { return c.championAt(ctx, model, t) })
	}, fmt.Sprintf("champion of %s at %s", model, t.UTC().Format(time.RFC3339Nano)))
}

func (c *Client) championAt(ctx context.Context, model string, t time.Time) (Version, error) {
	if t.IsZero() {
		t = t.Add(1) // the zero time would ask for any time
	}
	events, err := c.store.Events(ctx, EventQuery{Model: model, Alias: Champion, Until: t, Newest: true, Limit: 1})
	if err != nil {
		return Version{}, err
	}
	if len(events) == 0 || events[0].To == "" { // never set, or deleted
		return Version{}, fault.Errorf(ErrNotFound, "there was none: not found")
	}
	// Nobody changed that event: it fits its hash and the one before.
	if _, err := c.eventAt(ctx, model, events[0].ModelID, events[0].Seq); err != nil {
		return Version{}, err
	}
	number, err := strconv.ParseInt(events[0].To, 10, 64)
	if err != nil {
		return Version{}, fault.Errorf(ErrCorrupt, "the audit trail names version %q", events[0].To)
	}
	v, err := c.store.Version(ctx, model, number)
	if err != nil {
		return Version{}, err
	}
	if v.ModelID != events[0].ModelID {
		return Version{}, renamed{fault.Errorf(ErrCorrupt, "version %d belongs to model %s, wanted is %s", number, v.ModelID, events[0].ModelID)}
	}
	return v, c.vouchVersion(ctx, v)
}

// VerifyAudit checks a model's whole audit trail, and that the tables say what
// it tells: no event was changed, dropped or inserted after it was stored, and
// every version's digest, key, lineage and state, every alias and the model's name
// and time are as the events left them. With a Head it also checks that the trail still holds the event that
// was its last then: events missing at the end, and a trail rewritten from
// scratch, can be told by nothing else. Check the Head's signature before, see
// Head.Verify. The model may be changed meanwhile.
//
// Errors: Invalid; NotFound for the model; Corrupt, naming the first event,
// version or alias that does not fit; Unsupported for events of a newer release.
func (c *Client) VerifyAudit(ctx context.Context, model string, since *Head) error {
	var problems fault.Problems
	checkModel(&problems, model)
	if since != nil {
		checkNumber(&problems, "since: event", since.Seq, 1)
	}
	_, err := ask(problems, func() (int64, error) {
		return settled(func() (int64, error) { return c.verifyAudit(ctx, model, since) })
	}, "verify the audit trail of "+model)
	return err
}

func (c *Client) verifyAudit(ctx context.Context, model string, since *Head) (seq int64, err error) {
	r := &replay{model: model, since: since, aliases: map[string]target{}}
	if err := c.replay(ctx, r); err != nil {
		return 0, err
	}
	if err := r.end(); err != nil {
		return 0, err
	}
	id := r.last.ModelID
	if err := c.settleTables(ctx, r); err != nil {
		return 0, c.unlessRenamed(ctx, err, model, id)
	}
	return r.last.Seq, nil
}

// settleTables compares the tables with the trail. Whoever changes the model
// meanwhile leaves events: a row that is not as the trail had it before has to be
// as it had it since.
func (c *Client) settleTables(ctx context.Context, r *replay) error {
	doubts, err := c.compare(ctx, r)
	if err != nil {
		return err
	}
	r.passed = &passed{states: map[int64][]State{}, aliases: map[string][]target{}}
	if err := c.replay(ctx, r); err != nil {
		return err
	}
	return doubts.settle(r)
}

// replay continues with the events after the last one.
func (c *Client) replay(ctx context.Context, r *replay) error {
	for {
		events, err := c.store.Events(ctx, EventQuery{Model: r.model, After: r.last.Seq})
		if err != nil || len(events) == 0 {
			return err
		}
		for _, e := range events {
			if err := r.add(e); err != nil {
				return err
			}
		}
	}
}
