package retraindbos

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/dbos-inc/dbos-transact-golang/dbos"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/retrain"
)

// listPage is how many workflows one query of List reads.
const listPage = 200

// List implements retrain.Engine. It reads in pages while the caller takes what
// it yields: what begins or ends meanwhile may be seen either way. Times are those
// of the database, in milliseconds.
func (e *Engine) List(ctx context.Context, q retrain.ListQuery) iter.Seq2[retrain.Execution, error] {
	return func(yield func(retrain.Execution, error) bool) {
		root, err := e.started()
		p := pager{query: q, from: q.From, limit: listPage}
		for err == nil && !p.done {
			var page []retrain.Execution
			page, err = within(ctx, root, p.next)
			for _, x := range page {
				if !yield(x, nil) {
					return
				}
			}
		}
		if err != nil {
			yield(retrain.Execution{}, fmt.Errorf("retraindbos: list workflows: %w", e.orClosed(err)))
		}
	}
}

// pager reads first tries in the order of their creation. It goes on by time and
// not by place, so that nothing is skipped when rows are deleted meanwhile.
type pager struct {
	query retrain.ListQuery
	from  time.Time
	seen  map[string]bool // what was yielded of the millisecond that from is
	limit int
	done  bool
}

func (p *pager) next(c dbos.Context) ([]retrain.Execution, error) {
	rows, err := dbos.ListWorkflows(c, p.filters()...)
	if err != nil {
		return nil, err
	}
	p.done = len(rows) < p.limit
	var page []retrain.Execution
	fresh := false
	for _, s := range rows {
		if p.seen[s.ID] {
			continue
		}
		fresh = true
		x, ok, err := p.execution(c, s)
		switch {
		case err != nil:
			return nil, err
		case ok:
			page = append(page, x)
		}
	}
	if !fresh { // more began in one millisecond than a page holds
		p.limit *= 2
		return page, nil
	}
	p.from, p.seen = rows[len(rows)-1].CreatedAt, make(map[string]bool)
	for _, s := range rows {
		if s.CreatedAt.Equal(p.from) {
			p.seen[s.ID] = true
		}
	}
	return page, nil
}

func (p *pager) filters() []dbos.ListWorkflowsOption {
	all := []dbos.ListWorkflowsOption{dbos.WithFilterName(firstName), dbos.WithFilterLimit(p.limit)}
	if !p.from.IsZero() {
		all = append(all, dbos.WithFilterCreatedAfter(p.from))
	}
	if p.query.Prefix != "" {
		all = append(all, dbos.WithFilterWorkflowIDPrefix(likeable(p.query.Prefix)))
	}
	if p.query.Unfinished {
		all = append(all, dbos.WithFilterStatus(unsuccessful...))
	}
	return all
}

// likeable returns what of the prefix stands for itself, or for more, in a
// pattern of SQL's LIKE: a backslash would take the next character's meaning away.
func likeable(prefix string) string {
	before, _, _ := strings.Cut(prefix, `\`)
	return before
}

// execution tells how the workflow of a first try stands, and whether it is asked for.
func (p *pager) execution(c dbos.Context, s dbos.WorkflowStatus) (x retrain.Execution, ok bool, err error) {
	id, number, ok := parseTryID(s.ID)
	if !ok || !strings.HasPrefix(id, p.query.Prefix) {
		return x, false, nil
	}
	input, err := decode[call](s.Input)
	if err != nil {
		return x, false, fmt.Errorf("workflow %s: %w", id, err)
	}
	if p.query.Name != "" && input.Name != p.query.Name {
		return x, false, nil
	}
	last := try{id: id, number: number, status: s}
	if !last.ended() {
		last, err = lastTry(c, id)
		switch {
		case errors.Is(err, fault.NotFound): // forgotten meanwhile
			return x, false, nil
		case err != nil:
			return x, false, err
		}
	}
	x = retrain.Execution{ID: id, Name: input.Name, Started: s.CreatedAt.UTC()}
	if last.ended() {
		x.Ended = last.status.CompletedAt.UTC()
	}
	x.Result, err = resultOf(last)
	return x, !p.query.Unfinished || !x.Result.Done, err
}
