package retrain

import (
	"context"
	"iter"
	"time"
)

// Engine runs workflows that survive the death of the process: a step whose
// result was recorded is not run again, a workflow that was cut off goes on in a
// later life or in another live process, whichever version of the program that
// is. Implementations are safe for concurrent use.
type Engine interface {
	// Register gives a name its workflow, before Launch or after it. What was left
	// unfinished under the name goes on. Errors: AlreadyExists.
	Register(name string, w Workflow) error
	// Unregister takes the name back. Its workflows that run here see their context
	// end, as with Close, and go on where the name is registered: in another
	// process, or here once it is registered again. It returns without waiting for
	// their steps. Errors: NotFound.
	Unregister(name string) error
	// Launch starts the engine. What an earlier life left unfinished goes on: at
	// once where its name is registered, else when it is. A second call does nothing.
	Launch(ctx context.Context) error
	// Start begins the named workflow under id and returns at once. An id that is
	// known starts nothing anew; one that was left unfinished goes on. Errors:
	// NotFound for an unregistered name, Conflict before Launch, Closed.
	Start(ctx context.Context, name, id string, input []byte) error
	// Result says where the workflow stands, without waiting. Errors: NotFound for
	// an unknown id, Conflict before Launch, Closed; a workflow's own error is in
	// the Result.
	Result(ctx context.Context, id string) (Result, error)
	// Wait is Result once the workflow has ended. A deadline of ctx bounds the wait
	// and not the workflow. Errors: those of Result, ctx's.
	Wait(ctx context.Context, id string) (Result, error)
	// Cancel ends a workflow for good: its step sees its context end, and the
	// result is an error of kind Unavailable that says it was cancelled. One that
	// has ended stays as it is. It returns without waiting for the step.
	Cancel(ctx context.Context, id string) error
	// Signal hands data to the workflow, which takes it with Steps.Await. It is kept
	// until it is awaited, in this life or a later one; each call is one signal, and
	// the signals of one topic keep their order. Errors: those of Result, Conflict
	// when the workflow has ended.
	Signal(ctx context.Context, id, topic string, data []byte) error
	// List yields the workflows that the query asks for, the oldest first. An error
	// ends it: those of Result but NotFound.
	List(ctx context.Context, q ListQuery) iter.Seq2[Execution, error]
	// Forget deletes all that is kept of the workflows that ended before the time,
	// and returns how many there were. What is unfinished stays, however old. A
	// forgotten id is as unknown as a new one. Give it a time some minutes back: an
	// engine that is about to look at a workflow must not find it half known. It works
	// in batches: what it deleted before an error stays deleted. Errors: Conflict
	// before Launch, Closed.
	Forget(ctx context.Context, before time.Time) (int, error)
	// Close stops the engine; what is unfinished goes on at the next Launch.
	Close(ctx context.Context) error
}

// Result is where a workflow stands.
type Result struct {
	Done   bool
	Output []byte // once done
	Err    error  // once done: the workflow's own, with its kind
}

// ListQuery says which workflows List yields. The zero value asks for all.
type ListQuery struct {
	Name       string    // only those of this registered name
	Prefix     string    // only ids that begin so
	Unfinished bool      // only those that have not ended
	From       time.Time // only those begun at this time or later
}

// Execution is a workflow in a list.
type Execution struct {
	ID, Name string
	Started  time.Time
	Ended    time.Time // zero while it is unfinished
	Result   Result
}

// Workflow is an ordinary function whose effects all happen in steps. Between
// steps it must be deterministic. A later version of a program may put steps in,
// leave steps out and move them while workflows are in flight: a recorded step is
// found by its name. A step that does another thing than before needs another
// name.
type Workflow func(ctx context.Context, steps Steps, input []byte) ([]byte, error)

// Steps runs the steps of one workflow. It is for the workflow's own goroutine.
type Steps interface {
	// Do runs fn and records its result under name, or returns the result that an
	// earlier life recorded. fn may run more than once when the process dies in it:
	// it must be idempotent. nil options: one attempt, without a limit of time.
	Do(ctx context.Context, name string, fn func(ctx context.Context) ([]byte, error), o *StepOptions) ([]byte, error)
	// Sleep returns once d has passed since it was first called under name, in
	// whichever life that was. Errors: ctx's, and what cut the workflow off.
	Sleep(ctx context.Context, name string, d time.Duration) error
	// Await takes the next signal of the topic, waiting for it as long as timeout
	// since it was first called, in whichever life that was. 0: as long as it takes.
	// ok is false when none came in time. The n-th Await of a topic gives the same
	// in every life. Errors: ctx's, and what cut the workflow off.
	Await(ctx context.Context, topic string, timeout time.Duration) (data []byte, ok bool, err error)
}
