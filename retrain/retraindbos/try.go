package retraindbos

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/dbos-inc/dbos-transact-golang/dbos"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/retrain"
)

// The names in DBOS of first tries, of later ones, and of signals.
const (
	firstName  = "mlloop"
	againName  = "mlloop.again"
	signalName = "mlloop.signal"
)

// try is one execution of a workflow: a DBOS workflow of its own, whose id is
// the workflow's with #1, #2 … behind it. DBOS resumes a workflow only under
// the version and the executor that it began with, and finds a step by its
// place; a new try begins anywhere, and finds the steps of the earlier ones by
// their names.
//
// A try has ended the workflow when its status is SUCCESS. At most one try does,
// the last: a next one begins only after the one before it was cancelled in
// DBOS, which from then on records nothing for it.
type try struct {
	id     string // the workflow's
	number int    // from 1
	status dbos.WorkflowStatus
}

func tryID(id string, number int) string { return id + "#" + strconv.Itoa(number) }

// parseTryID is the inverse of tryID.
func parseTryID(s string) (id string, number int, ok bool) {
	i := strings.LastIndexByte(s, '#')
	if i < 0 {
		return "", 0, false
	}
	number, err := strconv.Atoi(s[i+1:])
	return s[:i], number, err == nil && number > 0
}

func (t try) ended() bool { return t.status.Status == dbos.WorkflowStatusSuccess }

// underWay reports whether a process runs the try, or did when it died.
func (t try) underWay() bool {
	switch t.status.Status {
	case dbos.WorkflowStatusPending, dbos.WorkflowStatusEnqueued, dbos.WorkflowStatusDelayed:
		return true
	}
	return false
}

// triesOf returns the tries of a workflow in their order, with inputs and outputs.
func triesOf(c dbos.Context, id string) ([]try, error) {
	const batch = 8
	var all []try
	for {
		var ids []string
		for i := range batch {
			ids = append(ids, tryID(id, len(all)+i+1))
		}
		found, err := dbos.ListWorkflows(c, dbos.WithFilterWorkflowIDs(ids...), dbos.WithFilterName(firstName, againName))
		if err != nil {
			return nil, err
		}
		byID := make(map[string]dbos.WorkflowStatus, len(found))
		for _, s := range found {
			byID[s.ID] = s
		}
		for _, tid := range ids {
			s, ok := byID[tid]
			if !ok {
				return all, nil
			}
			all = append(all, try{id: id, number: len(all) + 1, status: s})
		}
	}
}

// lastTry returns the last try of a workflow. Errors: NotFound.
func lastTry(c dbos.Context, id string) (try, error) {
	tries, err := triesOf(c, id)
	switch {
	case err != nil:
		return try{}, err
	case len(tries) == 0:
		return try{}, fault.Errorf(fault.NotFound, "no such workflow was started")
	}
	return tries[len(tries)-1], nil
}

func resultOf(last try) (retrain.Result, error) {
	if !last.ended() {
		return retrain.Result{}, nil
	}
	o, err := decode[outcome](last.status.Output)
	if err != nil {
		return retrain.Result{}, fmt.Errorf("try %d: %w", last.number, err)
	}
	return o.result(), nil
}

// stepsOf returns what the tries recorded, the first result of each name.
func stepsOf(c dbos.Context, tries []try) (map[string]outcome, error) {
	recorded := make(map[string]outcome)
	for _, t := range tries {
		steps, err := dbos.GetWorkflowSteps(c, t.status.ID)
		if err != nil {
			return nil, err
		}
		for _, s := range steps {
			if _, ok := recorded[s.StepName]; ok || s.Error != nil {
				continue // an error of DBOS's is a step that was cut off
			}
			o, err := decode[outcome](s.Output)
			if err != nil {
				return nil, fmt.Errorf("step %s of try %d: %w", s.StepName, t.number, err)
			}
			recorded[s.StepName] = o
		}
	}
	return recorded, nil
}

// holder says which process runs a try. It is kept in the try's attributes.
type holder struct {
	life, host string
	pid        int
	beat       int // counts up while the process lives
}

func (h holder) attributes() map[string]any {
	return map[string]any{"life": h.life, "host": h.host, "pid": h.pid, "beat": h.beat}
}

func holderOf(t try) holder {
	a := t.status.Attributes
	text := func(key string) string { s, _ := a[key].(string); return s }
	number := func(key string) int { f, _ := a[key].(float64); return int(f) }
	return holder{text("life"), text("host"), number("pid"), number("beat")}
}

// self is the holder of what this engine runs.
func (e *Engine) self(beat int) holder { return holder{e.life, e.host, os.Getpid(), beat} }

// gone reports whether the process is certainly dead. It knows that of another
// process on the same machine; false says nothing.
func (h holder) gone(self holder) bool {
	if h.host == "" || h.host != self.host || h.pid == self.pid || h.pid <= 0 {
		return false
	}
	return processGone(h.pid)
}

// errCancelled is the result of a cancelled workflow. errLost is the end of a try
// that was cancelled in the database, by Cancel or by a process that took the
// workflow up; errClosed that of one by Close.
var (
	errCancelled = fault.Errorf(fault.Unavailable, "the workflow was cancelled")
	errLost      = fault.Errorf(fault.Closed, "this execution was cancelled, or taken up by another process")
	errClosed    = fault.Errorf(fault.Closed, "the engine is closed")
)
