package registry

import "time"

// State is what people and gates decided about a version.
type State string

// The states. A new version is a candidate; serving is told by aliases alone,
// and no alias can be pointed at a version that is rejected or archived.
const (
	Candidate State = "candidate"
	Approved  State = "approved"
	Rejected  State = "rejected"
	Archived  State = "archived"
)

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
	Model     string // the model's name now
	ModelID   string
	Number    int64  // 1, 2, 3 … within the model, never reused
	Digest    string // of the bundle: the version's identity
	Key       string // the caller's idempotency key; unique within the model unless ""
	State     State
	Lineage   Lineage
	CreatedAt time.Time
	Seq       int64 // of the event that made it
}

// ContentHash returns the hash of what never changes in a version, which the
// event that made it carries: the SHA-256, in hex, of a JSON array of the words
// "mlloop version", the format (1), ModelID, Number, Digest, Key, the fields of
// Lineage in their order and CreatedAt. Times are Unix milliseconds, 0 when
// zero.
func (v Version) ContentHash() string {
	l := v.Lineage
	return hashJSON("mlloop version", 1, v.ModelID, v.Number, v.Digest, v.Key,
		l.RunID, l.DataDigest, l.Parent, l.Code, millis(l.DataFrom), millis(l.DataTo), l.Rows, millis(v.CreatedAt))
}

// millis is t in Unix milliseconds, 0 for the zero time.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// servable tells whether an alias may be pointed at the version.
func (v Version) servable() bool { return v.State != Rejected && v.State != Archived }
