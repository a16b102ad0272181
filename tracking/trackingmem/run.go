package trackingmem

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/tracking"
)

// newestFirst orders runs by start time, then id, both descending.
func newestFirst(a, b *run) int {
	return cmp.Or(b.StartedAt.Compare(a.StartedAt), strings.Compare(b.ID, a.ID))
}

func (r *run) matches(q tracking.RunQuery) bool {
	if q.ExperimentID != "" && q.ExperimentID != r.ExperimentID {
		return false
	}
	if len(q.Statuses) > 0 && !slices.Contains(q.Statuses, r.Status) {
		return false
	}
	for key, value := range q.Tags {
		if got, ok := r.tags[key]; !ok || got != value {
			return false
		}
	}
	return true
}

// record copies the run, so that later changes do not reach the caller.
func (r *run) record() tracking.RunRecord {
	latest := make(map[string]tracking.Metric, len(r.metrics))
	for key, points := range r.metrics {
		latest[key] = points[len(points)-1]
	}
	return tracking.RunRecord{RunInfo: r.RunInfo, RunData: tracking.RunData{
		Metrics:   latest,
		Params:    maps.Clone(r.params),
		Tags:      maps.Clone(r.tags),
		Inputs:    slices.Clone(r.inputs),
		Artifacts: slices.Clone(r.artifacts),
	}}
}

func (r *run) log(b tracking.Batch) error {
	for key, value := range b.Params {
		if old, ok := r.params[key]; ok && old != value {
			return fault.Errorf(tracking.ErrAlreadyExists, "param %q is %q already and cannot become %q", key, old, value)
		}
	}
	maps.Copy(r.params, b.Params)
	maps.Copy(r.tags, b.Tags)
	for _, m := range b.Metrics {
		points := r.metrics[m.Key]
		if i, found := slices.BinarySearchFunc(points, m, tracking.Metric.Compare); !found {
			r.metrics[m.Key] = slices.Insert(points, i, m)
		}
	}
	for _, in := range b.Inputs {
		if i, found := slices.BinarySearchFunc(r.inputs, in, compareInputs); !found {
			r.inputs = slices.Insert(r.inputs, i, in)
		}
	}
	for _, a := range b.Artifacts {
		i, found := slices.BinarySearchFunc(r.artifacts, a, compareArtifacts)
		if found {
			r.artifacts[i] = a
		} else {
			r.artifacts = slices.Insert(r.artifacts, i, a)
		}
	}
	return nil
}

func compareInputs(a, b tracking.Input) int {
	return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Digest, b.Digest), strings.Compare(a.Context, b.Context))
}

func compareArtifacts(a, b tracking.Artifact) int { return strings.Compare(a.Path, b.Path) }
