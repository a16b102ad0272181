package serve

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"strconv"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/internal/id"
	"github.com/mlloop/mlloop/train/frame"
)

// Request is a batch to answer.
type Request struct {
	ID      string         // names the prediction: labels come under it, and the same ID again logs nothing new; "": a new one
	Key     string         // what keeps a caller on one side of a traffic split; "": the ID
	Version int64          // 0: the route decides; else this one, if it answers at present
	Inputs  []frame.Tensor // as the signature has them, in any order; not kept. A wire that cannot read one puts the error in its Data: it is told with all else
	Outputs []string       // names of the wanted outputs, in this order; nil: all
}

// Response is the answer to a batch, wholly by one version.
type Response struct {
	ID      string
	Model   string
	Version int64
	Variant Variant // Primary or Canary
	Outputs []frame.Tensor
}

// MaxIDBytes is how long a request's ID and Key may be.
const MaxIDBytes = 1024

// Predict answers a request. The answer is logged behind its back, a
// Prediction a row: with the request's ID for a single row, with ID/0, ID/1 …
// for more. Errors: NotFound (model, version, output), Invalid listing
// everything that is wrong with the inputs, Closed, the Predictor's own.
func (s *Server) Predict(ctx context.Context, model string, req Request) (Response, error) {
	resp, err := s.predict(ctx, model, &req)
	if err != nil {
		return Response{}, fmt.Errorf("serve: predict %s: %w", model, err)
	}
	return resp, nil
}

func (s *Server) predict(ctx context.Context, model string, req *Request) (Response, error) {
	m, err := s.find(model)
	if err != nil {
		return Response{}, err
	}
	if len(req.ID) > MaxIDBytes || len(req.Key) > MaxIDBytes {
		return Response{}, fault.Errorf(fault.Invalid, "id of %d bytes, key of %d bytes: at most %d are taken", len(req.ID), len(req.Key), MaxIDBytes)
	}
	if req.ID == "" {
		req.ID = id.New()
	}
	if req.Key == "" {
		req.Key = req.ID
	}
	g, err := m.acquire(req.Key, req.Version)
	if err != nil {
		return Response{}, err
	}
	a, err := s.answer(ctx, g.version, req)
	if err == nil {
		a.variant, a.propensity = g.variant, g.propensity
		if g.shadow != nil {
			s.shadow.ask(ctx, m.name, g.shadow, req) // takes over that reference
			g.shadow = nil
		}
		// After a shadow that is asked at once: an answer in the log then has its
		// shadow there too, whenever the process dies.
		s.record(m.name, req, &a)
	}
	g.release()
	if err != nil {
		return Response{}, err
	}
	outputs, err := a.wanted(req.Outputs)
	return Response{ID: req.ID, Model: m.name, Version: g.version.number, Variant: g.variant, Outputs: outputs}, err
}

// answer is what one version made of one request.
type answer struct {
	version    *version
	variant    Variant
	propensity float64
	at         time.Time
	latency    time.Duration
	rows       []frame.Row // nil when nobody wants them
	outputs    []frame.Tensor
	n          int
}

// answer checks a request against a version's signature and runs the version.
func (s *Server) answer(ctx context.Context, v *version, req *Request) (answer, error) {
	b, err := v.shape.check(req.Inputs, s.opts.MaxBatchRows)
	if err != nil {
		return answer{}, err
	}
	for _, name := range req.Outputs {
		if indexOf(v.shape.signature.Outputs, name) < 0 {
			return answer{}, fault.Errorf(fault.Invalid, "output %q is unknown; the model gives %s", name, describe(v.shape.signature.Outputs))
		}
	}
	a := answer{version: v, at: s.opts.Now(), n: b.n}
	began := time.Now()
	if v.shape.rows != nil {
		if a.rows, err = frame.RowsFromTensors(v.shape.columns, b.inputs); err != nil {
			return answer{}, err
		}
	} else if s.log != nil || s.opts.Observer != nil {
		a.rows = v.shape.makeRows(b)
	}
	if a.outputs, err = s.run(ctx, v, b, a.rows); err != nil {
		return answer{}, err
	}
	a.latency = time.Since(began)
	return a, nil
}

// run runs the predictor. A panic becomes an error: one request's, not the process's.
func (s *Server) run(ctx context.Context, v *version, b batch, rows []frame.Row) (outputs []frame.Tensor, err error) {
	defer func() {
		if p := recover(); p != nil {
			s.opts.Logger.Error("serve: a predictor panicked", "version", v.number, "panic", p, "stack", string(debug.Stack()))
			outputs, err = nil, fmt.Errorf("version %d panicked: %v", v.number, p)
		}
	}()
	if v.shape.rows != nil {
		outputs, err = v.shape.rows.predictRows(rows)
	} else {
		outputs, err = v.predictor.Predict(ctx, b.inputs)
	}
	if err != nil {
		return nil, err
	}
	return outputs, v.shape.checkOutputs(outputs, b.n)
}

// wanted returns the named outputs, or all.
func (a *answer) wanted(names []string) ([]frame.Tensor, error) {
	if len(names) == 0 {
		return a.outputs, nil
	}
	out := make([]frame.Tensor, len(names))
	for i, name := range names {
		out[i] = a.outputs[indexOf(a.version.shape.signature.Outputs, name)]
	}
	return out, nil
}

// record logs an answer and tells the observer of it.
func (s *Server) record(model string, req *Request, a *answer) {
	if s.log == nil && (s.opts.Observer == nil || a.variant == Shadow) {
		return
	}
	scores := a.scores()
	ps := make([]Prediction, a.n)
	for i := range ps {
		ps[i] = Prediction{
			ID: rowID(req.ID, i, a.n), Model: model, Version: a.version.number, Variant: a.variant, Key: req.Key, Time: a.at,
			Features: a.rows[i], Output: a.version.shape.output(a.outputs, i), Scores: rowOf(scores, i, a.n),
			Propensity: a.propensity, Latency: a.latency,
		}
		if s.opts.Observer != nil && a.variant != Shadow {
			s.opts.Observer.ObservePrediction(a.at, ps[i].ID, ps[i].Features, ps[i].Output, ps[i].Scores)
		}
	}
	if s.log != nil {
		s.log.put(ps)
	}
}

// scores returns the class probabilities in memory of their own, as the caller
// owns the outputs; nil when the model gives none.
func (a *answer) scores() []float64 {
	i := a.version.shape.scores
	if i < 0 {
		return nil
	}
	p, _ := a.outputs[i].Data.([]float64)
	return slices.Clone(p)
}

// rowOf returns row i of n rows.
func rowOf(p []float64, i, n int) []float64 {
	if p == nil {
		return nil
	}
	k := len(p) / n
	return p[i*k : (i+1)*k : (i+1)*k]
}

// rowID names row i of a request's n.
func rowID(request string, i, n int) string {
	if n == 1 {
		return request
	}
	return request + "/" + strconv.Itoa(i)
}
