package retrain

import (
	"context"
	"math"
	"time"

	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train/frame"
	"github.com/mlloop/mlloop/train/metric"
)

// pairing gathers the labelled live answers of a champion and a challenger,
// which may know different classes.
type pairing struct {
	champion, challenger side
	rows                 map[string]int // by id, the place in the sides
	days                 []int          // of each row
}

// side is what one of the two said: an answer a row, without scores where it
// was not asked.
type side struct {
	classes []frame.Value
	answers []answer
}

// liveAnswers reads the labels that came during the retraining's present
// stage, of rows that were answered during it.
func (l *Loop) liveAnswers(ctx context.Context, r Retraining, isChallenger func(serve.LabelledPrediction) bool) (*pairing, error) {
	classes, err := l.classesOfVersion(ctx, r.Version)
	if err != nil {
		return nil, err
	}
	p := &pairing{champion: side{classes: l.watcher.classes}, challenger: side{classes: classes}, rows: make(map[string]int)}
	err = l.eachLabel(ctx, r.LabelSeq, func(a serve.LabelledPrediction) {
		switch {
		case a.Time.Before(r.StageSince):
		case a.Version == r.Version && isChallenger(a):
			p.add(a, &p.challenger)
		case a.Version == r.Champion && a.Variant != serve.Shadow:
			p.add(a, &p.champion)
		}
	})
	return p, err
}

func (l *Loop) classesOfVersion(ctx context.Context, version int64) ([]frame.Value, error) {
	b, _, err := l.registry(time.Time{}).Load(ctx, registry.VersionRef(l.config.Model, version))
	if err != nil {
		return nil, err
	}
	p, err := l.load(b)
	if err != nil {
		return nil, err
	}
	defer closePredictor(p)
	return classesOf(p)
}

func (p *pairing) add(a serve.LabelledPrediction, to *side) {
	if len(a.Scores) != len(to.classes) {
		return
	}
	row, seen := p.rows[a.ID]
	if !seen {
		row = len(p.days)
		p.rows[a.ID] = row
		p.days = append(p.days, dayOf(a.Time))
		for _, s := range []*side{&p.champion, &p.challenger} {
			s.answers = append(s.answers, answer{label: a.Label.Value})
		}
	}
	to.answers[row].scores = a.Scores
}

// dayOf counts days from 1970.
func dayOf(t time.Time) int { return int(t.Unix() / int64(24*time.Hour/time.Second)) }

// paired returns both sides' scores on the rows that both answered, and the day of each.
func (p *pairing) paired() (champion, challenger metric.Scores, days []int) {
	a, b := side{classes: p.champion.classes}, side{classes: p.challenger.classes}
	for row, day := range p.days {
		if p.champion.answers[row].scores != nil && p.challenger.answers[row].scores != nil {
			a.answers = append(a.answers, p.champion.answers[row])
			b.answers = append(b.answers, p.challenger.answers[row])
			days = append(days, day)
		}
	}
	champion, challenger = scoresOfBoth(a, b)
	return champion, challenger, days
}

// all returns each side's scores on the rows that it answered.
func (p *pairing) all() (champion, challenger metric.Scores) {
	return scoresOfBoth(p.champion.answered(), p.challenger.answered())
}

func (s side) answered() side {
	given := side{classes: s.classes}
	for _, a := range s.answers {
		if a.scores != nil {
			given.answers = append(given.answers, a)
		}
	}
	return given
}

func scoresOfBoth(champion, challenger side) (a, b metric.Scores) {
	classes := allClasses(allClasses(champion.classes, challenger.classes, champion.answers), nil, challenger.answers)
	return scoresOver(classes, champion.classes, champion.answers), scoresOver(classes, challenger.classes, challenger.answers)
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
