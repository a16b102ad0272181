package drift

import (
	"context"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
)

// The kinds of error that this package returns; test with errors.Is.
var (
	ErrNotFound    = fault.NotFound
	ErrConflict    = fault.Conflict
	ErrInvalid     = fault.Invalid
	ErrCorrupt     = fault.Corrupt
	ErrClosed      = fault.Closed
	ErrUnsupported = fault.Unsupported
)

// Severity grades an alert by effect size, not by p-value: Critical is twice a
// threshold for inputs, and half a standard deviation for errors.
type Severity string

// The severities.
const (
	Info     Severity = "info" // no alert's own: what alert.Message carries besides alerts
	Warning  Severity = "warning"
	Critical Severity = "critical"
)

// The sources of alerts.
const (
	FeatureDrift = "feature_drift" // inputs differ from the reference profile
	ErrorDrift   = "error_drift"   // label errors rose
)

// ColumnFinding is one column's part in an alert.
type ColumnFinding struct {
	Column    string  `json:"column"`
	Statistic string  `json:"statistic"` // psi, ks, page_hinkley, adwin …
	Value     float64 `json:"value"`
	Threshold float64 `json:"threshold"` // calibrated
	PValue    float64 `json:"p_value"`   // calibrated, before multiple-testing control; 0 where the detector has none
}

// Alert is one episode: it fires once, and resolves once.
type Alert struct {
	ID       string          `json:"id"`
	Model    string          `json:"model"`
	Version  int64           `json:"version"` // whose reference profile was compared with
	Source   string          `json:"source"`  // FeatureDrift or ErrorDrift
	Severity Severity        `json:"severity"`
	Columns  []ColumnFinding `json:"columns"` // at firing, worst first
	// Magnitude is how far it went: the largest Value over Threshold of its
	// columns; of errors, the rise of the mean against the one tolerated. An alert
	// fires before its window is full of what it is about: until a whole window of
	// rows has passed since, Magnitude and Worst rise together.
	Magnitude float64 `json:"magnitude"`
	// Worst is the largest magnitude up to now: Worst/Magnitude says by what factor
	// it has worsened. Both follow in steps of at least a tenth, each of which is a
	// change of the alert.
	Worst      float64   `json:"worst"`
	FiredAt    time.Time `json:"fired_at"`
	ResolvedAt time.Time `json:"resolved_at"` // zero while firing
	Reason     string    `json:"reason"`      // why it resolved
	// Seq is the number of the alert's last change among those of its model: it is
	// assigned by the store, and never reused.
	Seq int64 `json:"seq"`
}

// Checkpoint is a monitor's saved state and the position in the prediction log
// that it has read up to.
type Checkpoint struct {
	Model         string
	Version       int64
	Rev           int64 // 1, 2, 3 …: rises by one with each Save
	Token         int64 // fencing token of the writer, which never falls; 0: it has none
	PredictionSeq int64
	LabelSeq      int64
	At            time.Time // of the last check
	State         []byte    // Monitor.MarshalBinary
}

// DefaultLimit is how many alerts a query without a Limit returns at most, and
// how many it may name by ID.
const DefaultLimit = 1000

// AlertQuery selects alerts of a model. To follow them, ask for those After the
// last Seq that was read; AllAlerts does that until there are no more.
type AlertQuery struct {
	Model      string
	IDs        []string // only these; none: any
	FiringOnly bool
	After      int64 // only those whose last change has a Seq above it
	Limit      int   // 0: DefaultLimit
}

// Check reports an Invalid error for a query that no store answers.
func (q AlertQuery) Check() error {
	if q.After < 0 || q.Limit < 0 {
		return fault.Errorf(fault.Invalid, "alerts after %d, at most %d: want no negative numbers", q.After, q.Limit)
	}
	if len(q.IDs) > DefaultLimit {
		return fault.Errorf(fault.Invalid, "alerts by %d ids: ask for at most %d at once", len(q.IDs), DefaultLimit)
	}
	return nil
}

// Store keeps checkpoints and alerts. Stores are safe for concurrent use.
// Embed UnimplementedStore, so that a method can be added without breaking you.
type Store interface {
	// Save stores the model's checkpoint, replacing the one before, together with
	// the alerts that changed since (upsert by ID): all or nothing. It is a
	// compare-and-set: the stored Rev has to be c.Rev-1 (with c.Rev 1: none is
	// stored), and the stored Token at most c.Token, so that of two writers one
	// wins, and one that was replaced loses. An alert that differs from what is
	// stored gets the model's next Seq, in the order of changed; the same again
	// changes nothing. Times are kept in UTC milliseconds.
	// Errors: Invalid (CheckSave); Conflict when another was faster (see
	// Checkpoint.CheckAfter), or another model has an alert of the ID.
	Save(ctx context.Context, c Checkpoint, changed []Alert) error
	// Checkpoint returns the model's checkpoint. Errors: NotFound.
	Checkpoint(ctx context.Context, model string) (Checkpoint, error)
	// Alerts returns a page of a model's alerts in the order of Seq, their last
	// change. A model without any gives none. Errors: Invalid (AlertQuery.Check).
	Alerts(ctx context.Context, q AlertQuery) ([]Alert, error)
	// Close releases what the store opened itself. Errors after it: Closed.
	Close() error

	mustEmbedUnimplementedStore()
}
