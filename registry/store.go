package registry

import (
	"context"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
)

// The kinds of error that this package returns; test with errors.Is.
var (
	ErrNotFound      = fault.NotFound
	ErrAlreadyExists = fault.AlreadyExists
	ErrConflict      = fault.Conflict
	ErrInvalid       = fault.Invalid
	ErrUnsupported   = fault.Unsupported
	ErrUnavailable   = fault.Unavailable
	ErrClosed        = fault.Closed
	ErrCorrupt       = fault.Corrupt
)

// Champion is the alias of the version that answers production traffic.
const Champion = "champion"

// State is what people and gates decided about a version.
type State string

// The states. A new version is a candidate; serving is told by aliases alone.
const (
	Candidate State = "candidate"
	Approved  State = "approved"
	Rejected  State = "rejected"
	Archived  State = "archived"
)

// Model is a named series of versions.
type Model struct {
	Name      string
	CreatedAt time.Time
}

// Lineage says what a version was made from.
type Lineage struct {
	RunID      string `json:"run_id,omitempty"`      // the tracking run that fitted it
	DataDigest string `json:"data_digest,omitempty"` // the table it was fitted on
	Parent     int64  `json:"parent,omitempty"`      // the champion it was made to replace; 0: none
	Code       string `json:"code,omitempty"`        // revision of the program

	// DataFrom and DataTo are the time range of the rows that it was fitted on, both
	// rows included, in UTC milliseconds; zero when unknown. What lies in it cannot
	// judge the version.
	DataFrom time.Time `json:"data_from,omitzero"`
	DataTo   time.Time `json:"data_to,omitzero"`
	Rows     int64     `json:"rows,omitempty"` // how many these rows were; 0: unknown
}

// Version is one immutable model version; only its State changes.
type Version struct {
	Model     string
	Number    int64  // 1, 2, 3 … within the model, never reused
	Digest    string // of the bundle: the version's identity
	Key       string // the caller's idempotency key; unique within the model unless ""
	State     State
	Lineage   Lineage
	CreatedAt time.Time
}

// Alias is a movable name for a version.
type Alias struct {
	Model   string
	Name    string
	Version int64
	MovedAt time.Time
}

// The kinds of event.
const (
	ModelCreated   = "model.created"
	VersionCreated = "version.created" // To: its state
	VersionState   = "version.state"   // From, To: states
	AliasSet       = "alias.set"       // From, To: version numbers; Version: the new one
	AliasDeleted   = "alias.deleted"   // From, Version: the version it pointed at
)

// Event is one line of a model's audit trail.
type Event struct {
	Seq     int64 // 1, 2, 3 … within the model
	Model   string
	Version int64  // 0: about the model
	Kind    string // model.created, version.created, version.state, alias.set, alias.deleted
	Alias   string
	From    string // state or version number before; "" when there was none
	To      string
	Actor   string // who
	Reason  string // why
	Time    time.Time
	Hash    string // Chain of the event before and this one
}

// Store is what a backend implements. Arguments have been validated by the
// Client, times are UTC milliseconds. Every change is stored together with its
// event, both or neither; the store fills in the event's Seq and Hash (with
// Chain) and, in CreateVersion, its Version. Events are never changed or deleted.
// A call that finds everything as it asks for stores nothing, no event either.
// Stores are safe for concurrent use, by several processes too. Embed
// UnimplementedStore, so that a method can be added without breaking you.
type Store interface {
	// CreateModel stores m. Errors: AlreadyExists.
	CreateModel(ctx context.Context, m Model, e Event) error
	// Models returns all models, by name.
	Models(ctx context.Context) ([]Model, error)
	// CreateVersion stores v under the next number and returns it. When a version
	// with v.Key exists, that one comes back and nothing is stored; if it has
	// another digest, AlreadyExists. Errors: NotFound (model), AlreadyExists.
	CreateVersion(ctx context.Context, v Version, e Event) (Version, error)
	// Version returns a version. Errors: NotFound.
	Version(ctx context.Context, model string, number int64) (Version, error)
	// Versions returns a model's versions, newest first. Errors: NotFound (model).
	Versions(ctx context.Context, model string) ([]Version, error)
	// SetState moves a version from one state to another; in to already, it is a
	// no-op. Errors: NotFound, Conflict when its state is neither.
	SetState(ctx context.Context, model string, number int64, from, to State, e Event) error
	// SetAlias points the alias at version to if it now points at version from
	// (0: does not exist), and with to 0 deletes it. When it points at to already
	// (0: does not exist), whatever from is, it is a no-op. Errors: NotFound (model
	// or version to), Conflict when it points elsewhere.
	SetAlias(ctx context.Context, model, alias string, from, to int64, at time.Time, e Event) error
	// Alias returns the alias. Errors: NotFound (model or alias).
	Alias(ctx context.Context, model, alias string) (Alias, error)
	// Aliases returns a model's aliases, by name. Errors: NotFound (model).
	Aliases(ctx context.Context, model string) ([]Alias, error)
	// Events returns a model's audit trail from after the given Seq, oldest first,
	// at most limit (0: 1,000). Errors: NotFound (model).
	Events(ctx context.Context, model string, after int64, limit int) ([]Event, error)
	// Close releases what the store opened itself.
	Close() error

	mustEmbedUnimplementedStore()
}
