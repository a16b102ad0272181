package retrain

import (
	"time"

	"github.com/mlloop/mlloop/drift"
	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/retrain/judge"
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

// Stage is how far a retraining has come.
type Stage string

// The stages. All but the first three are final.
const (
	Fitting      Stage = "fitting" // validate, train, evaluate, compare, register
	Shadowing    Stage = "shadow"
	Canarying    Stage = "canary"
	Promoted     Stage = "promoted"
	Recommended  Stage = "recommended"  // it passed everything; Config.Mode leaves the promotion to a person
	Rejected     Stage = "rejected"     // a gate or the shadow comparison said no
	Inconclusive Stage = "inconclusive" // the data could not tell; the champion stays
	RolledBack   Stage = "rolled_back"  // the canary did harm, or a person took it back
	Failed       Stage = "failed"       // the fit failed
	Superseded   Stage = "superseded"   // the champion that it was compared with was replaced by hand
)

// Final reports whether nothing follows.
func (s Stage) Final() bool { return s != Fitting && s != Shadowing && s != Canarying }

// fruitless reports whether a final stage left the champion in place because
// the challenger did not do.
func (s Stage) fruitless() bool {
	return s == Rejected || s == Inconclusive || s == RolledBack || s == Failed
}

// Cause is why a retraining was wanted.
type Cause struct {
	Trigger string `json:"trigger"` // drift, decay, schedule, manual, first, or the service's own
	Detail  string `json:"detail"`  // for a reader: the alert's columns, the metric's fall
	AlertID string `json:"alert_id,omitempty"`
}

// Outcome is what a verdict comes to.
type Outcome = judge.Outcome

// The outcomes. Inconclusive is no pass: what it leads to is configured.
const (
	Pass         = judge.Pass
	Fail         = judge.Fail
	Undetermined = judge.Inconclusive
)

// Verdict is what a gate, the shadow or the canary found.
type Verdict struct {
	Gate    string  `json:"gate"`
	Outcome Outcome `json:"outcome"`
	Metric  string  `json:"metric,omitempty"`
	Diff    float64 `json:"diff"` // challenger minus champion
	Low     float64 `json:"low"`  // interval of Diff
	High    float64 `json:"high"`
	N       int     `json:"n"`      // rows compared
	Needed  int     `json:"needed"` // rows that would tell, where the verdict is inconclusive for want of them; 0: unknown
	Reason  string  `json:"reason"`
}

// Retraining is the record of one attempt to replace the champion.
type Retraining struct {
	ID         string // "<model>/<number>"
	Model      string
	Number     int64  // 0, 1, 2 … within the model
	Rev        int64  // rises by one with each change; compare-and-set
	Token      int64  // of the lease under which it was written last
	Config     string // digest of the configuration that it runs under, as Store.Config has it; "": not on record
	Causes     []Cause
	Stage      Stage
	Weight     int   // which of Rollout.Weights the canary has, counted from 0
	Champion   int64 // the version it would replace; 0: a first fit
	Version    int64 // registered challenger; 0 before
	RunID      string
	Verdicts   []Verdict
	Metrics    map[string]float64 // the challenger's, on the held-out rows
	Errors     drift.Baseline     // law of its errors there: what its monitor takes for usual
	FittedFrom time.Time          // time of the first row that it was fitted on
	FittedTo   time.Time          // and of the last
	StartedAt  time.Time
	StageSince time.Time // when the present stage began
	EndedAt    time.Time // zero until final
	Reason     string    // why it is in its stage
}
