package retrain

import (
	"math"
	"time"

	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train/metric"
)

// pairing gathers the labelled answers of a champion and a challenger.
type pairing struct {
	watcher              *watcher
	champion, challenger map[string]serve.LabelledPrediction // by id
	order                []string                            // ids as they came
}

func newPairing(w *watcher) *pairing {
	return &pairing{watcher: w, champion: make(map[string]serve.LabelledPrediction), challenger: make(map[string]serve.LabelledPrediction)}
}

func (p *pairing) add(a serve.LabelledPrediction, isChallenger, isChampion bool) {
	if classIndex(p.watcher.classes, a.Label.Value) < 0 || len(a.Scores) != len(p.watcher.classes) {
		return
	}
	_, seenA := p.champion[a.ID]
	_, seenB := p.challenger[a.ID]
	switch {
	case isChallenger:
		p.challenger[a.ID] = a
	case isChampion:
		p.champion[a.ID] = a
	default:
		return
	}
	if !seenA && !seenB {
		p.order = append(p.order, a.ID)
	}
}

// paired returns both sides' scores on the rows that both answered, and the day of each.
func (p *pairing) paired() (champion, challenger metric.Scores, blocks []int) {
	champion.Classes, challenger.Classes = len(p.watcher.classes), len(p.watcher.classes)
	for _, id := range p.order {
		a, okA := p.champion[id]
		b, okB := p.challenger[id]
		if okA && okB {
			p.append(&champion, a)
			p.append(&challenger, b)
			blocks = append(blocks, int(a.Time.Unix()/int64(24*time.Hour/time.Second)))
		}
	}
	return champion, challenger, blocks
}

// all returns each side's scores on the rows that it answered.
func (p *pairing) all() (champion, challenger metric.Scores) {
	champion.Classes, challenger.Classes = len(p.watcher.classes), len(p.watcher.classes)
	for _, id := range p.order {
		if a, ok := p.champion[id]; ok {
			p.append(&champion, a)
		}
		if b, ok := p.challenger[id]; ok {
			p.append(&challenger, b)
		}
	}
	return champion, challenger
}

func (p *pairing) append(s *metric.Scores, a serve.LabelledPrediction) {
	s.Labels = append(s.Labels, classIndex(p.watcher.classes, a.Label.Value))
	s.Probabilities = append(s.Probabilities, a.Scores...)
}

// independentDifference returns the named metric of a minus that of b, on
// different rows, with the interval that follows from those of the two: MOVER
// (G. Zou and A. Donner, Statistics in Medicine 27, 2008), which for accuracies
// with Wilson's interval is R. Newcombe's method 10 (1998).
func independentDifference(name string, a, b metric.Scores) (d metric.Result, higherBetter bool, err error) {
	m, err := metric.ByName(name)
	if err != nil {
		return d, false, err
	}
	ra, err := m.Evaluate(a, nil)
	if err != nil {
		return d, false, err
	}
	rb, err := m.Evaluate(b, nil)
	if err != nil {
		return d, false, err
	}
	d = metric.Result{Name: name, Value: ra.Value - rb.Value, N: ra.N, Level: ra.Level, Method: "MOVER"}
	d.Low = d.Value - math.Hypot(ra.Value-ra.Low, rb.High-rb.Value)
	d.High = d.Value + math.Hypot(ra.High-ra.Value, rb.Value-rb.Low)
	return d, m.HigherBetter, nil
}
