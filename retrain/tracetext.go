package retrain

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train/frame"
)

// String tells the trace in lines of text: the answers, then for each version
// that gave one where it comes from and who made it champion.
func (t Trace) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "prediction %s of %s\n", t.ID, t.Model)
	for _, a := range t.Answers {
		writeAnswer(&b, a)
	}
	for _, o := range t.Origins {
		o.write(&b)
	}
	return b.String()
}

func writeAnswer(b *strings.Builder, a serve.LabelledPrediction) {
	fmt.Fprintf(b, "%s  row %d, attempt %d: version %d, %s, %s", a.Time.Format(time.RFC3339), a.Index, a.Attempt, a.Version, a.Variant, a.Status)
	if a.Variant != serve.Shadow && a.Propensity > 0 {
		fmt.Fprintf(b, " (chosen with probability %g, route %d)", a.Propensity, a.RouteRev)
	}
	b.WriteByte('\n')
	writeRow(b, "inputs", a.Features)
	writeRow(b, "outputs", a.Outputs)
	if a.Error != "" {
		fmt.Fprintf(b, "  error: %s\n", a.Error)
	}
	if a.Truth.Seq != 0 {
		fmt.Fprintf(b, "  label: %s, known at %s\n", valueText(a.Truth.Value), a.Truth.Time.Format(time.RFC3339))
	}
}

func writeRow(b *strings.Builder, what string, r frame.Row) {
	if len(r.Values) == 0 {
		return
	}
	fmt.Fprintf(b, "  %s:", what)
	for i, v := range r.Values {
		fmt.Fprintf(b, " %s=%s", r.Schema[i].Name, valueText(v))
	}
	b.WriteByte('\n')
}

func valueText(v frame.Value) string {
	switch {
	case v.IsNull():
		return "null"
	case v.Kind() == frame.String:
		return strconv.Quote(v.Text())
	case v.Kind() == frame.Time:
		return time.UnixMilli(v.Int()).UTC().Format(time.RFC3339)
	}
	return v.Text()
}

func (o Origin) write(b *strings.Builder) {
	v := o.Version
	fmt.Fprintf(b, "version %d, %s, registered %s\n", v.Number, v.State, v.CreatedAt.Format(time.RFC3339))
	line := func(what, format string, args ...any) {
		fmt.Fprintf(b, "  %s: %s\n", what, fmt.Sprintf(format, args...))
	}
	line("bundle", "%s", v.Digest)
	if l := v.Lineage; l.DataDigest != "" {
		line("data", "%s, %d rows of %s to %s", l.DataDigest, l.Rows, l.DataFrom.Format(time.RFC3339), l.DataTo.Format(time.RFC3339))
	}
	if v.Lineage.Code != "" {
		line("program", "%s", v.Lineage.Code)
	}
	if v.Lineage.RunID != "" {
		state := "not on record"
		if o.Run != nil {
			state = strings.ToLower(string(o.Run.Status))
		}
		line("training run", "%s, %s", v.Lineage.RunID, state)
	}
	o.writeRetraining(line)
	for _, e := range o.Moves {
		writeMove(line, v.Number, e)
	}
}

func (o Origin) writeRetraining(line func(what, format string, args ...any)) {
	r := o.Retraining
	if r == nil {
		line("retraining", "none: the version was made by hand")
		return
	}
	against := fmt.Sprintf("against version %d", r.Champion)
	if r.Champion == 0 {
		against = "a first fit"
	}
	line("retraining", "%s, %s, %s: %s", r.ID, against, r.Stage, r.Reason)
	for _, c := range r.Causes {
		line("cause", "%s: %s", c.Trigger, c.Detail)
	}
	if r.Config != "" {
		line("configuration", "%s", r.Config)
	}
	for _, v := range r.Verdicts {
		line("verdict", "%s %s: %s", v.Gate, outcomeWords[v.Outcome], v.Reason)
	}
}

func writeMove(line func(what, format string, args ...any), version int64, e registry.Event) {
	what := "champion from"
	if e.To != strconv.FormatInt(version, 10) {
		what = "champion until"
	}
	why := ""
	if e.Reason != "" {
		why = ": " + e.Reason
	}
	line(what, "%s, by %s%s", e.Time.Format(time.RFC3339), e.Actor, why)
}
