package retrain

import "context"

// Engine runs workflows that survive the death of the process: a step whose
// result was recorded is not run again, a workflow that was cut off goes on in a
// later life, whichever version of the program that is. Implementations are safe
// for concurrent use.
type Engine interface {
	// Register names a workflow; all are registered before Launch. Errors:
	// AlreadyExists, Conflict after Launch.
	Register(name string, w Workflow) error
	// Launch starts the engine. What an earlier life left unfinished goes on: at
	// once where its name is registered, else when a later life registers it. A
	// second call does nothing.
	Launch(ctx context.Context) error
	// Start begins the named workflow under id and returns at once. An id that is
	// known starts nothing anew; one that was left unfinished goes on. Errors:
	// NotFound for an unregistered name, Conflict before Launch, Closed.
	Start(ctx context.Context, name, id string, input []byte) error
	// Result says where the workflow stands, without waiting. Errors: NotFound for
	// an unknown id, Closed; a workflow's own error is in the Result.
	Result(ctx context.Context, id string) (Result, error)
	// Wait is Result once the workflow has ended. Errors: those of Result, ctx's.
	Wait(ctx context.Context, id string) (Result, error)
	// Cancel ends a workflow for good: its step sees its context end, and the
	// result is an error of kind Unavailable that says it was cancelled. One that
	// has ended stays as it is. It returns without waiting for the step.
	Cancel(ctx context.Context, id string) error
	// Close stops the engine; what is unfinished goes on at the next Launch.
	Close(ctx context.Context) error
}

// Result is where a workflow stands.
type Result struct {
	Done   bool
	Output []byte // once done
	Err    error  // once done: the workflow's own, with its kind
}

// Workflow is an ordinary function whose effects all happen in steps. Between
// steps it must be deterministic.
type Workflow func(ctx context.Context, steps Steps, input []byte) ([]byte, error)

// Steps runs the steps of one workflow.
type Steps interface {
	// Do runs fn and records its result under name, or returns the result that an
	// earlier life recorded. fn may run more than once when the process dies in it:
	// it must be idempotent.
	Do(ctx context.Context, name string, fn func(ctx context.Context) ([]byte, error)) ([]byte, error)
}
