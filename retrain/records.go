package retrain

import (
	"context"
	"time"
)

// DefaultLimit is how many records a query without a Limit returns at most.
const DefaultLimit = 1000

// State is where a model's loop stands between steps.
type State struct {
	Model     string
	Rev       int64     // rises by one with each change; compare-and-set
	Token     int64     // of the lease under which it was written
	SteppedAt time.Time // the last completed Step
	Data      []byte    // the loop's own, JSON
}

// Cursor is how far one of the senders of a model's alerts has come.
type Cursor struct {
	Model  string
	Sender string
	Rev    int64  // rises by one with each change; compare-and-set
	Token  int64  // of the lease under which it was written
	Data   []byte // the loop's own, JSON
}

// Event is something that happened, for people and progress displays.
type Event struct {
	Seq   int64
	Model string
	Time  time.Time
	Kind  string // one of the Event constants, or the Stage that a retraining entered
	Text  string // for a reader
	Key   string // idempotency: one event a key
}

// Lease says which process steps the loop of a model, and until when it need not
// be asked again.
type Lease struct {
	Model  string
	Holder string    // names a life of a process; "": nobody has it
	Token  int64     // rises by one with each new holder, from 1: the fencing token of all that it writes
	Until  time.Time // when it ends unless it is renewed, by the store's own clock
}

// RetrainingQuery selects a model's retrainings, by Number.
type RetrainingQuery struct {
	Model   string
	From    int64 // only those with that Number or a higher one
	Version int64 // only those that made this version; 0: all
	Last    int   // only so many, the latest, at most DefaultLimit; 0: the first ones, as Limit says
	Limit   int   // at most so many, the first ones; 0: DefaultLimit
}

// EventQuery selects a model's events, by Seq.
type EventQuery struct {
	Model string
	After int64 // only those with a Seq above it
	Limit int   // 0: DefaultLimit
}

// Store keeps the loop's retrainings, events, state, configurations and leases.
// Stores are safe for concurrent use, by several processes where they outlive
// one. Embed UnimplementedStore, so that a method can be added without breaking
// you.
//
// Retrainings, states and cursors are written by compare-and-set and carry the
// Token of their writer's lease. Such a write is refused with Conflict, and
// changes nothing, unless the stored record's Rev is one less than its own (with
// Rev 1: unless none is stored), or when its Token is below the stored record's or
// below that of the model's lease. So whoever has lost the lease writes nothing
// any more, however late it wakes.
type Store interface {
	// PutRetraining stores r in the place of the one of its ID, by compare-and-set.
	// Errors: Conflict; AlreadyExists when its Number belongs to another ID.
	PutRetraining(ctx context.Context, r Retraining) error
	// Retrainings returns those that the query selects, by Number.
	Retrainings(ctx context.Context, q RetrainingQuery) ([]Retraining, error)
	// AppendEvent stores e; one whose Key is stored is left as it is. Whoever has
	// lost the lease may tell of it: an event needs no Token.
	AppendEvent(ctx context.Context, e Event) error
	// Events returns those that the query selects, by Seq, which is never reused. No
	// event appears later with a Seq below one that has been returned.
	Events(ctx context.Context, q EventQuery) ([]Event, error)
	// PutState stores the loop's state by compare-and-set. Errors: Conflict.
	PutState(ctx context.Context, s State) error
	// State returns the stored state. Errors: NotFound.
	State(ctx context.Context, model string) (State, error)
	// PutCursor stores how far a sender has come, by compare-and-set. Errors: Conflict.
	PutCursor(ctx context.Context, c Cursor) error
	// Cursor returns what PutCursor stored last. Errors: NotFound.
	Cursor(ctx context.Context, model, sender string) (Cursor, error)
	// PutConfig stores a configuration under its digest. What is stored under a
	// digest already stays.
	PutConfig(ctx context.Context, digest string, data []byte) error
	// Config returns the configuration with the digest. Errors: NotFound.
	Config(ctx context.Context, digest string) ([]byte, error)
	// AcquireLease takes the model's lease for ttl from now, by the store's own
	// clock, or renews it for its holder. It is free when nobody has had it, its
	// holder released it, or its time is over; whoever takes it then has it with the
	// next Token, but for its last holder, who goes on with its own when nobody had it
	// in between and it was not released. Of several that ask at once one gets it.
	// Errors: Conflict when another holds it, with the lease as that one has it;
	// Invalid without a model or a holder, or for a ttl below a millisecond.
	AcquireLease(ctx context.Context, model, holder string, ttl time.Duration) (Lease, error)
	// ReleaseLease ends the lease of its holder at once; the Token stays on record.
	// For anybody else it does nothing.
	ReleaseLease(ctx context.Context, model, holder string) error
	// Close releases what the store opened itself.
	Close() error

	mustEmbedUnimplementedStore()
}
