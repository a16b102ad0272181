package judge

import (
	"encoding/json"
	"fmt"
	"math"

	"github.com/mlloop/mlloop/internal/fault"
)

// Arm is the side that a call went to.
type Arm int

// The arms.
const (
	Primary Arm = iota
	Canary
)

// Watch is what a comparison of two arms says so far.
type Watch struct {
	// Outcome is Fail once harm beyond the margin is shown, and stays so; Pass once
	// it is shown that there is none, until harm is; else Inconclusive.
	Outcome Outcome `json:"outcome"`
	Metric  string  `json:"metric"`
	// Diff is the canary's mean minus the primary's; Low and High bound it at
	// Level, at all times at once.
	Diff    float64 `json:"diff"`
	Low     float64 `json:"low"`
	High    float64 `json:"high"`
	Level   float64 `json:"level"`
	Margin  float64 `json:"margin"`
	Primary int     `json:"primary"` // calls or rows of either arm
	Canary  int     `json:"canary"`
	Reason  string  `json:"reason"`
}

// arms compares the means of two streams of numbers within [0, 1]. Calls are
// compared with those that came at the same time: a round ends once both arms
// have so many, and its difference of means is one bet. What befalls both arms
// alike cancels out.
type arms struct {
	Margin float64 `json:"margin"`
	Alpha  float64 `json:"alpha"`
	Block  int     `json:"block"` // calls of either arm that a round needs

	Calls  [2]int     `json:"calls"` // all
	Sums   [2]float64 `json:"sums"`
	Open   [2]int     `json:"open"` // of the round at hand
	Opened [2]float64 `json:"opened"`

	Harm   wealth  `json:"harm"` // against: the difference is at most the margin
	Safe   wealth  `json:"safe"` // against: it is at least the margin
	Shown  Outcome `json:"shown"`
	Bounds bounds  `json:"bounds"`
}

func (a *arms) add(arm Arm, x float64) {
	a.Calls[arm]++
	a.Sums[arm] += x
	a.Open[arm]++
	a.Opened[arm] += x
	if a.Open[Primary] < a.Block || a.Open[Canary] < a.Block {
		return
	}
	d := a.Opened[Canary]/float64(a.Open[Canary]) - a.Opened[Primary]/float64(a.Open[Primary])
	a.Open, a.Opened = [2]int{}, [2]float64{}
	a.Harm.add(d-a.Margin, 1+a.Margin)
	a.Safe.add(a.Margin-d, 1-a.Margin)
	a.Bounds.add(d, a.Alpha)
	switch limit := -math.Log(a.Alpha); {
	case a.Harm.Log >= limit || a.Shown == Fail:
		a.Shown = Fail
	case a.Safe.Log >= limit && a.Shown == Inconclusive:
		a.Shown = Pass
	}
}

// bounds are the running sums of an empirical Bernstein confidence sequence
// with predictable plug-in stakes (Waudby-Smith and Ramdas 2024, theorem 2) for
// differences within [-1, 1], taken as (1+d)/2 within [0, 1].
type bounds struct {
	N        int     `json:"n"`
	Stakes   float64 `json:"stakes"`   // Σ λ
	Weighted float64 `json:"weighted"` // Σ λ·x
	Price    float64 `json:"price"`    // Σ 4(x-μ̂)²·ψ(λ)
	Sum      float64 `json:"sum"`      // Σ x
	Squares  float64 `json:"squares"`  // Σ (x-μ̂)²
}

func (b *bounds) add(d, alpha float64) {
	const most = 0.5
	x := (1 + d) / 2
	t := float64(b.N + 1)
	before := (0.5 + b.Sum) / t
	variance := (0.25 + b.Squares) / t
	stake := min(most, math.Sqrt(2*math.Log(1/alpha)/(variance*t*math.Log(1+t))))
	b.Stakes += stake
	b.Weighted += stake * x
	b.Price += 4 * (x - before) * (x - before) * (-math.Log1p(-stake) - stake) / 4
	b.N++
	b.Sum += x
	after := (0.5 + b.Sum) / (t + 1)
	b.Squares += (x - after) * (x - after)
}

// interval holds each bound with probability 1-alpha for all time.
func (b *bounds) interval(alpha float64) (low, high float64) {
	if b.N == 0 {
		return -1, 1
	}
	middle, half := b.Weighted/b.Stakes, (math.Log(1/alpha)+b.Price)/b.Stakes
	return max(-1, 2*(middle-half)-1), min(1, 2*(middle+half)-1)
}

// watch reports in the unit of the scale.
func (a *arms) watch(what string, scale float64) Watch {
	low, high := a.Bounds.interval(a.Alpha)
	w := Watch{
		Outcome: a.Shown, Metric: what, Level: 1 - 2*a.Alpha, Margin: a.Margin * scale,
		Primary: a.Calls[Primary], Canary: a.Calls[Canary], Low: low * scale, High: high * scale,
	}
	mean := func(arm Arm) float64 { return a.Sums[arm] / float64(max(a.Calls[arm], 1)) * scale }
	if w.Primary > 0 && w.Canary > 0 {
		w.Diff = mean(Canary) - mean(Primary)
	}
	says := map[Outcome]string{
		Fail:         "more than %.4g above is shown",
		Pass:         "less than %.4g above is shown",
		Inconclusive: "neither more nor less than %.4g above is shown yet",
	}[w.Outcome]
	w.Reason = fmt.Sprintf("%s %.4g on %d of the challenger's against %.4g on %d of the primary's: ", what, mean(Canary), w.Canary, mean(Primary), w.Primary) +
		fmt.Sprintf(says, w.Margin)
	return w
}

// The states are stored: their format is named and counted.
const (
	stateFormat  = "mlloop.judge.arms"
	stateVersion = 1
)

type armsState struct {
	Format  string  `json:"format"`
	Version int     `json:"version"`
	Kind    string  `json:"kind"`
	Scale   float64 `json:"scale"`
	Arms    arms    `json:"arms"`
}

func marshalArms(kind string, scale float64, a arms) ([]byte, error) {
	return json.Marshal(armsState{stateFormat, stateVersion, kind, scale, a})
}

func unmarshalArms(kind string, b []byte) (float64, arms, error) {
	var s armsState
	if err := json.Unmarshal(b, &s); err != nil {
		return 0, arms{}, fault.Errorf(fault.Corrupt, "judge: stored %s: %w", kind, err)
	}
	switch {
	case s.Format != stateFormat || s.Kind != kind || s.Version < 1:
		return 0, arms{}, fault.Errorf(fault.Corrupt, "judge: stored %s: format %q, kind %q, version %d", kind, s.Format, s.Kind, s.Version)
	case s.Version > stateVersion:
		return 0, arms{}, fault.Errorf(fault.Unsupported, "judge: stored %s of version %d, this release reads up to %d", kind, s.Version, stateVersion)
	}
	if err := s.Arms.check(); err != nil || !(s.Scale > 0) || math.IsInf(s.Scale, 0) {
		return 0, arms{}, fault.Errorf(fault.Corrupt, "judge: stored %s: values out of range", kind)
	}
	return s.Scale, s.Arms, nil
}

func (a *arms) check() error {
	var p fault.Problems
	if !(a.Margin >= 0 && a.Margin < 1 && a.Alpha > 0 && a.Alpha < 0.5) || a.Block < 1 {
		p.Addf("margin %v, alpha %v, block %d", a.Margin, a.Alpha, a.Block)
	}
	if a.Shown != Pass && a.Shown != Fail && a.Shown != Inconclusive {
		p.Addf("outcome %q", a.Shown)
	}
	for arm := range 2 {
		if a.Calls[arm] < 0 || a.Open[arm] < 0 || a.Open[arm] > a.Calls[arm] || a.Sums[arm] < 0 || a.Opened[arm] < 0 {
			p.Addf("%d calls", a.Calls[arm])
		}
	}
	if a.Bounds.N < 0 || (a.Bounds.N > 0 && !(a.Bounds.Stakes > 0)) || a.Bounds.Price < 0 || a.Bounds.Squares < 0 {
		p.Addf("bounds %+v", a.Bounds)
	}
	if !a.Harm.check() || !a.Safe.check() {
		p.Addf("wealth %+v, %+v", a.Harm, a.Safe)
	}
	return p.Err()
}
