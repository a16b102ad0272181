package retrain

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func verdict(o Outcome) *Verdict { return &Verdict{Gate: "g", Outcome: o, Reason: "because"} }

// running is a retraining of version 2 against version 1 in a stage.
func running(s Stage, weight int) Retraining {
	return Retraining{ID: "churn/1", Stage: s, Weight: weight, Champion: 1, Version: 2}
}

func TestDecide(t *testing.T) {
	all := rules{Shadow: true, Weights: 2, Gates: KeepChampion, Rollout: KeepChampion}
	goOn := all
	goOn.Gates, goOn.Rollout = GoOn, GoOn
	done := func(outcomes ...Outcome) *fitLook {
		look := &fitLook{Done: true}
		for _, o := range outcomes {
			look.Output.Verdicts = append(look.Output.Verdicts, *verdict(o))
		}
		return look
	}
	fitting := Retraining{ID: "churn/1", Stage: Fitting, Champion: 1}
	first := Retraining{ID: "churn/0", Stage: Fitting}
	for _, c := range []struct {
		name  string
		rules rules
		facts facts
		want  Stage
	}{
		{"a fit that runs", all, facts{Retraining: fitting, Champion: 1, Fit: &fitLook{}}, ""},
		{"a fit that was not looked at", all, facts{Retraining: fitting, Champion: 1}, ""},
		{"a fit that is put off", all, facts{Retraining: fitting, Champion: 1, Fit: &fitLook{Done: true, PutOff: "no rows"}}, ""},
		{"a fit that failed", all, facts{Retraining: fitting, Champion: 1, Fit: &fitLook{Done: true, Err: errors.New("no")}}, Failed},
		{"the first fit", all, facts{Retraining: first, Fit: done()}, Promoted},
		{"a champion by hand during the first fit", all, facts{Retraining: first, Champion: 7, Fit: done()}, Superseded},
		{"gates that pass", all, facts{Retraining: fitting, Champion: 1, Fit: done(Pass, Pass)}, Shadowing},
		{"no shadow", rules{Weights: 1}, facts{Retraining: fitting, Champion: 1, Fit: done(Pass)}, Canarying},
		{"neither shadow nor canary", rules{}, facts{Retraining: fitting, Champion: 1, Fit: done(Pass)}, Promoted},
		{"recommend without shadow", rules{Mode: Recommend, Weights: 1}, facts{Retraining: fitting, Champion: 1, Fit: done(Pass)}, Recommended},
		{"a gate that fails", all, facts{Retraining: fitting, Champion: 1, Fit: done(Pass, Undetermined, Fail)}, Rejected},
		{"a gate that cannot tell", all, facts{Retraining: fitting, Champion: 1, Fit: done(Pass, Undetermined)}, Inconclusive},
		{"a gate that cannot tell, and goes on", goOn, facts{Retraining: fitting, Champion: 1, Fit: done(Undetermined)}, Shadowing},
		{"a gate that fails, where inconclusive ones go on", goOn, facts{Retraining: fitting, Champion: 1, Fit: done(Undetermined, Fail)}, Rejected},
		{"a shadow that waits", all, facts{Retraining: running(Shadowing, 0), Champion: 1}, ""},
		{"a shadow that passes", all, facts{Retraining: running(Shadowing, 0), Champion: 1, Verdict: verdict(Pass)}, Canarying},
		{"a shadow that is recommended", rules{Mode: Recommend, Shadow: true, Weights: 2}, facts{Retraining: running(Shadowing, 0), Champion: 1, Verdict: verdict(Pass)}, Recommended},
		{"a shadow that fails", all, facts{Retraining: running(Shadowing, 0), Champion: 1, Verdict: verdict(Fail)}, Rejected},
		{"a shadow that cannot tell yet", all, facts{Retraining: running(Shadowing, 0), Champion: 1, Verdict: verdict(Undetermined)}, ""},
		{"a shadow that cannot tell at the end", all, facts{Retraining: running(Shadowing, 0), Champion: 1, Verdict: verdict(Undetermined), Overdue: true}, Inconclusive},
		{"a shadow that cannot tell at the end, and goes on", goOn, facts{Retraining: running(Shadowing, 0), Champion: 1, Verdict: verdict(Undetermined), Overdue: true}, Canarying},
		{"a shadow that cannot be loaded", all, facts{Retraining: running(Shadowing, 0), Champion: 1, Withdrawn: "no loader", Verdict: verdict(Pass)}, Failed},
		{"a canary that bakes", all, facts{Retraining: running(Canarying, 0), Champion: 1}, ""},
		{"a canary whose first weight is over", all, facts{Retraining: running(Canarying, 0), Champion: 1, Verdict: verdict(Undetermined)}, Canarying},
		{"a first weight to which no call came", all, facts{Retraining: running(Canarying, 0), Champion: 1, Verdict: verdict(Undetermined), Overdue: true}, Inconclusive},
		{"a first weight to which no call came, and goes on", goOn, facts{Retraining: running(Canarying, 0), Champion: 1, Verdict: verdict(Undetermined), Overdue: true}, Canarying},
		{"a canary that does harm while it bakes", all, facts{Retraining: running(Canarying, 0), Champion: 1, Harm: verdict(Fail)}, RolledBack},
		{"a canary that was withdrawn", all, facts{Retraining: running(Canarying, 1), Champion: 1, Withdrawn: "it hangs", Verdict: verdict(Pass)}, RolledBack},
		{"a canary that passes", all, facts{Retraining: running(Canarying, 1), Champion: 1, Verdict: verdict(Pass)}, Promoted},
		{"harm at the last moment", all, facts{Retraining: running(Canarying, 1), Champion: 1, Verdict: verdict(Pass), Harm: verdict(Fail)}, RolledBack},
		{"a canary that fails", all, facts{Retraining: running(Canarying, 1), Champion: 1, Verdict: verdict(Fail)}, RolledBack},
		{"a canary that cannot tell yet", all, facts{Retraining: running(Canarying, 1), Champion: 1, Verdict: verdict(Undetermined)}, ""},
		{"a canary that cannot tell at the end", all, facts{Retraining: running(Canarying, 1), Champion: 1, Verdict: verdict(Undetermined), Overdue: true}, Inconclusive},
		{"a canary that cannot tell at the end, and goes on", goOn, facts{Retraining: running(Canarying, 1), Champion: 1, Verdict: verdict(Undetermined), Overdue: true}, Promoted},
		{"the challenger made champion by hand", all, facts{Retraining: running(Shadowing, 0), Champion: 2}, Promoted},
		{"another made champion by hand", all, facts{Retraining: running(Canarying, 0), Champion: 3, Verdict: verdict(Pass)}, Superseded},
		{"the alias deleted by hand", all, facts{Retraining: running(Canarying, 0)}, Superseded},
		{"paused", all, facts{Retraining: running(Canarying, 1), Champion: 1, Paused: true, Verdict: verdict(Pass)}, ""},
		{"paused, and a champion by hand", all, facts{Retraining: running(Canarying, 1), Champion: 3, Paused: true}, Superseded},
	} {
		t.Run(c.name, func(t *testing.T) { require.Equal(t, c.want, decide(c.rules, c.facts).Next) })
	}
}

// TestDecideNeverPromotesWhatIsNotShown draws facts at random: unless a person or
// GoOn says so, a replacement is promoted only by a verdict that passed, never
// against one that failed, never on harm, and never while paused.
func TestDecideNeverPromotesWhatIsNotShown(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	outcome := func() *Verdict {
		return []*Verdict{nil, verdict(Pass), verdict(Fail), verdict(Undetermined)}[rng.IntN(4)]
	}
	promoted := 0
	for range 200_000 {
		c := rules{Mode: []Mode{Automatic, Recommend}[rng.IntN(2)], Shadow: rng.IntN(2) == 0, Weights: rng.IntN(3),
			Gates: []Consequence{KeepChampion, GoOn}[rng.IntN(2)], Rollout: []Consequence{KeepChampion, GoOn}[rng.IntN(2)]}
		f := facts{
			Now: time.Unix(0, 0), Retraining: running([]Stage{Fitting, Shadowing, Canarying}[rng.IntN(3)], rng.IntN(3)),
			Champion: int64(rng.IntN(4)), Paused: rng.IntN(4) == 0, Harm: outcome(), Verdict: outcome(), Overdue: rng.IntN(2) == 0,
		}
		if f.Harm != nil {
			f.Harm.Outcome = Fail
		}
		if rng.IntN(2) == 0 {
			f.Fit = &fitLook{Done: rng.IntN(2) == 0}
			if v := outcome(); v != nil {
				f.Fit.Output.Verdicts = []Verdict{*v}
			}
		}
		d := decide(c, f)
		if d.Next != Promoted || f.Champion == f.Retraining.Version {
			continue
		}
		promoted++
		require.False(t, f.Paused)
		require.Equal(t, f.Retraining.Champion, f.Champion)
		require.NotEqual(t, Recommend, c.Mode, "stage %s", f.Retraining.Stage)
		for _, v := range d.Verdicts {
			require.NotEqual(t, Fail, v.Outcome)
			require.True(t, v.Outcome == Pass || c.Gates == GoOn || c.Rollout == GoOn)
		}
		if f.Retraining.Stage == Canarying {
			require.Nil(t, f.Harm)
		}
	}
	require.Greater(t, promoted, 1000)
}
