package serve

import (
	"context"
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
}

// Prediction is one logged answer about one row.
type Prediction struct {
	Seq        int64 // assigned by the store; rises in the order of storing
	ID         string
	Model      string
	Version    int64
	Variant    Variant
	Key        string // what the traffic split hashed
	Time       time.Time
	Features   frame.Row
	Output     frame.Value   // the predicted label or number
	Scores     []float64     // class probabilities in the order of the model's classes; nil for regression
	Propensity float64       // probability with which this variant was chosen
	Latency    time.Duration // of the version, for the whole batch that the row came in
}

// Label is the truth about a prediction, known later.
type Label struct {
	Seq   int64  // assigned by the store; rises in the order of storing
	ID    string // of the prediction
	Model string
	Value frame.Value
	Time  time.Time // when it arrived
}

// LabelledPrediction is a prediction with its label.
type LabelledPrediction struct {
	Prediction
	Label Label
}

// DefaultLimit is how many records a query without a Limit returns at most.
const DefaultLimit = 10_000

// PredictionQuery selects logged predictions of a model in the order of Seq.
type PredictionQuery struct {
	Model    string
	After    int64     // only those with a Seq above it
	Variants []Variant // nil: all
	Limit    int       // 0: DefaultLimit
}

// LabelQuery selects a model's labels in the order of the labels' Seq, each
// joined with every logged prediction of its ID: the answer first, then the
// shadow's.
type LabelQuery struct {
	Model string
	After int64 // only labels with a Seq above it
	Limit int   // counts labels; 0: DefaultLimit
}

// Counts sums up a model's log.
type Counts struct {
	Predictions int64 // shadow ones left out
	Shadow      int64
	Labels      int64
}

// Store keeps the prediction log, the labels and the routes. Stores are safe
// for concurrent use. Embed UnimplementedStore, so that a method can be added
// without breaking you.
type Store interface {
	// AppendPredictions stores them in order, all or none. A model's ID has one
	// answer (Primary or Canary) and at most one Shadow answer; a further one is
	// passed over: the first counts. The store keeps nothing that it is handed.
	AppendPredictions(ctx context.Context, ps []Prediction) error
	// AppendLabels stores labels whose predictions are stored and returns the IDs
	// of the others. A label for an ID that has one is left as it is when equal;
	// another value is a Conflict, and then nothing is stored.
	AppendLabels(ctx context.Context, ls []Label) (unknown []string, err error)
	// Predictions returns predictions in the order of Seq.
	Predictions(ctx context.Context, q PredictionQuery) ([]Prediction, error)
	// Labels returns labelled predictions in the order of the labels' Seq.
	Labels(ctx context.Context, q LabelQuery) ([]LabelledPrediction, error)
	// Lookup returns the predictions with the given IDs in the order of Seq, shadow
	// ones included, each with its label; the label's Seq is 0 where none has come.
	// IDs that are not stored are passed over.
	Lookup(ctx context.Context, model string, ids []string) ([]LabelledPrediction, error)
	// Counts sums up a model's log.
	Counts(ctx context.Context, model string) (Counts, error)
	// PutRoute stores r if the stored route's Rev is r.Rev-1 (with r.Rev 1: if none
	// is stored). Errors: Conflict.
	PutRoute(ctx context.Context, r Route) error
	// Route returns the model's route. Errors: NotFound.
	Route(ctx context.Context, model string) (Route, error)
	// Close releases what the store opened itself.
	Close() error

	mustEmbedUnimplementedStore()
}
