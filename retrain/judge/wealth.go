package judge

import "math"

// bets are the stakes among which the wealth is divided at the start, as parts
// of the largest that cannot ruin.
func bets() [8]float64 { return [8]float64{0.01, 0.03, 0.08, 0.16, 0.3, 0.5, 0.75, 0.95} }

// wealth is a test by betting against the hypothesis that the mean of what
// comes is at most 0: for each stake λ, the product of 1+λx over all x so far. It
// is a supermartingale while the hypothesis holds whatever the order, and so is
// the plain mean over the stakes, so that with probability 1-α it never reaches
// 1/α (Ville 1939; Waudby-Smith and Ramdas, Journal of the Royal Statistical
// Society B 86, 2024). Logs of the products by stake.
type wealth [8]float64

// add takes x, which is never below -least.
func (w *wealth) add(x, least float64) {
	for i, b := range bets() {
		w[i] += math.Log1p(b / least * x)
	}
}

// log returns the log of the mean over the stakes.
func (w *wealth) log() float64 {
	most := w[0]
	for _, v := range w {
		most = max(most, v)
	}
	var sum float64
	for _, v := range w {
		sum += math.Exp(v - most)
	}
	return most + math.Log(sum/float64(len(w)))
}
