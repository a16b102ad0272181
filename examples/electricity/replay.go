package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/serve/servehttp"
	"github.com/mlloop/mlloop/train/frame"
)

// clock is the stream's time: the server stamps predictions and labels with it.
type clock struct{ ms atomic.Int64 }

func (c *clock) set(t time.Time) { c.ms.Store(t.UnixMilli()) }

func (c *clock) now() time.Time { return time.UnixMilli(c.ms.Load()).UTC() }

// replay is the world outside the loop: clients that ask for predictions over
// HTTP, half an hour after half an hour, and the truth that comes a day later.
type replay struct {
	market *market
	loop   *retrain.Loop
	clock  *clock
	url    string // of the model, such as http://127.0.0.1:41234/v2/models/electricity
	client *http.Client
	end    int // row after the last one to replay

	row   int // to ask about next
	label int // row whose label is to be given next
}

// listen serves the loop's handler on a free loopback port. stop ends it, and
// returns what went wrong.
func listen(ctx context.Context, handler http.Handler) (url string, stop func() error, err error) {
	l, err := servehttp.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- servehttp.Serve(ctx, l, handler, nil) }()
	stop = func() error {
		cancel()
		return <-ended
	}
	return "http://" + l.Addr().String() + "/v2/models/" + model, stop, nil
}

// resume finds the first row that has no durable prediction and the first that
// has no durable label: both are logged in the order of rows.
func (r *replay) resume(ctx context.Context, log serve.Store) error {
	counts, err := log.Counts(ctx, model)
	if err != nil {
		return err
	}
	r.row, r.label = r.market.history+int(counts.Predictions), r.market.history+int(counts.Labels)
	return nil
}

// run replays the remaining rows, and steps the loop at every midnight of the
// stream, and a second before it. onStep is called after each step with the row that comes next.
func (r *replay) run(ctx context.Context, onStep func(row int) error) error {
	if r.row > r.market.history { // an earlier life may have ended between a row and the label that came with it
		r.clock.set(rowTime(r.row - 1))
		if err := r.giveLabels(ctx); err != nil {
			return err
		}
	}
	for r.row < r.end {
		if r.row%rowsPerDay == 0 {
			if err := r.steps(ctx, onStep); err != nil {
				return err
			}
		}
		r.clock.set(rowTime(r.row))
		if err := r.ask(ctx, r.row); err != nil {
			return fmt.Errorf("row %d: %w", r.row, err)
		}
		r.row++
		if err := r.giveLabels(ctx); err != nil {
			return err
		}
	}
	return r.steps(ctx, onStep)
}

// steps makes the two steps between one row and the next. A step does not wait
// for a fit: the one of the day's last second begins it, and that of midnight sees
// it, so that what the loop decides then holds for the new day's first row. What is
// under way beside the steps, a shadow's answers too, is waited for: nothing that
// is decided depends on how fast this machine is.
func (r *replay) steps(ctx context.Context, onStep func(row int) error) error {
	midnight := rowTime(r.row)
	for _, now := range []time.Time{midnight.Add(-time.Second), midnight} {
		if err := r.loop.Settle(ctx); err != nil {
			return err
		}
		if err := r.loop.Step(ctx, now); err != nil {
			return err
		}
	}
	return onStep(r.row)
}

// requestID names a row's prediction: the same row asked again after a crash
// is the same prediction.
func requestID(row int) string { return fmt.Sprintf("row-%05d", row) }

// request is the body of the Open Inference Protocol v2 request about one row:
// its own six values, nothing else.
func request(row int, values frame.Row) []byte {
	b := fmt.Appendf(nil, `{"id":%q,"inputs":[`, requestID(row))
	for i, name := range inputs {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, `{"name":%q,"shape":[1],"datatype":"FP64","data":[`, name)
		b = strconv.AppendFloat(b, values.Get(name).Float(), 'g', -1, 64)
		b = append(b, "]}"...)
	}
	return append(b, "]}"...)
}

// ask posts one row. The answer is in the prediction log; here only its status counts.
func (r *replay) ask(ctx context.Context, row int) error {
	return r.post(ctx, "/infer", request(row, r.market.table.Row(row)))
}

// giveLabels posts the labels that have become known: each row's a day after it.
func (r *replay) giveLabels(ctx context.Context) error {
	for ; r.label < r.row-labelDelay; r.label++ {
		body, err := json.Marshal(map[string]any{"labels": []any{
			map[string]any{"id": requestID(r.label), "value": r.market.labels[r.label].Int()},
		}})
		if err != nil {
			return err
		}
		if err := r.post(ctx, "/feedback", body); err != nil {
			return fmt.Errorf("label of row %d: %w", r.label, err)
		}
	}
	return nil
}

// post sends a body and wants status 200.
func (r *replay) post(ctx context.Context, path string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := r.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(res.Body, 1<<20)) // to the end: the connection is used again
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s: %s", path, res.Status, bytes.TrimSpace(answer))
	}
	return nil
}
