package drift

import (
	"slices"

	"github.com/mlloop/mlloop/drift/driftconcept"
	"github.com/mlloop/mlloop/internal/fault"
)

// errorState is an errorWatch.
type errorState struct {
	Learning []labelledError `json:"learning"`
	Base     Baseline        `json:"base"`
	Rise     []byte          `json:"rise,omitempty"`
	Means    []byte          `json:"means,omitempty"`
	Since    int             `json:"since"`
	Block    block           `json:"block"`
	Recent   []labelledError `json:"recent"` // oldest first
	Loud     *ColumnFinding  `json:"loud,omitempty"`
	Labels   int             `json:"labels"`
}

func (w *errorWatch) state() (errorState, error) {
	s := errorState{Learning: w.learning, Base: w.base, Since: w.since, Block: w.block, Loud: w.loud, Labels: w.labels, Recent: w.recent.inOrder()}
	if w.rise == nil {
		return s, nil
	}
	var err error
	if s.Rise, err = w.rise.MarshalBinary(); err != nil {
		return s, err
	}
	s.Means, err = w.means.MarshalBinary()
	return s, err
}

func (s errorState) decode(usual Baseline, o Options) (errorWatch, error) {
	w := newErrorWatch(o, usual)
	w.learning, w.base, w.since, w.block, w.loud, w.labels = s.Learning, s.Base, s.Since, s.Block, s.Loud, s.Labels
	w.rise, w.means = nil, nil
	if len(s.Recent) > o.Window || s.Since < 0 || s.Block.Rows < 0 || s.Labels < 0 || s.Base.Rows < 0 {
		return w, corrupt("%d latest errors for a window of %d", len(s.Recent), o.Window)
	}
	for _, e := range slices.Concat(s.Learning, s.Recent) {
		if !usable(e.X) {
			return w, corrupt("an error is %g", e.X)
		}
	}
	for _, e := range s.Recent {
		w.recent.add(e)
	}
	if s.Base.Rows == 0 {
		return w, nil
	}
	var problems fault.Problems
	if s.Base.check(&problems); len(problems) > 0 {
		return w, corrupt("%s", problems[0])
	}
	w.rise, w.means = new(driftconcept.PageHinkley), new(driftconcept.ADWIN)
	if err := w.rise.UnmarshalBinary(s.Rise); err != nil {
		return w, corrupt("%s", err)
	}
	if err := w.means.UnmarshalBinary(s.Means); err != nil {
		return w, corrupt("%s", err)
	}
	return w, nil
}
