package retraintest

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/retrain"
)

// Signal implements retrain.Engine.
func (e *Engine) Signal(ctx context.Context, id, topic string, data []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r, err := e.find(id)
	if err == nil {
		err = e.records.send(r, topic, data)
	}
	if err != nil {
		return fmt.Errorf("signal %s: %w", id, err)
	}
	return nil
}

func (rs *records) send(r *record, topic string, data []byte) error {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if r.result.Done {
		return fault.Errorf(fault.Conflict, "the workflow has ended: nothing awaits a signal")
	}
	r.signals[topic] = append(r.signals[topic], bytes.Clone(data))
	close(r.signal)
	r.signal = make(chan struct{})
	return nil
}

// List implements retrain.Engine. It yields what was there when it was called.
func (e *Engine) List(ctx context.Context, q retrain.ListQuery) iter.Seq2[retrain.Execution, error] {
	return func(yield func(retrain.Execution, error) bool) {
		e.mu.Lock()
		err := e.usable()
		e.mu.Unlock()
		if err != nil {
			yield(retrain.Execution{}, fmt.Errorf("list workflows: %w", err))
			return
		}
		for _, x := range e.records.list(q) {
			if err := ctx.Err(); err != nil {
				yield(retrain.Execution{}, err)
				return
			}
			if !yield(x, nil) {
				return
			}
		}
	}
}

func (rs *records) list(q retrain.ListQuery) []retrain.Execution {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	var found []retrain.Execution
	for _, r := range rs.all {
		if (q.Name != "" && r.name != q.Name) || !strings.HasPrefix(r.id, q.Prefix) ||
			(q.Unfinished && r.result.Done) || r.started.Before(q.From) {
			continue
		}
		found = append(found, retrain.Execution{
			ID: r.id, Name: r.name, Started: r.started, Ended: r.ended, Result: copied(r.result),
		})
	}
	return found
}

// Forget implements retrain.Engine.
func (e *Engine) Forget(ctx context.Context, before time.Time) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.usable(); err != nil {
		return 0, fmt.Errorf("forget workflows: %w", err)
	}
	return e.records.forget(before), nil
}

func (rs *records) forget(before time.Time) int {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	var left []*record
	for _, r := range rs.all {
		if r.result.Done && r.ended.Before(before) {
			delete(rs.byID, r.id)
		} else {
			left = append(left, r)
		}
	}
	n := len(rs.all) - len(left)
	rs.all = left
	return n
}
