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

// DefaultPage is how many rows a Store returns for limit 0.
const DefaultPage = 1000

// Champion is the alias of the version that answers production traffic.
const Champion = "champion"

// Model is a named series of versions.
type Model struct {
	ID        string // 32 hex digits; stays the same when the model is renamed
	Name      string
	CreatedAt time.Time
}

// Alias is a movable name for a version.
type Alias struct {
	Model   string
	Name    string
	Version int64 // 0: the alias does not exist
	// Seq is that of the event that moved it: the fencing token of the move. It
	// rises with every move of the model's aliases, so that of two holders the
	// later one has the greater token, and Change.Token tells a version that
	// was moved away and back.
	Seq     int64
	MovedAt time.Time
}

// AliasMove is what Store.SetAlias is asked for.
type AliasMove struct {
	Model string
	Alias string
	From  int64 // the version that it points at now; 0: it does not exist
	Token int64 // the Seq of its last move, the deletion included; 0: only From is compared
	To    int64 // 0: delete it
	Event Event // as the Client begins it; its Time is the alias's MovedAt
}

// Decide says whether the alias, which is as now (Version 0: it does not exist),
// is to be moved; to is the version To, if it is not 0. Without an error or a
// move all is as asked for. For stores. Errors: Conflict, with what to do.
func (m AliasMove) Decide(now Alias, to Version) (move bool, err error) {
	switch {
	case now.Version == m.To:
		return false, nil
	case now.Version != m.From:
		return false, fault.Errorf(ErrConflict, "it points at version %d, not %d (0: none): look again", now.Version, m.From)
	case m.Token != 0 && m.Token != now.Seq:
		return false, fault.Errorf(ErrConflict, "it was moved by event %d, after the event %d of the token: look again", now.Seq, m.Token)
	case m.To != 0 && !to.servable():
		return false, fault.Errorf(ErrConflict, "version %d is %s, and what an alias names is served: approve it first (SetState), or choose another version", to.Number, to.State)
	}
	return true, nil
}

// EventQuery says which events of a model's trail to return, and in which
// order. The zero value of each field but Model is its default.
type EventQuery struct {
	Model  string
	After  int64     // only events of a greater Seq
	Alias  string    // only moves of this alias; "": every event
	Until  time.Time // only events of this time or before; zero: of any time
	Newest bool      // newest first, instead of oldest first
	Limit  int       // 0: DefaultPage
}

// Store is what a backend implements. Arguments have been validated by the
// Client, times are UTC milliseconds, text holds no U+0000. Models are asked for
// by name; what is stored refers to their ID. Every change is stored together
// with its event, both or neither, completed by Event.Follow; the changes of one
// model happen one after the other, so that events have no gaps and are seen in
// their order. Events are never changed or deleted. A call that finds everything
// as it asks for stores nothing, no event either. Lists come in pages of limit
// rows (0: DefaultPage), empty past the end. Stores are safe for concurrent use,
// by several processes too. Embed UnimplementedStore, so that a method can be
// added without breaking you.
type Store interface {
	// CreateModel stores m. Errors: AlreadyExists (name).
	CreateModel(ctx context.Context, m Model, e Event) error
	// RenameModel gives the model another name and returns it; the old name is
	// free. To its own name it is a no-op. Errors: NotFound (model),
	// AlreadyExists (to).
	RenameModel(ctx context.Context, model, to string, e Event) (Model, error)
	// Model returns a model. Errors: NotFound.
	Model(ctx context.Context, name string) (Model, error)
	// Models returns models by name in byte order, from behind the name after.
	Models(ctx context.Context, after string, limit int) ([]Model, error)
	// CreateVersion stores v under the next number, and returns it with Number,
	// ModelID and Seq filled in. The event gets the version's Number and its
	// ContentHash. When a version with v.Key exists, that one comes back, created
	// is false and nothing is stored; if it has another digest, AlreadyExists.
	// Errors: NotFound (model), AlreadyExists.
	CreateVersion(ctx context.Context, v Version, e Event) (stored Version, created bool, err error)
	// Version returns a version, the newest for number 0. Errors: NotFound.
	Version(ctx context.Context, model string, number int64) (Version, error)
	// Versions returns a model's versions, newest first, of numbers less than
	// before (0: any). Errors: NotFound (model).
	Versions(ctx context.Context, model string, before int64, limit int) ([]Version, error)
	// SetState moves a version from one state to another; in to already, whatever
	// from is, it is a no-op and changed is false. Errors: NotFound, Conflict when
	// its state is neither.
	SetState(ctx context.Context, model string, number int64, from, to State, e Event) (changed bool, err error)
	// SetAlias points the alias at version m.To if it points at version m.From and
	// m.Token, unless 0, is the Seq of its last move; with To 0 it deletes the
	// alias. When it points at To already (0: does not exist), whatever From and
	// Token are, it is a no-op and moved is false. It returns the alias as it is
	// now: Version is 0 when it does not exist, and then Seq and MovedAt are those
	// of its deletion (zero: there never was one). Errors: NotFound (model or
	// version To), Conflict when it points elsewhere or was moved since, and when
	// the version To is rejected or archived.
	SetAlias(ctx context.Context, m AliasMove) (now Alias, moved bool, err error)
	// Alias returns the alias and the version that it points at, in one read.
	// Errors: NotFound (model or alias).
	Alias(ctx context.Context, model, alias string) (Alias, Version, error)
	// Aliases returns a model's aliases by name in byte order, from behind the
	// name after. Errors: NotFound (model).
	Aliases(ctx context.Context, model, after string, limit int) ([]Alias, error)
	// Events returns a page of a model's audit trail. Errors: NotFound (model).
	Events(ctx context.Context, q EventQuery) ([]Event, error)
	// Close releases what the store opened itself.
	Close() error
	mustEmbedUnimplementedStore()
}
