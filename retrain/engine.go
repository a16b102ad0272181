package retrain

import "context"

// Engine runs workflows that survive the death of the process: a step whose
// result was recorded is not run again, a workflow that was cut off goes on
// after the next Launch. Implementations are safe for concurrent use.
type Engine interface {
	// Register names a workflow; all are registered before Launch.
	Register(name string, w Workflow) error
	// Launch starts the engine and resumes what an earlier life left unfinished.
	Launch(ctx context.Context) error
	// Run runs the named workflow under id, waits for its end and returns its
	// result. With the id of a workflow that is known it starts nothing: it waits
	// for that one. Errors: NotFound for an unregistered name, and the workflow's own.
	Run(ctx context.Context, name, id string, input []byte) ([]byte, error)
	// Close stops the engine; what is unfinished resumes at the next Launch.
	Close(ctx context.Context) error
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
