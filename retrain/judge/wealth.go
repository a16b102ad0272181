package judge

import "math"

// stakes is the number of stakes among which a wealth is divided.
const stakes = 9

// bets are the stakes, as parts of the largest that cannot ruin. The first is
// what is not staked, so that good times do not use up what bad times need.
func bets() [stakes]float64 {
	return [stakes]float64{0, 0.01, 0.03, 0.08, 0.16, 0.3, 0.5, 0.75, 0.95}
}

// wealth is a test by betting against the hypothesis that what comes next has
// a mean of at most 0, at each time. A part of the wealth is on each stake λ and
// is multiplied by 1+λx when x comes; then the 1/(t+10)th part of all is divided
// anew among the stakes (fixed share: Herbster and Warmuth, Machine Learning 32,
// 1998), so that harm that begins late is found too. While the hypothesis holds
// the whole is a supermartingale that begins at 1: with probability 1-α it never
// reaches 1/α (Ville 1939; for bets on bounded means: Waudby-Smith and Ramdas,
// Journal of the Royal Statistical Society B 86, 2024).
type wealth struct {
	Rounds int             `json:"rounds"`
	Log    float64         `json:"log"`   // of the whole
	Parts  [stakes]float64 `json:"parts"` // of it, by stake; they sum to 1
}

func newWealth() wealth {
	var w wealth
	for i := range w.Parts {
		w.Parts[i] = 1.0 / stakes
	}
	return w
}

// add takes x, which is never below -least.
func (w *wealth) add(x, least float64) {
	var sum float64
	for i, b := range bets() {
		w.Parts[i] *= 1 + b/least*x
		sum += w.Parts[i]
	}
	w.Log += math.Log(sum)
	w.Rounds++
	anew := 1 / float64(w.Rounds+10)
	for i, v := range w.Parts {
		w.Parts[i] = (1-anew)*v/sum + anew/stakes
	}
}

// check reports a stored state that add cannot have left.
func (w *wealth) check() bool {
	var sum float64
	for _, v := range w.Parts {
		if !(v > 0 && v <= 1) {
			return false
		}
		sum += v
	}
	return w.Rounds >= 0 && math.Abs(sum-1) < 1e-9 && !math.IsNaN(w.Log) && !math.IsInf(w.Log, 0)
}
