package serve

import (
	"context"
	"strings"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/train/frame"
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

// Variant says which part a version played when it answered.
type Variant string

// The variants.
const (
	Primary Variant = "primary" // the version that the route names
	Canary  Variant = "canary"  // its challenger, for a share of the keys
	Shadow  Variant = "shadow"  // its challenger, asked beside the primary; the caller never sees the answer
)

// Route says which versions of a model answer. The zero Canary means none.
type Route struct {
	Model   string
	Primary int64   // version
	Canary  int64   // version that gets Share of the keys
	Share   float64 // 0..1, in steps of 1/10,000
	Shadow  int64   // version that is asked beside; 0: none
	Salt    string  // of the key hash: raising Share under one Salt only ever moves keys to the canary
	Rev     int64   // rises by one with each change; compare-and-set
	Token   int64   // fencing token of the process that leads; 0: nobody leads. It never falls
}

// Status says what became of one attempt to answer a row; its values are
// frame.Answered, Failed, TimedOut, Refused and Fallback.
type Status = frame.Status

// Prediction is one logged attempt to answer one row. A request ID names it
// together with Index, Attempt and Variant: the same ID with the same inputs is
// one prediction, however often it is asked; with other inputs, or after an
// attempt that nobody answered, it is a further Attempt. A canary that failed
// leaves its own row beside that of the primary's fallback.
type Prediction struct {
	Seq        int64  // assigned by the store; rises in the order of storing within a model, never reused; none becomes readable after a higher one
	ID         string // of the request
	Index      int    // of the row within the request, from 0
	Attempt    int    // 1, 2 …: assigned by the store
	Model      string
	Version    int64
	Variant    Variant
	Status     Status
	Key        string    // routing key: what the traffic split hashed, and what Erase erases by
	Time       time.Time // when the row was asked; of a shadow, when the caller's was
	Features   frame.Row
	Digest     uint64        // of the inputs (see Digest): what tells a repeated request from a new attempt
	Outputs    frame.Row     // named outputs; one of k columns is NAME.0 … NAME.k-1; empty unless Status.OK
	Propensity float64       // probability with which this variant was chosen
	Latency    time.Duration // of the version, for the whole batch that the row came in
	RouteRev   int64         // revision of the route that chose the version
	TraceID    string        // the request's, "" when it brought none
	Error      string        // why there is no answer, at most 256 bytes; "" when there is one
}

// Label returns the value of the output "label", null when there is none.
func (p Prediction) Label() frame.Value { return p.Outputs.Get(LabelOutput) }

// Scores returns the columns of the output "probability" in the order of the
// model's classes, in memory of their own; nil when there is none.
func (p Prediction) Scores() []float64 {
	const first, prefix = ProbabilityOutput + ".0", ProbabilityOutput + "."
	schema := p.Outputs.Schema
	from := schema.Index(first)
	to := from
	for to >= 0 && to < len(schema) && strings.HasPrefix(schema[to].Name, prefix) {
		to++
	}
	if from < 0 { // a single class has a single column
		if from = schema.Index(ProbabilityOutput); from < 0 {
			return nil
		}
		to = from + 1
	}
	scores := make([]float64, to-from)
	for i := range scores {
		scores[i] = p.Outputs.Values[from+i].Float()
	}
	return scores
}

// Label is the truth about one output of a prediction, known later. A later one
// with another value corrects it: the correction is a record of its own, with
// the value that it replaces, and the latest counts.
type Label struct {
	Seq      int64  // assigned by the store, as that of a Prediction
	ID       string // of the request
	Index    int    // of the row within it, from 0
	Output   string // that the label is the truth of; "": LabelOutput, which is what a stored one says
	Model    string
	Value    frame.Value
	Replaces frame.Value // the value before; null for the first. Assigned by the store
	Time     time.Time   // when it arrived
}

// LabelledPrediction is a prediction with its label.
type LabelledPrediction struct {
	Prediction
	Truth Label // Seq 0: none has come
}

// DefaultLimit is how many records a query without a Limit returns at most.
const DefaultLimit = 10_000

// PredictionQuery selects logged predictions of a model in the order of Seq.
type PredictionQuery struct {
	Model    string
	After    int64     // only those with a Seq above it
	Variants []Variant // nil: all
	Statuses []Status  // nil: all
	Limit    int       // 0: DefaultLimit
}

// LabelQuery selects a model's labels in the order of the labels' Seq, each
// joined with the answers of the latest answered attempt that was stored before
// it: the caller's first, then the shadow's. Attempts that nobody answered and
// labels whose prediction is gone are left out. A corrected label comes again,
// as the record of its own that the correction is, with Replaces set.
type LabelQuery struct {
	Model string
	After int64 // only labels with a Seq above it
	Limit int   // counts labels; 0: DefaultLimit
}

// Counts sums up a model's log.
type Counts struct {
	Predictions int64     // answered; shadow ones left out
	Unanswered  int64     // failed, timed out or refused, canaries before their fallback included; shadow ones left out
	Reattempts  int64     // of both, those with an Attempt above 1
	Shadow      int64     // of shadows, answered or not
	Labels      int64     // outputs of rows with a label
	Corrections int64     // labels that replaced another
	LastSeq     int64     // of the latest prediction; 0: none
	LastLabel   int64     // Seq of the latest label; 0: none
	Oldest      time.Time // the earliest Time of a prediction; zero when there is none
	Bytes       int64     // about what the model's predictions and labels take up
}

// Trim says what retention takes away: predictions older than Before, and their
// labels, but none with a Seq of KeepFrom or above, which a decision still needs.
type Trim struct {
	Model    string
	Before   time.Time
	KeepFrom int64 // 0: nothing is needed
	Limit    int   // predictions at most; 0: DefaultLimit
}

// Store keeps the prediction log, the labels and the routes. Stores are safe
// for concurrent use. Embed UnimplementedStore, so that a method can be added
// without breaking you.
type Store interface {
	// AppendPredictions stores them in order, all or none, and assigns Seq and
	// Attempt. A row whose ID and Index were answered with the same Digest before
	// is passed over; with another Digest, or after an attempt that nobody
	// answered, it is a further attempt. A primary's Fallback, and its failure at
	// the same Time, belong to the latest attempt when that is so far a canary's
	// failure. A Shadow row belongs to the latest attempt with its Digest, and is
	// passed over when that has one or there is none, as after an erasure. The
	// same record stored twice (equal Time, Variant, Status and Digest) is one.
	// The store keeps nothing that it is handed. Errors: Invalid, see
	// Prediction.Check.
	AppendPredictions(ctx context.Context, ps []Prediction) error
	// AppendLabels stores labels whose rows have an answer, all or none, and
	// returns the others, as they came. It sets the Seq and Replaces of those that
	// it stores: an equal label for an output that has one is left as it is and
	// keeps Seq 0; another value is stored as a correction. Errors: Invalid for an
	// Output that is not Storable.
	AppendLabels(ctx context.Context, ls []Label) (unknown []Label, err error)
	// Predictions returns predictions in the order of Seq.
	Predictions(ctx context.Context, q PredictionQuery) ([]Prediction, error)
	// Labels returns labelled predictions in the order of the labels' Seq.
	Labels(ctx context.Context, q LabelQuery) ([]LabelledPrediction, error)
	// Lookup returns every prediction with the given IDs in the order of Seq, shadow
	// ones included, each with the latest label of its row's LabelOutput; the
	// label's Seq is 0 where none has come. IDs that are not stored are passed over.
	Lookup(ctx context.Context, model string, ids []string) ([]LabelledPrediction, error)
	// Counts sums up a model's log.
	Counts(ctx context.Context, model string) (Counts, error)
	// Erase deletes every prediction whose Key or ID is among the subjects, and all
	// labels of those rows, and returns how many predictions those were. Cursors
	// stay valid: a Seq is never given again. Flush the server before, so that
	// nothing of them waits to be stored.
	Erase(ctx context.Context, model string, subjects []string) (int64, error)
	// Trim deletes the predictions with the earliest Times, and labels of rows that
	// have none left, and returns how many predictions those were.
	Trim(ctx context.Context, t Trim) (int64, error)
	// PutRoute stores r if it Follows the stored route: that one's Rev is r.Rev-1
	// (with r.Rev 1: none is stored), and its Token is no higher than r's. So a
	// process that no longer leads moves no traffic. Errors: Conflict.
	PutRoute(ctx context.Context, r Route) error
	// Route returns the model's route. Errors: NotFound.
	Route(ctx context.Context, model string) (Route, error)
	// WaitRoute returns the model's route as soon as its Rev is not rev: at once
	// when it is another already. With rev 0 it waits for the first route. It tells
	// of the latest change, not of each. Errors: NotFound when there is no route and
	// rev is not 0, Unsupported, ctx's, and those of Route: it does not try again.
	WaitRoute(ctx context.Context, model string, rev int64) (Route, error)
	// Close releases what the store opened itself.
	Close() error

	mustEmbedUnimplementedStore()
}
