package judge

import (
	"encoding/json"
	"math"
	"slices"

	"github.com/mlloop/mlloop/internal/fault"
)

// Quantile follows a quantile of a stream in five numbers (P²: Jain and
// Chlamtac, Communications of the ACM 28, 1985): the primary's p99 or p50, from
// which NewLatency gets its threshold. It goes through JSON unchanged. A Quantile
// is not safe for concurrent use.
type Quantile struct{ s quantileState }

type quantileState struct {
	Version int        `json:"version"`
	P       float64    `json:"p"`
	N       int        `json:"n"`
	Heights [5]float64 `json:"heights"`
	At      [5]float64 `json:"at"` // positions, from 1
}

// NewQuantile returns an empty estimate of the p-quantile. Errors: Invalid for p
// outside (0, 1).
func NewQuantile(p float64) (*Quantile, error) {
	if !(p > 0 && p < 1) {
		return nil, fault.Errorf(fault.Invalid, "judge: quantile %v is not between 0 and 1", p)
	}
	return &Quantile{quantileState{Version: stateVersion, P: p}}, nil
}

// N returns how many numbers came.
func (q *Quantile) N() int { return q.s.N }

// Add takes a number; one that is not finite is left out.
func (q *Quantile) Add(x float64) {
	s := &q.s
	switch {
	case math.IsNaN(x) || math.IsInf(x, 0):
		return
	case s.N < 5:
		s.Heights[s.N] = x
		if s.N++; s.N == 5 {
			slices.Sort(s.Heights[:])
			s.At = [5]float64{1, 2, 3, 4, 5}
		}
		return
	}
	s.N++
	s.Heights[0], s.Heights[4] = min(s.Heights[0], x), max(s.Heights[4], x)
	for i := 1; i < 5; i++ {
		if i == 4 || x < s.Heights[i] {
			s.At[i]++
		}
	}
	for i := 1; i < 4; i++ {
		s.settle(i)
	}
}

// settle moves an inner marker by one place where it is a place or more from
// where it should be: by a parabola through its neighbours, or a line where that
// would leave their order.
func (s *quantileState) settle(i int) {
	want := 1 + float64(s.N-1)*[5]float64{0, s.P / 2, s.P, (1 + s.P) / 2, 1}[i]
	h, at := &s.Heights, &s.At
	step := math.Copysign(1, want-at[i])
	next := i + int(step)
	if math.Abs(want-at[i]) < 1 || math.Abs(at[next]-at[i]) <= 1 {
		return
	}
	rise := func(j int) float64 { return (h[j+1] - h[j]) / (at[j+1] - at[j]) }
	v := h[i] + step/(at[i+1]-at[i-1])*((at[i]-at[i-1]+step)*rise(i)+(at[i+1]-at[i]-step)*rise(i-1))
	if !(h[i-1] < v && v < h[i+1]) {
		v = h[i] + step*(h[next]-h[i])/(at[next]-at[i])
	}
	h[i] = v
	at[i] += step
}

// Value returns the estimate: exact up to five numbers, NaN without any.
func (q *Quantile) Value() float64 {
	switch n := q.s.N; {
	case n == 0:
		return math.NaN()
	case n <= 5:
		sorted := slices.Sorted(slices.Values(q.s.Heights[:n]))
		return sorted[int(math.Ceil(q.s.P*float64(n)))-1]
	}
	return q.s.Heights[2]
}

// MarshalJSON writes the state.
func (q *Quantile) MarshalJSON() ([]byte, error) { return json.Marshal(q.s) }

// UnmarshalJSON reads what MarshalJSON wrote. Errors: Corrupt, Unsupported for a
// later release's.
func (q *Quantile) UnmarshalJSON(b []byte) error {
	var s quantileState
	if err := json.Unmarshal(b, &s); err != nil {
		return fault.Errorf(fault.Corrupt, "judge: stored quantile: %w", err)
	}
	if s.Version > stateVersion {
		return fault.Errorf(fault.Unsupported, "judge: stored quantile of version %d, this release reads up to %d", s.Version, stateVersion)
	}
	ordered := s.N < 5
	if s.N >= 5 {
		ordered = slices.IsSorted(s.Heights[:]) && s.At[0] == 1 && s.At[4] == float64(s.N)
		for i := range 4 {
			ordered = ordered && s.At[i] < s.At[i+1]
		}
	}
	if s.Version < 1 || !(s.P > 0 && s.P < 1) || s.N < 0 || !ordered {
		return fault.Errorf(fault.Corrupt, "judge: stored quantile: values out of range")
	}
	q.s = s
	return nil
}
