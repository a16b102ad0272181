package tracking

import (
	"cmp"
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
	ErrDenied        = fault.Denied
)

// Status is where a run stands. The names are MLflow's.
type Status string

// The statuses.
const (
	Running  Status = "RUNNING"
	Finished Status = "FINISHED"
	Failed   Status = "FAILED"
	Killed   Status = "KILLED"
)

// Experiment groups runs.
type Experiment struct {
	ID        string
	Name      string // unique
	CreatedAt time.Time
}

// RunInfo is a run without its data.
type RunInfo struct {
	ID           string // a letter or digit, then up to 255 letters, digits, _ and -; unique in the store
	ExperimentID string
	Name         string
	Status       Status
	StartedAt    time.Time
	EndedAt      time.Time // zero while running
	Error        string    // why the run failed
	Rev          int64     // 1 at first, and one more with each UpdateRun; the store counts
}

// RunPatch changes a run: what it does not name stays as it is.
type RunPatch struct {
	ID      string
	Rev     int64     // the Rev that the run must have, so that nobody's change is undone unseen; 0: any
	Name    *string   // nil: as it is
	Status  Status    // "": as it is, and so are EndedAt and Error, which belong to it
	EndedAt time.Time // zero for Running
	Error   string    // why the run failed
}

// Apply returns the run as the patch makes it, its Rev raised by one.
func (p RunPatch) Apply(r RunInfo) RunInfo {
	if p.Name != nil {
		r.Name = *p.Name
	}
	if p.Status != "" {
		r.Status, r.EndedAt, r.Error = p.Status, p.EndedAt, p.Error
	}
	r.Rev++
	return r
}

// Metric is one measured point. Points equal in every field are one point; two
// NaN are equal.
type Metric struct {
	Key   string
	Value float64 // may be NaN or ±Inf
	Step  int64
	Time  time.Time // millisecond precision
}

// Compare orders the points of one key: by step, then time, then value, where
// NaN is below every number. It returns -1, 0 or +1.
func (m Metric) Compare(other Metric) int {
	return cmp.Or(
		cmp.Compare(m.Step, other.Step),
		m.Time.Compare(other.Time),
		cmp.Compare(m.Value, other.Value),
	)
}

// Input is a data set that a run read. Name, Digest and Context tell inputs of
// a run apart.
type Input struct {
	Name    string // such as "electricity"
	Digest  string // of the content; identity of the data set
	Context string // what for: "training", "validation" …
	Source  string // where it came from, for a reader
	Rows    int64
}

// Artifact is a file that belongs to a run; its bytes live in an artifact.Store.
type Artifact struct {
	Path   string // slash-separated, relative, clean
	Digest string
	Size   int64
}

// RunData is what was logged to a run. Metrics holds each key's latest point:
// the greatest by Metric.Compare. The maps are never nil.
type RunData struct {
	Metrics   map[string]Metric
	Params    map[string]string
	Tags      map[string]string
	Inputs    []Input    // by name, digest, context
	Artifacts []Artifact // by path
}

// RunRecord is a run with its data.
type RunRecord struct {
	RunInfo
	RunData
}

// Batch is data to add to a run. Params are write-once: the same value again is
// a no-op, another value an AlreadyExists error, and then nothing of the batch
// is stored. Tags and artifacts: the last write wins. Metrics and inputs are
// sets: one that is there already is a no-op.
type Batch struct {
	Metrics   []Metric
	Params    map[string]string
	Tags      map[string]string
	Inputs    []Input
	Artifacts []Artifact
}

// RunQuery selects runs. Runs come newest first: by start time, then id, both
// descending.
type RunQuery struct {
	ExperimentID string            // "": any
	Statuses     []Status          // empty: any
	Tags         map[string]string // every one must be equal
	Limit        int               // 1 to 50,000; 0: 1,000
	Page         string            // the page token that the call before returned; "": the first page
}

// Store is what a backend implements. Arguments have been validated by the
// Client: ids and keys are well-formed, times are UTC milliseconds. What is not
// UTF-8 or holds U+0000, which PostgreSQL cannot store, every store refuses as
// Invalid, in questions too. Stores are safe for concurrent use. Embed UnimplementedStore, so that a method can be
// added without breaking you.
type Store interface {
	// CreateExperiment stores e. Errors: AlreadyExists for its id or name.
	CreateExperiment(ctx context.Context, e Experiment) error
	// Experiment returns the named experiment. Errors: NotFound.
	Experiment(ctx context.Context, name string) (Experiment, error)
	// Experiments returns all of them, by name.
	Experiments(ctx context.Context) ([]Experiment, error)
	// CreateRun stores a run; its Rev is 1, whatever r says. Errors: AlreadyExists for its id, NotFound for its experiment.
	CreateRun(ctx context.Context, r RunInfo) error
	// UpdateRun changes a run and returns it as it is now. Errors: NotFound;
	// Conflict when p.Rev is not 0 and the run has another one: then the run
	// comes back as it is, unchanged.
	UpdateRun(ctx context.Context, p RunPatch) (RunInfo, error)
	// Run returns a run with its data. Errors: NotFound.
	Run(ctx context.Context, id string) (RunRecord, error)
	// Runs returns a page of runs and the token of the next page, "" at the end.
	// Errors: Invalid for a token that it did not give out.
	Runs(ctx context.Context, q RunQuery) (runs []RunRecord, next string, err error)
	// Log adds a batch, all of it or nothing, and keeps no part of b itself. An
	// empty one shows that the run can be written to. Errors: NotFound,
	// AlreadyExists (a param's other value).
	Log(ctx context.Context, runID string, b Batch) error
	// MetricHistory returns every point of the key by step, time, value. No point is no error. Errors: NotFound (run).
	MetricHistory(ctx context.Context, runID, key string) ([]Metric, error)
	// Close releases what the store opened itself.
	Close() error

	mustEmbedUnimplementedStore()
}
