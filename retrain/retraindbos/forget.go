package retraindbos

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/dbos-inc/dbos-transact-golang/dbos"

	"github.com/mlloop/mlloop/internal/fault"
)

// forgetBatch is how many workflows one transaction of Forget deletes.
const forgetBatch = 100

// Forget implements retrain.Engine. Each batch, of 100 workflows with all their
// tries, steps and signals, is one transaction. The times are the database's.
func (e *Engine) Forget(ctx context.Context, before time.Time) (int, error) {
	root, err := e.started()
	if err == nil && before.IsZero() {
		err = fault.Errorf(fault.Invalid, "the time is zero: name the one before which workflows ended")
	}
	for n := 0; ; {
		var deleted int
		if err == nil {
			deleted, err = within(ctx, root, func(c dbos.Context) (int, error) { return forgetSome(c, before) })
		}
		if err != nil {
			return n, fmt.Errorf("retraindbos: forget workflows: %w", e.orClosed(err))
		}
		if n += deleted; deleted == 0 {
			return n, nil
		}
	}
}

// forgetSome deletes one batch. A try that succeeded is the last of its workflow,
// and nothing is ever added to it.
func forgetSome(c dbos.Context, before time.Time) (int, error) {
	ended, err := dbos.ListWorkflows(c, dbos.WithFilterName(firstName, againName), dbos.WithFilterStatus(dbos.WorkflowStatusSuccess),
		// The filter lets its own millisecond through.
		dbos.WithFilterCompletedBefore(before.Add(-time.Millisecond)), dbos.WithFilterLimit(forgetBatch),
		dbos.WithFilterLoadInput(false), dbos.WithFilterLoadOutput(false))
	if err != nil || len(ended) == 0 {
		return 0, err
	}
	var rows, ids []string
	for _, s := range ended {
		id, last, ok := parseTryID(s.ID)
		if !ok {
			return 0, fault.Errorf(fault.Corrupt, "workflow %q has a name that this package does not give", s.ID)
		}
		ids = append(ids, id)
		for number := range last {
			rows = append(rows, tryID(id, number+1))
		}
	}
	signals, err := signalsOf(c, ids)
	if err != nil {
		return 0, err
	}
	return len(ended), dbos.DeleteWorkflows(c, append(rows, signals...))
}

// signalsOf returns the DBOS ids of all signals to the workflows.
func signalsOf(c dbos.Context, ids []string) ([]string, error) {
	var prefixes []string
	asked := make(map[string]bool)
	for _, id := range ids {
		asked[id] = true
		prefixes = append(prefixes, likeable(id+"#"))
	}
	found, err := dbos.ListWorkflows(c, dbos.WithFilterName(signalName), dbos.WithFilterWorkflowIDPrefix(prefixes...),
		dbos.WithFilterLoadInput(false), dbos.WithFilterLoadOutput(false))
	if err != nil {
		return nil, err
	}
	var signals []string
	for _, s := range found {
		// A topic in an id is escaped: the last # is before it.
		if i := strings.LastIndexByte(s.ID, '#'); i >= 0 && asked[s.ID[:i]] {
			signals = append(signals, s.ID)
		}
	}
	return signals, nil
}
