package retrain

import (
	"fmt"
	"time"
)

// facts are all that the decision about a retraining under way rests on.
type facts struct {
	Now        time.Time
	Retraining Retraining
	Champion   int64 // the version that the alias names; 0: none
	Paused     bool
	Fit        *fitLook // in stage Fitting; nil: not begun, or not looked at in this step
	Withdrawn  string   // why the challenger cannot be asked any more: the server took it off, or cannot load it; "": it can
	Harm       *Verdict // of the canary: harm that is shown by now; nil: none
	Verdict    *Verdict // of the stage; nil: it is not time to judge
	Overdue    bool     // the stage has waited for its labels as long as it may
}

// rules are what the configuration says about decisions.
type rules struct {
	Mode         Mode
	Shadow       bool        // there is one
	Weights      int         // of the canary
	Gates        Consequence // of an inconclusive gate
	Rollout      Consequence // of an inconclusive shadow or canary
	ChampionMade bool        // there is a champion to be replaced
}

// fitLook is where the workflow of a fit stands.
type fitLook struct {
	Done   bool
	Output fitOutput
	Err    error  // the fit's own: it failed
	PutOff string // why it is to be tried again: what it lacks may come
}

// decision is what a step does about a retraining: Next is the stage it enters,
// "" when it stays where it is.
type decision struct {
	Next     Stage
	Weight   int
	Reason   string
	Verdicts []Verdict // that led to it, in the order of judging
	Unjudged string    // what could not be judged and was passed over; "": nothing
}

// decide is the whole machine: a pure function of the facts.
func decide(c rules, f facts) decision {
	r := f.Retraining
	if d, over := decideByHand(f); over {
		return d
	}
	if f.Paused {
		return decision{}
	}
	switch r.Stage {
	case Fitting:
		return decideFit(c, f)
	case Shadowing:
		return decideShadow(c, f)
	case Canarying:
		return decideCanary(c, f)
	}
	return decision{}
}

// decideByHand gives up a retraining whose champion a person has replaced.
func decideByHand(f facts) (decision, bool) {
	r := f.Retraining
	switch {
	case r.Champion == 0 && f.Champion != 0, f.Champion != 0 && f.Champion != r.Champion && f.Champion != r.Version:
		return decision{Next: Superseded, Reason: fmt.Sprintf("version %d was made champion by hand", f.Champion)}, true
	case r.Version != 0 && f.Champion == r.Version:
		return decision{Next: Promoted, Reason: "it was made champion by hand"}, true
	case r.Champion != 0 && f.Champion == 0:
		return decision{Next: Superseded, Reason: "the champion's alias was deleted by hand"}, true
	}
	return decision{}, false
}

func decideFit(c rules, f facts) decision {
	switch {
	case f.Fit == nil || !f.Fit.Done || f.Fit.PutOff != "":
		return decision{}
	case f.Fit.Err != nil:
		return decision{Next: Failed, Reason: f.Fit.Err.Error()}
	case f.Retraining.Champion == 0:
		return decision{Next: Promoted, Reason: "the first fit"}
	}
	d := decision{Verdicts: f.Fit.Output.Verdicts}
	switch outcome, v := sum(d.Verdicts); outcome {
	case Fail:
		d.Next, d.Reason = Rejected, v.Gate+": "+v.Reason
		return d
	case Undetermined:
		if c.Gates != GoOn {
			d.Next, d.Reason = Inconclusive, v.Gate+": "+v.Reason
			return d
		}
		d.Unjudged = v.Gate + ": " + v.Reason
	}
	d.Next, d.Reason = afterGates(c), "the gates passed"
	return d
}

// sum is the worst outcome of several verdicts, with the first verdict that has it.
func sum(verdicts []Verdict) (Outcome, Verdict) {
	var undetermined *Verdict
	for i, v := range verdicts {
		switch {
		case v.Outcome == Fail:
			return Fail, v
		case v.Outcome != Pass && undetermined == nil:
			undetermined = &verdicts[i]
		}
	}
	if undetermined != nil {
		return Undetermined, *undetermined
	}
	return Pass, Verdict{}
}

func afterGates(c rules) Stage {
	if c.Shadow {
		return Shadowing
	}
	return afterShadow(c)
}

func afterShadow(c rules) Stage {
	switch {
	case c.Mode == Recommend:
		return Recommended
	case c.Weights > 0:
		return Canarying
	}
	return Promoted
}

func decideShadow(c rules, f facts) decision {
	switch {
	case f.Withdrawn != "":
		return decision{Next: Failed, Reason: f.Withdrawn}
	case f.Verdict == nil:
		return decision{}
	}
	d := decision{Verdicts: []Verdict{*f.Verdict}, Reason: f.Verdict.Reason}
	switch f.Verdict.Outcome {
	case Pass:
		d.Next = afterShadow(c)
	case Fail:
		d.Next = Rejected
	default:
		if !f.Overdue {
			return decision{}
		}
		if d.Next = Inconclusive; c.Rollout == GoOn {
			d.Next, d.Unjudged = afterShadow(c), f.Verdict.Reason
		}
	}
	return d
}

func decideCanary(c rules, f facts) decision {
	switch {
	case f.Withdrawn != "":
		return decision{Next: RolledBack, Reason: f.Withdrawn}
	case f.Harm != nil:
		return decision{Next: RolledBack, Reason: f.Harm.Reason, Verdicts: []Verdict{*f.Harm}}
	case f.Verdict == nil:
		return decision{}
	}
	d := decision{Verdicts: []Verdict{*f.Verdict}, Reason: f.Verdict.Reason}
	if weight := f.Retraining.Weight; weight+1 < c.Weights && !f.Overdue { // a watched share is over: harm would have been shown
		d.Next, d.Weight = Canarying, weight+1
		return d
	}
	switch f.Verdict.Outcome {
	case Pass:
		d.Next = afterCanary(c)
	case Fail:
		d.Next = RolledBack
	default:
		if !f.Overdue {
			return decision{}
		}
		if d.Next = Inconclusive; c.Rollout == GoOn {
			d.Next, d.Unjudged = afterCanary(c), f.Verdict.Reason
			if weight := f.Retraining.Weight; weight+1 < c.Weights {
				d.Next, d.Weight = Canarying, weight+1
			}
		}
	}
	return d
}

// afterCanary is Promoted unless the mode was changed while the canary ran.
func afterCanary(c rules) Stage {
	if c.Mode == Recommend {
		return Recommended
	}
	return Promoted
}
