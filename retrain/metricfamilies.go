package retrain

import (
	"slices"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mlloop/mlloop/drift"
)

// families are all metrics but the histogram of latencies.
func families() []family {
	return slices.Concat(requestFamilies(), logFamilies(), stepFamilies(), retrainingFamilies(), watchFamilies(), senderFamilies())
}

// counter and gauge are families of one series.
func counter(name, help string, value func(v view) int64) family {
	return family{name: name, help: help, kind: prometheus.CounterValue, series: func(v view, emit emit) { emit(float64(value(v))) }}
}

func gauge(name, help string, value func(v view) int64) family {
	f := counter(name, help, value)
	f.kind = prometheus.GaugeValue
	return f
}

// seconds is a gauge that is left out while there is nothing to tell.
func seconds(name, help string, value func(v view) (s float64, known bool)) family {
	return family{name: name, help: help, kind: prometheus.GaugeValue, series: func(v view, emit emit) {
		if s, known := value(v); known {
			emit(s)
		}
	}}
}

func requestFamilies() []family {
	return []family{
		{
			"mlloop_request_rows_total", "Rows of requests, by who was asked and how that ended.", prometheus.CounterValue,
			[]string{"version", "variant", "status"}, func(v view, emit emit) {
				for _, r := range v.requests.Requests {
					emit(float64(r.Rows), number(r.Version), string(r.Variant), string(r.Status))
				}
			},
		},
		counter("mlloop_fallbacks_total", "Requests that the primary answered in place of a canary that failed.", func(v view) int64 { return v.Log.Fallbacks }),
		gauge("mlloop_abandoned_calls", "Calls of canaries and shadows that run on after their time was over.", func(v view) int64 { return v.Log.Abandoned }),
		gauge("mlloop_canary_withdrawn_version", "Version of the canary that hangs and was taken off the traffic; 0: none.", func(v view) int64 { return v.requests.Withdrawn }),
		gauge("mlloop_shadow_queue_rows", "Rows that wait for the shadow.", func(v view) int64 { return int64(v.Log.ShadowQueued) }),
		counter("mlloop_shadow_dropped_rows_total", "Rows that the shadow was not asked about: its queue was full, or it hung.", func(v view) int64 { return v.Log.ShadowDropped }),
		counter("mlloop_shadow_unsampled_rows_total", "Rows that the sample for the shadow left out, as Rollout.ShadowRate says.", func(v view) int64 { return v.requests.ShadowUnsampled }),
		counter("mlloop_shadow_failures_total", "Requests that the shadow did not answer.", func(v view) int64 { return v.Log.ShadowFailed }),
	}
}

func logFamilies() []family {
	return []family{
		gauge("mlloop_log_queue_rows", "Rows that were answered and wait to be stored.", func(v view) int64 { return int64(v.Log.Queued) }),
		counter("mlloop_log_dropped_rows_total", "Rows that were answered and not logged: the queue was full.", func(v view) int64 { return v.Log.Dropped }),
		gauge("mlloop_log_backlog_rows", "Stored rows that no step has read, as of the last step.", func(v view) int64 { return v.Backlog.Rows }),
		gauge("mlloop_log_backlog_labels", "Stored labels that no step has read, as of the last step.", func(v view) int64 { return v.Backlog.Labels }),
		counter("mlloop_labels_refused_total", "Labels that no version on the route could have answered.", func(v view) int64 { return v.Log.LabelsRefused }),
		counter("mlloop_labels_unknown_total", "Labels from Config.Labels of predictions that are not in the log, since the loop's first life.", func(v view) int64 { return v.Labels.Unknown }),
		seconds("mlloop_label_lag_seconds", "From the latest prediction with a label to the last step; absent until a label has come.", func(v view) (float64, bool) {
			return v.LabelLag.Seconds(), !v.labelled.IsZero()
		}),
	}
}

func stepFamilies() []family {
	return []family{
		gauge("mlloop_leading", "1 when this process leads the loop of its model, as far as it knows; of all replicas one does.", func(v view) int64 {
			if v.Leading {
				return 1
			}
			return 0
		}),
		gauge("mlloop_lease_token", "Fencing token of the loop's lease, as this process last heard: it rises with each new leader.", func(v view) int64 { return v.Token }),
		seconds("mlloop_last_step_timestamp_seconds", "When the last completed step was made, in seconds since 1970; absent before the first.", func(v view) (float64, bool) {
			return float64(v.SteppedAt.UnixMilli()) / 1000, !v.SteppedAt.IsZero()
		}),
		seconds("mlloop_step_age_seconds", "Time since the last completed step, by the loop's clock; absent before the first.", func(v view) (float64, bool) {
			return max(0, v.now.Sub(v.SteppedAt).Seconds()), !v.SteppedAt.IsZero()
		}),
		{
			"mlloop_step_failures_total", "Failures of each part of a step.", prometheus.CounterValue, []string{"part"},
			func(v view, emit emit) {
				for part, n := range v.failures {
					emit(float64(n), part)
				}
			},
		},
		{
			"mlloop_step_failures_in_a_row", "Failures of each part of a step since it last worked; 0: it works.", prometheus.GaugeValue, []string{"part"},
			func(v view, emit emit) {
				inARow := make(map[string]int)
				for _, f := range v.Failing {
					inARow[f.Part] = f.Count
				}
				for part := range v.failures {
					emit(float64(inARow[part]), part)
				}
			},
		},
		gauge("mlloop_paused", "1 while the loop is paused: it serves and watches, and starts and moves nothing.", func(v view) int64 { return flag(v.Paused != "") }),
	}
}

// stageIdle is the stage of a loop without a retraining under way.
const stageIdle = "idle"

func retrainingFamilies() []family {
	return []family{
		gauge("mlloop_champion_version", "Version that the alias champion names; 0: none.", func(v view) int64 { return v.Champion }),
		{
			"mlloop_retraining_stage", "1 for the stage of the retraining under way, 0 for the others; idle: none is.", prometheus.GaugeValue, []string{"stage"},
			func(v view, emit emit) {
				present := stageIdle
				if v.Retraining != nil {
					present = string(v.Retraining.Stage)
				}
				for _, stage := range []string{stageIdle, string(Fitting), string(Shadowing), string(Canarying)} {
					emit(float64(flag(stage == present)), stage)
				}
			},
		},
		{
			"mlloop_retraining_number", "Number of the retraining under way; absent without one.", prometheus.GaugeValue, nil,
			func(v view, emit emit) {
				if v.Retraining != nil {
					emit(float64(v.Retraining.Number))
				}
			},
		},
		counter("mlloop_retrainings_total", "Retrainings that were begun, first fits included, since the loop's first life.", func(v view) int64 { return v.Retrainings }),
		gauge("mlloop_retraining_failures_in_a_row", "Retrainings in a row that failed or were rolled back.", func(v view) int64 { return int64(v.Failures) }),
		gauge("mlloop_retraining_fruitless_in_a_row", "Retrainings in a row that left the champion in place.", func(v view) int64 { return int64(v.Fruitless) }),
	}
}

func watchFamilies() []family {
	return []family{
		{
			"mlloop_alerts_firing", "Drift alerts that are firing, by what they are about.", prometheus.GaugeValue, []string{"source"},
			func(v view, emit emit) {
				firing := map[string]int{drift.FeatureDrift: 0, drift.ErrorDrift: 0}
				for _, a := range v.Alerts {
					firing[a.Source]++
				}
				for source, n := range firing {
					emit(float64(n), source)
				}
			},
		},
		gauge("mlloop_unwatched_columns", "Columns whose drift the monitor cannot see.", func(v view) int64 { return int64(len(v.Unwatched)) }),
	}
}

func senderFamilies() []family {
	labels := []string{"sender"}
	return []family{
		{
			"mlloop_sender_backlog_messages", "Messages that wait for a sender, counted up to 1,000.", prometheus.GaugeValue, labels,
			func(v view, emit emit) {
				for _, s := range v.senders {
					emit(float64(s.Pending), s.Sender)
				}
			},
		},
		{
			"mlloop_sender_failures_in_a_row", "Attempts of a sender that failed since a message was taken.", prometheus.GaugeValue, labels,
			func(v view, emit emit) {
				for _, s := range v.senders {
					emit(float64(s.Attempts), s.Sender)
				}
			},
		},
		{
			"mlloop_sender_hung", "1 while a sender has not returned from a message long after its time.", prometheus.GaugeValue, labels,
			func(v view, emit emit) {
				for _, s := range v.senders {
					emit(float64(flag(!s.HungSince.IsZero())), s.Sender)
				}
			},
		},
	}
}

func number(n int64) string { return strconv.FormatInt(n, 10) }

func flag(set bool) int64 {
	if set {
		return 1
	}
	return 0
}
