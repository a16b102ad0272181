package retrain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// workflowName keeps the workflows of several models on one engine apart.
func (l *Loop) workflowName(kind string) string { return kind + "/" + l.config.Model }

// runWorkflow runs the workflow under id and waits for its end. An engine keeps
// failures as it keeps results. One for want of a resource, such as room on the
// disk, says nothing about the work: the work is tried again, under an id of
// its own, now and in later steps.
func (l *Loop) runWorkflow(ctx context.Context, kind, id string, input any) ([]byte, error) {
	raw, err := json.Marshal(input)
	if err != nil {
		return nil, err
	}
	var output []byte
	for range 2 { // the first may be what an earlier life recorded
		attempt := id
		if n := l.attempts[id]; n > 0 {
			attempt = fmt.Sprintf("%s/attempt-%d", id, n+1)
		}
		output, err = l.config.Stores.Engine.Run(ctx, l.workflowName(kind), attempt, raw)
		if err == nil || interrupted(ctx, err) {
			return output, err
		}
		l.attempts[id]++
		if !errors.Is(err, ErrUnavailable) {
			return nil, err
		}
	}
	return nil, err
}

// interrupted reports whether err comes from the end of the process's life
// rather than from the work: the workflow resumes.
func interrupted(ctx context.Context, err error) bool {
	return ctx.Err() != nil || errors.Is(err, ErrClosed)
}

// putOff reports whether a workflow that ended with err is to be run again in
// a later step.
func putOff(ctx context.Context, err error) bool {
	return interrupted(ctx, err) || errors.Is(err, ErrUnavailable)
}

// step runs fn as a durable step with a JSON result. A panic in it, which may
// be that of a part that the service brought, is an error.
func step[R any](ctx context.Context, steps Steps, name string, fn func(ctx context.Context) (R, error)) (R, error) {
	var result R
	raw, err := steps.Do(ctx, name, func(ctx context.Context) (raw []byte, err error) {
		defer func() { err = recovered(recover(), err) }()
		r, err := fn(ctx)
		if err != nil {
			return nil, err
		}
		return json.Marshal(r)
	})
	if err != nil {
		return result, fmt.Errorf("%s: %w", name, err)
	}
	return result, json.Unmarshal(raw, &result)
}
