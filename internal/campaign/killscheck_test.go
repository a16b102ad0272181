package campaign

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/serve"
)

// check compares what is stored with what the processes said, and returns the counts.
func (k *killer) check() string {
	k.t.Helper()
	steps := k.checkJournal()
	k.checkLog()
	history, err := k.stores.Tracking.MetricHistory(k.t.Context(), sharedRun, "asked")
	require.NoError(k.t, err)
	points := make(map[string]int)
	for _, p := range history {
		points[fmt.Sprintf("%.0f-%d", p.Value, p.Step)]++
	}
	k.requireOnce("point", points)
	promotions := k.checkPromotions()
	k.checkTriggers()
	models := registry.New(k.stores.Registry, k.stores.Artifacts, nil)
	for _, head := range k.heads {
		require.NoError(k.t, models.VerifyAudit(k.t.Context(), model, &head))
	}
	return fmt.Sprintf("%d steps of %d retrainings, %d promotions, %d triggers, %d predictions, %d labels, %d points",
		steps, len(k.retrainings()), promotions, len(k.said["trigger"]), len(k.said["prediction"]), len(k.said["label"]), len(k.said["point"]))
}

// checkJournal looks for a recorded step that was run again, and for one that two ran.
func (k *killer) checkJournal() int {
	k.t.Helper()
	text, err := os.ReadFile(k.task.Journal)
	require.NoError(k.t, err)
	faults, steps := journalFaults(strings.Split(strings.TrimSpace(string(text)), "\n"))
	require.Empty(k.t, faults)
	require.Positive(k.t, steps)
	return steps
}

// requireOnce wants each thing that was said to be stored once among those that are.
func (k *killer) requireOnce(kind string, stored map[string]int) {
	k.t.Helper()
	require.NotEmpty(k.t, k.said[kind], kind)
	for _, what := range k.said[kind] {
		require.Equal(k.t, 1, stored[what], "%s %s", kind, what)
	}
	for what, n := range stored {
		require.Equal(k.t, 1, n, "%s %s", kind, what)
	}
}

func (k *killer) checkLog() {
	k.t.Helper()
	predictions, labels := make(map[string]int), make(map[string]int)
	for after := int64(0); ; {
		page, err := k.stores.Serve.Predictions(k.t.Context(), serve.PredictionQuery{
			Model: model, After: after, Variants: []serve.Variant{serve.Primary, serve.Canary}, Statuses: []serve.Status{"answered", "fallback"},
		})
		require.NoError(k.t, err)
		if len(page) == 0 {
			break
		}
		for _, p := range page {
			predictions[p.ID]++
			after = p.Seq
		}
	}
	for after := int64(0); ; {
		page, err := k.stores.Serve.Labels(k.t.Context(), serve.LabelQuery{Model: model, After: after})
		require.NoError(k.t, err)
		if len(page) == 0 {
			break
		}
		for _, l := range page {
			if l.Variant != serve.Shadow {
				labels[l.ID]++
			}
			after = l.Truth.Seq
		}
	}
	k.requireOnce("prediction", predictions)
	k.requireOnce("label", labels)
}

func (k *killer) retrainings() []retrain.Retraining {
	k.t.Helper()
	all, err := k.stores.Retrain.Retrainings(k.t.Context(), retrain.RetrainingQuery{Model: model})
	require.NoError(k.t, err)
	return all
}

// checkPromotions wants one move of the alias for each retraining that was
// promoted, and no other: nobody steers by hand here.
func (k *killer) checkPromotions() int {
	k.t.Helper()
	promoted := make(map[string]int)
	last := int64(-1)
	for _, r := range k.retrainings() {
		require.Equal(k.t, last+1, r.Number, "retrainings are numbered without a gap")
		if last = r.Number; r.Stage == retrain.Promoted {
			promoted[strconv.FormatInt(r.Version, 10)]++
		}
	}
	moved := make(map[string]int)
	at, total := "", 0
	for e, err := range registry.New(k.stores.Registry, k.stores.Artifacts, nil).Events(k.t.Context(), model, 0) {
		require.NoError(k.t, err)
		if e.Kind == registry.AliasSet && e.Alias == registry.Champion {
			require.Equal(k.t, at, e.From, "move %d begins where the one before ended", e.Seq)
			at = e.To
			moved[e.To]++
			total++
		}
	}
	for version, n := range moved {
		require.Equal(k.t, 1, n, "version %s was promoted %d times", version, n)
	}
	require.Equal(k.t, promoted, moved, "promoted retrainings, and moves of the alias")
	require.Greater(k.t, total, 1)
	return total
}

// wish is a retraining that was wanted: stored between two times.
type wish struct {
	why          string
	asked, taken time.Time
}

func (k *killer) wishesSaid() []wish {
	k.t.Helper()
	var wishes []wish
	for _, text := range k.said["trigger"] {
		var w wish
		var asked, taken int64
		_, err := fmt.Sscan(text, &w.why, &asked, &taken)
		require.NoError(k.t, err, text)
		w.asked, w.taken = time.UnixMilli(asked).UTC(), time.UnixMilli(taken).UTC()
		wishes = append(wishes, w)
	}
	return wishes
}

// checkTriggers wants each wish for a retraining that was taken to have led to
// one, or to have been followed by another wish before the next one began: the
// latest wish is what a loop remembers. Nothing else triggers one here.
func (k *killer) checkTriggers() {
	k.t.Helper()
	named := make(map[string]bool)
	all := k.retrainings()
	for _, r := range all {
		for _, c := range r.Causes {
			named[c.Detail] = true
		}
	}
	wishes := k.wishesSaid()
	require.NotEmpty(k.t, wishes)
	for _, w := range wishes[:k.wishes] {
		next := slices.IndexFunc(all, func(r retrain.Retraining) bool { return !r.StartedAt.Before(w.asked) })
		require.GreaterOrEqual(k.t, next, 0, "a retraining was wanted at %s, and none began after it", w.asked)
		followed := slices.ContainsFunc(wishes, func(other wish) bool {
			return other.why != w.why && other.taken.After(w.asked) && !other.asked.After(all[next].StartedAt)
		})
		require.True(k.t, named[w.why] || followed, "the wish %s of %s was taken, and is the cause of nothing: %s", w.why, w.asked, story(all, wishes))
	}
}

// story tells retrainings and wishes, for a reader of a failure.
func story(all []retrain.Retraining, wishes []wish) string {
	var lines []string
	for _, r := range all {
		lines = append(lines, fmt.Sprintf("%s retraining %d began, %s, causes %+v", r.StartedAt.Format(time.RFC3339Nano), r.Number, r.Stage, r.Causes))
	}
	for _, w := range wishes {
		lines = append(lines, fmt.Sprintf("%s wish %s, until %s", w.asked.Format(time.RFC3339Nano), w.why, w.taken.Format(time.RFC3339Nano)))
	}
	slices.Sort(lines)
	return "\n" + strings.Join(lines, "\n")
}
