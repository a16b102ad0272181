package retrain

import (
	"context"
	"fmt"
	"reflect"
	"time"
)

// record stores the retraining under the lease's token, and returns it as it is
// stored. What is stored already, by a life that was cut off after it, stays.
func (l *Loop) record(ctx context.Context, r Retraining) (Retraining, error) {
	stored, found, err := l.recorded(ctx, r.Number)
	if err != nil {
		return r, err
	}
	if found && sameRecord(stored, r) {
		return stored, nil
	}
	r.Rev, r.Token = stored.Rev+1, l.token
	return r, l.config.Stores.Retrain.PutRetraining(ctx, r)
}

// recorded returns the retraining with the number, if there is one.
func (l *Loop) recorded(ctx context.Context, number int64) (Retraining, bool, error) {
	found, err := l.config.Stores.Retrain.Retrainings(ctx, RetrainingQuery{Model: l.config.Model, From: number, Limit: 1})
	if err != nil || len(found) == 0 || found[0].Number != number {
		return Retraining{}, false, err
	}
	return found[0], true, nil
}

// sameRecord compares all but who wrote it.
func sameRecord(a, b Retraining) bool {
	a.Rev, a.Token = b.Rev, b.Token
	return reflect.DeepEqual(a, b)
}

// recordStart stores the next retraining. One that a life which was cut off put on
// record without the state's knowing of it is taken up as it is, so that no number
// stands for two: unless the champion has changed since, and then it is closed.
func (l *Loop) recordStart(ctx context.Context, now time.Time, champion int64, causes []Cause) (Retraining, error) {
	for {
		r := Retraining{
			Model: l.config.Model, Number: l.memory.Ledger.Next, Causes: causes, Stage: Fitting, Champion: champion,
			Config: l.digest, StartedAt: now, StageSince: now,
		}
		r.ID = r.id()
		stored, found, err := l.recorded(ctx, r.Number)
		if err != nil {
			return r, err
		}
		switch {
		case !found:
			return l.record(ctx, r)
		case stored.Champion == champion && stored.Stage == Fitting:
			r = stored
			r.Config = l.digest
			return l.record(ctx, r)
		}
		if !stored.Stage.Final() {
			stored.Stage, stored.StageSince, stored.EndedAt = Superseded, now, now
			stored.Reason = fmt.Sprintf("its process ended before it had begun, and version %d is champion now", champion)
			if _, err := l.record(ctx, stored); err != nil {
				return r, err
			}
		}
		l.memory.Ledger.Next++
	}
}
