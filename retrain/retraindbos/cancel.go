package retraindbos

import (
	"context"
	"errors"
	"fmt"

	"github.com/dbos-inc/dbos-transact-golang/dbos"

	"github.com/mlloop/mlloop/internal/fault"
)

// Cancel implements retrain.Engine. A step in another live process sees its
// context end within a fifth of that process's Lease.
func (e *Engine) Cancel(ctx context.Context, id string) error {
	root, err := e.started()
	if err == nil {
		_, err = within(ctx, root, func(c dbos.Context) (struct{}, error) { return struct{}{}, e.cancel(c, id) })
	}
	if err != nil {
		return fmt.Errorf("retraindbos: cancel %s: %w", id, e.orClosed(err))
	}
	return nil
}

// cancel stops the last try, and then begins one more that ends as cancelled. A
// try that is to be cancelled says so first: who finds it stopped, because the
// caller died, or in that very moment, ends the workflow and does not go on with
// it. Contexts end last.
func (e *Engine) cancel(c dbos.Context, id string) error {
	var stopped []string
	defer func() {
		for _, tid := range stopped {
			e.cut(tid)
		}
	}()
	for {
		tries, err := triesOf(c, id)
		switch {
		case err != nil:
			return err
		case len(tries) == 0:
			return fault.Errorf(fault.NotFound, "no such workflow was started")
		}
		last := tries[len(tries)-1]
		if last.underWay() {
			if last, err = e.stopTry(c, last); err != nil {
				return err
			}
		}
		if last.ended() {
			return nil
		}
		stopped = append(stopped, last.status.ID)
		if done, err := e.mark(c, id, len(tries)+1); done || err != nil {
			return err
		}
	}
}

// stopTry cancels a try, so that nothing is recorded for it any more, and returns
// it as it is then.
func (e *Engine) stopTry(c dbos.Context, t try) (try, error) {
	wish := map[string]any{cancelWish: true}
	if err := dbos.SetWorkflowAttributes(c, t.status.ID, wish, dbos.WithMergeAttributes()); err != nil {
		return t, err
	}
	if err := dbos.CancelWorkflow(c, t.status.ID); err != nil {
		return t, err
	}
	return reload(c, t)
}

// cancelWish is the attribute of a try that is to end its workflow by being cancelled.
const cancelWish = "cancel"

// toBeCancelled reports whether the try was stopped to cancel the workflow.
func (t try) toBeCancelled() bool {
	wish, _ := t.status.Attributes[cancelWish].(bool)
	return wish && t.status.Status == dbos.WorkflowStatusCancelled
}

// cut ends the context of a try that was cancelled in the database, if it runs here.
func (e *Engine) cut(tryID string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if r := e.tries[tryID]; r != nil {
		r.cancel(errLost)
	}
}

// mark makes the try that ends as cancelled. It reports false when another
// process began that try.
func (e *Engine) mark(c dbos.Context, id string, number int) (bool, error) {
	tid := tryID(id, number)
	e.mu.Lock()
	root := e.dbos
	e.marks[tid] = true
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.marks, tid)
	}()
	handle, err := e.insert(root, id, number, call{Cancelled: true})
	if err == nil {
		_, err = handle.GetResult()
	}
	if errors.Is(err, dbos.ErrWorkflowIDInUse) || errors.Is(err, dbos.ErrWorkflowCancelled) {
		return false, c.Err()
	}
	return err == nil, err
}
