package registry

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
)

// maxVouched is how many rows a Client remembers; past it, it begins anew.
const maxVouched = 4096

// vouched remembers the rows that the trail was seen to vouch for, as they were:
// events never change, so a row that is the same needs no second look.
type vouched struct {
	versions memo[numbered, Version]
	aliases  memo[named, Alias]
}

type numbered struct {
	modelID string
	number  int64
}

type named struct{ modelID, alias string }

// memo is the last known row under each key. It is safe for concurrent use.
type memo[K, V comparable] struct {
	mu   sync.Mutex
	rows map[K]V
}

// has reports whether the row under the key is the remembered one.
func (m *memo[K, V]) has(key K, row V) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	known, ok := m.rows[key]
	return ok && known == row
}

func (m *memo[K, V]) keep(key K, row V) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.rows == nil || len(m.rows) >= maxVouched {
		m.rows = map[K]V{}
	}
	m.rows[key] = row
}

// vouchVersion returns Corrupt unless the event that made v says what v says.
func (c *Client) vouchVersion(ctx context.Context, v Version) error {
	model := v.Model
	v.Model, v.State = "", "" // these change
	key := numbered{v.ModelID, v.Number}
	if c.vouched.versions.has(key, v) {
		return nil
	}
	e, err := c.eventAt(ctx, model, v.ModelID, v.Seq)
	switch {
	case err != nil:
		return err
	case e.Kind != VersionCreated || e.Version != v.Number:
		return fault.Errorf(ErrCorrupt, "event %d did not make version %d, as its row says: the row was changed beside the audit trail", v.Seq, v.Number)
	case e.Digest != v.Digest:
		return fault.Errorf(ErrCorrupt, "version %d has the digest %s, by the audit trail (event %d) it has %s: the row was changed beside the trail", v.Number, v.Digest, v.Seq, e.Digest)
	case e.Content != v.ContentHash():
		return fault.Errorf(ErrCorrupt, "version %d: its key, lineage or time is not as the audit trail (event %d) has it: the row was changed beside the trail", v.Number, v.Seq)
	}
	c.vouched.versions.keep(key, v)
	return nil
}

// vouchAlias returns Corrupt unless the event that moved a says where it points,
// and otherwise the Seq of the alias's newest move: another one than a's when it
// was moved since, or the row put back to what it was.
func (c *Client) vouchAlias(ctx context.Context, a Alias, modelID string) (newest int64, err error) {
	model := a.Model
	a.Model = ""
	key := named{modelID, a.Name}
	if c.vouched.aliases.has(key, a) {
		return a.Seq, nil
	}
	e, err := c.eventAt(ctx, model, modelID, a.Seq)
	if err != nil {
		return 0, err
	}
	if e.Kind != AliasSet || e.Alias != a.Name || e.To != strconv.FormatInt(a.Version, 10) || !e.Time.Equal(a.MovedAt) {
		return 0, fault.Errorf(ErrCorrupt, "alias %s points at version %d, by the audit trail (event %d) it does not, or not since %s: the row was changed beside the trail", a.Name, a.Version, a.Seq, a.MovedAt.Format(time.RFC3339Nano))
	}
	moves, err := c.store.Events(ctx, EventQuery{Model: model, Alias: a.Name, Newest: true, Limit: 1})
	if err != nil {
		return 0, err
	}
	if len(moves) == 0 || moves[0].ModelID != modelID {
		err = fault.Errorf(ErrCorrupt, "event %d, which moved the alias %s, is no longer in the audit trail", a.Seq, a.Name)
		return 0, c.unlessRenamed(ctx, err, model, modelID)
	}
	if moves[0].Seq == a.Seq {
		c.vouched.aliases.keep(key, a)
	}
	return moves[0].Seq, nil
}

// eventAt returns one event, after checking that it follows the one before it.
func (c *Client) eventAt(ctx context.Context, model, modelID string, seq int64) (Event, error) {
	events, err := c.store.Events(ctx, EventQuery{Model: model, After: max(seq-2, 0), Limit: 2})
	if err != nil {
		return Event{}, err
	}
	// Aliases and versions come after the event that made the model.
	if len(events) != 2 || events[0].Seq != seq-1 || events[1].Seq != seq {
		err = fault.Errorf(ErrCorrupt, "event %d or the one before is missing from the audit trail", seq)
		return Event{}, c.unlessRenamed(ctx, err, model, modelID)
	}
	e := events[1]
	if e.ModelID != modelID {
		err = fault.Errorf(ErrCorrupt, "event %d belongs to model %s, wanted is %s", seq, e.ModelID, modelID)
		return Event{}, c.unlessRenamed(ctx, err, model, modelID)
	}
	return e, e.checkHash(events[0].Hash)
}

// checkHash takes an event that follows one with the hash before.
func (e Event) checkHash(before string) error {
	switch {
	case e.Format != ChainFormat:
		return fault.Errorf(ErrUnsupported, "event %d has the format %d, this release reads %d: run the newer mlloop", e.Seq, e.Format, ChainFormat)
	case e.Hash != Chain(before, e):
		return fault.Errorf(ErrCorrupt, "event %d does not fit its hash: it, or the one before, was changed", e.Seq)
	}
	return nil
}
