package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/schollz/progressbar/v3"

	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/train/frame"
)

// progress shows where the replay is: a bar on a terminal, else a line every
// few thousand rows; and a line for each event of the loop.
type progress struct {
	out   io.Writer
	rows  int
	bar   *progressbar.ProgressBar // nil: no terminal
	lines int                      // rows at the last line
}

// rowsPerLine is how often a log without a terminal gets a line.
const rowsPerLine = 4000

func newProgress(out io.Writer, rows int) *progress {
	p := &progress{out: out, rows: rows}
	if f, ok := out.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			p.bar = progressbar.NewOptions(rows, progressbar.OptionSetWriter(out), progressbar.OptionSetWidth(24),
				progressbar.OptionShowCount(), progressbar.OptionThrottle(0), progressbar.OptionSetPredictTime(false))
		}
	}
	return p
}

// show tells how far the replay is, how often the loop was right so far, and
// which version answers.
func (p *progress) show(done int, accuracy float64, version int64) {
	text := fmt.Sprintf("accuracy %.3f, version %d", accuracy, version)
	switch {
	case p.bar != nil:
		p.bar.Describe(text)
		_ = p.bar.Set(done) // a bar that cannot be drawn stops nothing
	case done-p.lines >= rowsPerLine || done == p.rows:
		p.lines = done
		_, _ = fmt.Fprintf(p.out, "%6d of %d rows, %s\n", done, p.rows, text)
	}
}

// event prints one event of the loop.
func (p *progress) event(e retrain.Event) {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
	row := int(e.Time.Sub(firstRow) / halfHour)
	_, _ = fmt.Fprintf(p.out, "row %5d  %s  %-18s %s\n", row, e.Time.Format("2006-01-02 15:04"), e.Kind, e.Text)
}

func (p *progress) done() {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
}

// watcher reads what became durable since it last looked: events for the
// display, predictions for the accuracy.
type watcher struct {
	market   *market
	loop     *retrain.Loop
	log      serve.Store
	progress *progress

	eventSeq, predictionSeq int64
	hits                    []bool // of the rows since the end of the history
	right                   int
	version                 int64
}

// skipEvents passes over what an earlier life has shown already.
func (w *watcher) skipEvents(ctx context.Context) error {
	events, err := w.loop.Events(ctx, 0)
	if err != nil || len(events) == 0 {
		return err
	}
	w.eventSeq = events[len(events)-1].Seq
	return nil
}

func (w *watcher) update(ctx context.Context, row int) error {
	events, err := w.loop.Events(ctx, w.eventSeq)
	if err != nil {
		return err
	}
	for _, e := range events {
		w.progress.event(e)
		w.eventSeq = e.Seq
	}
	if err := w.readPredictions(ctx); err != nil {
		return err
	}
	w.progress.show(row-w.market.history, float64(w.right)/float64(max(1, len(w.hits))), w.version)
	return nil
}

// readPredictions compares the new answers with the truth. One row must have
// one answer, in the order of rows: anything else is an error. A canary's failed
// attempt is no answer; the primary's beside it is.
func (w *watcher) readPredictions(ctx context.Context) error {
	for {
		page, err := w.log.Predictions(ctx, serve.PredictionQuery{
			Model: model, After: w.predictionSeq, Variants: []serve.Variant{serve.Primary, serve.Canary},
			Statuses: []serve.Status{frame.Answered, frame.Fallback},
		})
		if err != nil || len(page) == 0 {
			return err
		}
		for _, p := range page {
			if want := requestID(w.market.history + len(w.hits)); p.ID != want {
				return fmt.Errorf("the prediction log has %s where %s should be", p.ID, want)
			}
			hit := p.Label() == frame.IntValue(w.market.labels[w.market.history+len(w.hits)].Int())
			if w.hits = append(w.hits, hit); hit {
				w.right++
			}
			if w.predictionSeq = p.Seq; p.Variant == serve.Primary {
				w.version = p.Version
			}
		}
	}
}
