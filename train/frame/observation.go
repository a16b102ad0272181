package frame

import "time"

// Status says what became of one attempt to answer a row.
type Status string

// The statuses.
const (
	Answered Status = "answered"
	Failed   Status = "failed"    // the version returned an error, panicked or broke its own signature
	TimedOut Status = "timed_out" // it did not answer within its deadline
	Refused  Status = "refused"   // the model refused the row's values: the caller's fault, nobody's failure
	Fallback Status = "fallback"  // answered by the primary in place of a canary that failed or timed out
)

// OK reports whether the caller got the outputs.
func (s Status) OK() bool { return s == Answered || s == Fallback }

// Observation is one event of a served model: a row that was answered or could
// not be, and once more, with its Label, when the truth about it is known.
// Observers keep nothing of it but values.
type Observation struct {
	Model   string
	Version int64
	Variant string // primary or canary
	ID      string // of the request
	Index   int    // of the row within the request, from 0
	Status  Status
	Row     Row    // the inputs; empty in an event with a Label
	Outputs Row    // named outputs; empty unless Status.OK
	Label   Value  // the truth; null in the event of the answer itself
	Output  string // the output that Label is the truth of; "": "label"
	// Replaces is the label that this one corrects; null unless it is a correction.
	Replaces Value
	Time     time.Time // of the answer, or of the label's arrival
}
