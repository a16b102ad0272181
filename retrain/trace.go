package retrain

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/tracking"
)

// Trace is how a prediction came about: what was asked, which version answered,
// and how that version came to answer. String tells it to a reader.
type Trace struct {
	Model string
	ID    string // of the request
	// Answers are the logged attempts to answer it, in the order of storing: of each
	// row what was asked, what was answered, by which version and in which part, and
	// the label. Attempts that failed and those of shadows are among them.
	Answers []serve.LabelledPrediction
	Origins []Origin // of the versions among the answers, in the order of the first answer of each
}

// Origin is where a version comes from.
type Origin struct {
	Version    registry.Version    // with the digests of bundle and data, and the time of its rows
	Run        *tracking.RunRecord // that fitted it; nil: not on record
	Retraining *Retraining         // that made it, with its causes and verdicts; nil: it was made by hand
	Config     []byte              // the configuration of the retraining, JSON; nil: not on record
	Moves      []registry.Event    // of the champion's alias to the version or away from it, the oldest first
}

// Trace returns how the prediction of a request came about, by the request's ID.
// It may be asked of any process. Errors: NotFound when nothing of it is in the
// log, because it never was, has been erased, or is older than Retention keeps.
func (l *Loop) Trace(ctx context.Context, predictionID string) (Trace, error) {
	t, err := l.trace(ctx, predictionID)
	if err != nil {
		return Trace{}, fmt.Errorf("retrain: trace prediction %s of %s: %w", predictionID, l.config.Model, err)
	}
	return t, nil
}

func (l *Loop) trace(ctx context.Context, id string) (Trace, error) {
	t := Trace{Model: l.config.Model, ID: id}
	var err error
	if t.Answers, err = l.lookup(ctx, id); err != nil {
		return t, err
	}
	seen := make(map[int64]bool)
	for _, a := range t.Answers {
		if seen[a.Version] {
			continue
		}
		seen[a.Version] = true
		origin, err := l.traceVersion(ctx, a.Version)
		if err != nil {
			return t, fmt.Errorf("version %d: %w", a.Version, err)
		}
		t.Origins = append(t.Origins, origin)
	}
	return t, nil
}

// lookup reads what is logged of a request, also what still waits in this
// process to be stored.
func (l *Loop) lookup(ctx context.Context, id string) ([]serve.LabelledPrediction, error) {
	found, err := l.config.Stores.Serve.Lookup(ctx, l.config.Model, []string{id})
	if err != nil || len(found) > 0 {
		return found, err
	}
	if err := l.server.Flush(ctx); err != nil {
		return nil, err
	}
	found, err = l.config.Stores.Serve.Lookup(ctx, l.config.Model, []string{id})
	if err == nil && len(found) == 0 {
		err = fault.Errorf(fault.NotFound, "nothing of it is in the log")
	}
	return found, err
}

func (l *Loop) traceVersion(ctx context.Context, number int64) (Origin, error) {
	var o Origin
	var err error
	if o.Version, err = l.config.Stores.Registry.Version(ctx, l.config.Model, number); err != nil {
		return o, err
	}
	if id := o.Version.Lineage.RunID; id != "" {
		run, err := l.config.Stores.Tracking.Run(ctx, id)
		switch {
		case err == nil:
			o.Run = &run
		case !errors.Is(err, ErrNotFound):
			return o, err
		}
	}
	made, err := l.origin(ctx, number)
	if err != nil {
		return o, err
	}
	if made.ID != "" {
		o.Retraining = &made
		if o.Config, err = l.config.Stores.Retrain.Config(ctx, made.Config); err != nil && !errors.Is(err, ErrNotFound) {
			return o, err
		}
	}
	o.Moves, err = l.championMoves(ctx, number)
	return o, err
}

// championMoves reads the moves of the champion's alias that a version is part of.
func (l *Loop) championMoves(ctx context.Context, number int64) ([]registry.Event, error) {
	var moves []registry.Event
	text := strconv.FormatInt(number, 10)
	q := registry.EventQuery{Model: l.config.Model, Alias: registry.Champion}
	for {
		page, err := l.config.Stores.Registry.Events(ctx, q)
		if err != nil || len(page) == 0 {
			return moves, err
		}
		for _, e := range page {
			if q.After = e.Seq; e.To == text || e.From == text {
				moves = append(moves, e)
			}
		}
	}
}
