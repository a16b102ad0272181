package retraindbos

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"

	"github.com/dbos-inc/dbos-transact-golang/dbos"

	"github.com/mlloop/mlloop/internal/fault"
)

// message is the recorded input of a signal: a DBOS workflow of its own, which
// does nothing. Its row is the signal, whether the process that sent it lived to
// see it through or not.
type message struct {
	Data []byte `json:"data,omitempty"`
}

// signalID names the n-th signal of a topic, from 1. It ends unlike a try's, and
// an escaped topic holds no #, so that no two ids meet.
func signalID(id, topic string, n int) string {
	return id + "#" + url.PathEscape(topic) + "@" + strconv.Itoa(n)
}

// Signal implements retrain.Engine. A call that failed may have sent it.
func (e *Engine) Signal(ctx context.Context, id, topic string, data []byte) error {
	root, err := e.started()
	if err == nil {
		_, err = within(ctx, root, func(c dbos.Context) (struct{}, error) {
			return struct{}{}, e.send(c, root, id, topic, data)
		})
	}
	if err != nil {
		return fmt.Errorf("retraindbos: signal %s: %w", id, e.orClosed(err))
	}
	return nil
}

// send takes the first number that is free. Of several senders each gets one of
// its own, for a number is an id.
func (e *Engine) send(c, root dbos.Context, id, topic string, data []byte) error {
	last, err := lastTry(c, id)
	switch {
	case err != nil:
		return err
	case last.ended():
		return fault.Errorf(fault.Conflict, "the workflow has ended: nothing awaits a signal")
	}
	n, err := sent(c, id, topic)
	for err == nil {
		n++
		_, err = dbos.RunWorkflow(root, e.deliver, message{data}, append(e.born(), dbos.WithWorkflowID(signalID(id, topic, n)))...)
		if err == nil {
			e.wake()
			return nil
		}
		if errors.Is(err, dbos.ErrWorkflowIDInUse) {
			err = c.Err()
		}
	}
	return err
}

// deliver is the DBOS workflow of a signal.
func (e *Engine) deliver(dbos.Context, message) (struct{}, error) { return struct{}{}, nil }

// sent returns how many signals of the topic there are.
func sent(c dbos.Context, id, topic string) (int, error) {
	const batch = 64
	for n := 0; ; n += batch {
		var ids []string
		for i := range batch {
			ids = append(ids, signalID(id, topic, n+i+1))
		}
		found, err := dbos.ListWorkflows(c, dbos.WithFilterWorkflowIDs(ids...),
			dbos.WithFilterLoadInput(false), dbos.WithFilterLoadOutput(false))
		if err != nil || len(found) < batch {
			return n + len(found), err
		}
	}
}

// received returns the n-th signal of the topic, if it has come.
func received(c dbos.Context, id, topic string, n int) (data []byte, ok bool, err error) {
	found, err := dbos.ListWorkflows(c, dbos.WithFilterWorkflowIDs(signalID(id, topic, n)), dbos.WithFilterLoadOutput(false))
	if err != nil || len(found) == 0 {
		return nil, false, err
	}
	m, err := decode[message](found[0].Input)
	if err != nil {
		return nil, false, fmt.Errorf("signal %d of topic %s: %w", n, topic, err)
	}
	return m.Data, true, nil
}

// wake has all that awaits a signal in this process look again.
func (e *Engine) wake() {
	e.mu.Lock()
	defer e.mu.Unlock()
	close(e.signalled)
	e.signalled = make(chan struct{})
}

// signals returns what wake closes.
func (e *Engine) signals() <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.signalled
}
