package retrain_test

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train"
	"github.com/mlloop/mlloop/train/frame"
	"github.com/mlloop/mlloop/train/metric"
	"github.com/mlloop/mlloop/train/profile"
)

// chaosModel is a model of known quality. It is what its bundle holds.
type chaosModel struct {
	Kind     string        `json:"kind"` // see chaosKinds
	Seed     uint64        `json:"seed"`
	Accuracy float64       `json:"accuracy"` // on rows of its concept
	Seen     float64       `json:"seen"`     // on rows that were there when it was fitted
	Era      int           `json:"era"`      // its concept
	Known    int           `json:"known"`    // rows that were there when it was fitted
	Rate     float64       `json:"rate"`     // of the calls about later rows that go wrong
	Way      string        `json:"way"`      // in which they do: error, panic, shape, hang, slow
	Slow     time.Duration `json:"slow"`
}

// The kinds of challenger. The first four are models; what follows comes to no
// model at all.
const (
	kindGood       = "good"
	kindWorse      = "worse"   // 10 to 25 points worse
	kindLeaky      = "leaky"   // good on all rows that were there at its fit, 12 to 25 points worse on later ones
	kindFailing    = "failing" // a tenth or more of the calls about later rows go wrong
	kindSlow       = "slow"    // those take too long
	kindHanging    = "hanging" // those never return
	kindUnloadable = "unloadable"
	kindUnfit      = "no fit" // the trainer fails, panics, hangs or returns nothing
)

var chaosKinds = []string{kindGood, kindGood, kindWorse, kindLeaky, kindFailing, kindSlow, kindHanging, kindUnloadable, kindUnfit}

const (
	chaosFlavor = "chaos"
	chaosBest   = 0.85 // accuracy of the good models, within 2 points
)

// drawModel draws the challenger of a fit.
func (h *history) drawModel(number uint64, known int) chaosModel {
	rng, world := rand.New(rand.NewPCG(h.seed, 1000+number)), h.world
	good := chaosBest - 0.02 + 0.04*rng.Float64()
	m := chaosModel{Kind: chaosKinds[rng.IntN(len(chaosKinds))], Seed: rng.Uint64(), Accuracy: good, Seen: good, Known: known}
	if known > 0 {
		m.Era = world.era(world.times[known-1])
	}
	if kind := h.settings.sabotage.kind; kind != "" {
		m.Kind = kind
	}
	worse := chaosBest - 0.14 - 0.13*rng.Float64()
	rate, few := 0.1+0.5*rng.Float64(), rng.IntN(2)
	m.Slow = time.Duration(30+rng.IntN(2000)) * time.Millisecond
	switch {
	case number == 0:
		m.Kind = kindGood
	case m.Kind == kindWorse:
		m.Accuracy, m.Seen = worse, worse
	case m.Kind == kindLeaky:
		m.Accuracy = worse
	case m.Kind == kindFailing:
		m.Rate, m.Way = rate, []string{"error", "panic", "shape"}[rng.IntN(3)]
	case m.Kind == kindSlow:
		m.Rate, m.Way = []float64{rate, 1}[few], "slow"
	case m.Kind == kindHanging:
		m.Rate, m.Way = []float64{rate, 1}[few], "hang"
	case m.Kind == kindUnfit:
		m.Way = []string{"error", "panic", "hang", "deaf", "nothing"}[rng.IntN(5)]
	}
	return m
}

// accuracy is the share of right answers about new rows of an era.
func (m chaosModel) accuracy(era int) float64 {
	if m.Era != era {
		return m.Accuracy - chaosDrop
	}
	return m.Accuracy
}

// isBroken reports whether a tenth of its calls or more come to no answer in time.
func (m chaosModel) isBroken() bool { return m.Rate >= 0.1 }

// worseThan reports whether it is 10 points worse than the other in every era.
func (m chaosModel) worseThan(other chaosModel, eras ...int) bool {
	for _, e := range eras {
		if other.accuracy(e)-m.accuracy(e) < 0.1-1e-9 {
			return false
		}
	}
	return true
}

// right reports whether the model answers a row rightly. Models that are as good
// as one another err on much the same rows.
func (m chaosModel) right(w *chaosWorld, row int) bool {
	accuracy := m.accuracy(w.era(w.times[row]))
	if row < m.Known {
		accuracy += m.Seen - m.Accuracy
	}
	u := uniform(w.seed, uint64(row))
	if uniform(m.Seed, uint64(row), 1) < 0.3 {
		u = uniform(m.Seed, uint64(row))
	}
	return u < accuracy
}

// score is the probability that the model gives the class 1. All models are as
// sure of themselves: who errs more often is worse by every metric.
func (m chaosModel) score(w *chaosWorld, row int) float64 {
	p := chaosBest + 0.08*(uniform(m.Seed, uint64(row), 2)-0.5)
	if m.right(w, row) != (w.labels[row] == 1) {
		p = 1 - p
	}
	return p
}

// misbehaves reports whether the model's call about a row goes wrong.
func (m chaosModel) misbehaves(row int) bool {
	return row >= m.Known && uniform(m.Seed, uint64(row), 3) < m.Rate
}

func chaosSignature() bundle.Signature {
	return bundle.Signature{
		Inputs: []bundle.TensorSpec{{Name: "x", Datatype: string(frame.FP64), Shape: []int64{-1}}, {Name: "z", Datatype: string(frame.FP64), Shape: []int64{-1}}},
		Outputs: []bundle.TensorSpec{
			{Name: serve.LabelOutput, Datatype: string(frame.INT64), Shape: []int64{-1}},
			{Name: serve.ProbabilityOutput, Datatype: string(frame.FP64), Shape: []int64{-1, 2}},
		},
	}
}

// chaosPredictor serves a chaosModel.
type chaosPredictor struct {
	model   chaosModel
	world   *chaosWorld
	release <-chan struct{} // ends what hangs, with the history
}

// Signature implements serve.Predictor.
func (p chaosPredictor) Signature() bundle.Signature { return chaosSignature() }

// Classes implements serve.Classifier.
func (p chaosPredictor) Classes() []frame.Value {
	return []frame.Value{frame.IntValue(0), frame.IntValue(1)}
}

// Predict implements serve.Predictor.
func (p chaosPredictor) Predict(_ context.Context, inputs []frame.Tensor) ([]frame.Tensor, error) {
	xs := inputs[0].Data.([]float64)
	labels, probs := make([]int64, len(xs)), make([]float64, 0, 2*len(xs))
	for i, x := range xs {
		row := rowOfX(x)
		if p.model.misbehaves(row) {
			switch p.model.Way {
			case "error":
				return nil, errors.New("the model cannot")
			case "panic":
				panic("the model is broken")
			case "shape":
				return []frame.Tensor{{Name: "other", Datatype: frame.FP64, Shape: []int64{1}, Data: []float64{1}}}, nil
			case "slow":
				time.Sleep(p.model.Slow)
			case "hang":
				<-p.release
			}
		}
		s := p.model.score(p.world, row)
		if s > 0.5 {
			labels[i] = 1
		}
		probs = append(probs, 1-s, s)
	}
	n := int64(len(xs))
	return []frame.Tensor{
		{Name: serve.LabelOutput, Datatype: frame.INT64, Shape: []int64{n}, Data: labels},
		{Name: serve.ProbabilityOutput, Datatype: frame.FP64, Shape: []int64{n, 2}, Data: probs},
	}, nil
}

// load is the Loader of the history's bundles.
func (h *history) load(b *bundle.Bundle) (serve.Predictor, error) {
	m, err := modelOf(b)
	if err == nil && m.Kind == kindUnloadable {
		if m.Seed%2 == 0 {
			panic("the loader is broken")
		}
		err = fault.Errorf(fault.Corrupt, "the bundle cannot be loaded")
	}
	return chaosPredictor{m, h.world, h.release}, err
}

func modelOf(b *bundle.Bundle) (m chaosModel, err error) {
	return m, json.Unmarshal([]byte(b.Manifest().Metadata["chaos"]), &m)
}

// Fit implements train.Trainer: what comes of a fit depends on the history and
// on its number.
func (h *history) Fit(ctx context.Context, job train.Job) (*bundle.Bundle, error) {
	m := h.drawModel(job.Seed, h.world.rowsBefore(time.Now()))
	takes := time.Duration(1+uniform(m.Seed, 4)*90) * time.Minute
	select {
	case <-time.After(takes):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if m.Kind == kindUnfit {
		switch m.Way {
		case "error":
			return nil, fault.Errorf(fault.Unavailable, "the trainer cannot")
		case "panic":
			panic("the trainer is broken")
		case "hang":
			<-ctx.Done()
			return nil, ctx.Err()
		case "deaf":
			<-h.release
		}
		return nil, nil
	}
	return h.pack(job, m)
}

// pack makes the bundle of a model.
func (h *history) pack(job train.Job, m chaosModel) (*bundle.Bundle, error) {
	raw, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	parts := map[string][]byte{"note.txt": []byte("a model of known quality")}
	if h.settings.profiles && job.Data.NumRows() > 200 {
		p, err := profile.New(job.Data, []string{"x", "z"}, nil)
		if err != nil {
			return nil, err
		}
		if parts[bundle.ProfilePart], err = p.Marshal(); err != nil {
			return nil, err
		}
	}
	s := metric.Scores{Classes: 2}
	xs, err := job.Data.Floats("x")
	if err != nil {
		return nil, err
	}
	for _, x := range xs[max(0, len(xs)-500):] {
		row := rowOfX(x)
		p := m.score(h.world, row)
		s.Labels, s.Probabilities = append(s.Labels, int(h.world.labels[row])), append(s.Probabilities, 1-p, p)
	}
	e, err := metric.Evaluate(s, nil)
	if err != nil {
		return nil, err
	}
	if parts[bundle.EvaluationPart], err = e.Marshal(); err != nil {
		return nil, err
	}
	return bundle.New(bundle.Spec{Flavor: chaosFlavor, CreatedAt: job.Now, Signature: chaosSignature(), Metadata: map[string]string{"chaos": string(raw)}}, parts)
}
