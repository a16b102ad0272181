package retrainsql

import (
	"context"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/sqlstore"
)

// AcquireLease implements retrain.Store. On PostgreSQL the server's clock decides,
// on SQLite, which has none, that of the machine.
func (s *Store) AcquireLease(ctx context.Context, model, holder string, ttl time.Duration) (retrain.Lease, error) {
	if model == "" || holder == "" || ttl < time.Millisecond {
		return retrain.Lease{}, fault.Errorf(fault.Invalid, "retrainsql: lease of model %q for holder %q over %s: want names, and a millisecond or more", model, holder, ttl)
	}
	var lease retrain.Lease
	var free bool
	err := s.db.Tx(ctx, func(tx *sqlstore.Tx) (err error) {
		lease, free, err = acquire(ctx, tx, model, holder, ttl)
		return err
	})
	switch {
	case err != nil:
		return retrain.Lease{}, wrap(err, "lease of %s", model)
	case !free:
		return lease, fault.Errorf(fault.Conflict, "retrainsql: the loop of %s is stepped by %s until %s", model, lease.Holder, lease.Until.Format(time.RFC3339))
	}
	return lease, nil
}

// acquire returns the lease as it is afterwards, and whether it is the holder's.
func acquire(ctx context.Context, tx *sqlstore.Tx, model, holder string, ttl time.Duration) (l retrain.Lease, free bool, err error) {
	if _, err := lock(ctx, tx, model); err != nil {
		return l, false, err
	}
	l.Model = model
	var took int64 // milliseconds that it was taken for
	row := tx.QueryRow(ctx, `SELECT holder, token, lease_until, lease_ttl FROM {p}retrain_model WHERE model = ?`, model)
	if err := row.Scan(&l.Holder, &l.Token, sqlstore.Millis(&l.Until), &took); err != nil {
		return l, false, err
	}
	now, err := clock(ctx, tx) // read behind the lock, which may have taken its time
	if err != nil {
		return l, false, err
	}
	if l.Holder != holder && l.Holder != "" && l.Until.After(now) {
		return shorten(ctx, tx, l, now.Add(time.Duration(took)*time.Millisecond))
	}
	if l.Holder != holder {
		l.Holder, l.Token = holder, l.Token+1
	}
	l.Until = now.Add(ttl).Truncate(time.Millisecond)
	_, err = tx.Exec(ctx, `UPDATE {p}retrain_model SET holder = ?, token = ?, lease_until = ?, lease_ttl = ? WHERE model = ?`,
		l.Holder, l.Token, l.Until.UnixMilli(), ttl.Milliseconds(), model)
	return l, true, err
}

// shorten ends another's lease by the time given, at the latest: one that ends
// later was taken before the clock was set back, and would keep the others from
// leading as long as that was.
func shorten(ctx context.Context, tx *sqlstore.Tx, l retrain.Lease, latest time.Time) (retrain.Lease, bool, error) {
	if !l.Until.After(latest) {
		return l, false, nil
	}
	l.Until = latest
	_, err := tx.Exec(ctx, `UPDATE {p}retrain_model SET lease_until = ? WHERE model = ?`, l.Until.UnixMilli(), l.Model)
	return l, false, err
}

// clock returns the database's time.
func clock(ctx context.Context, tx *sqlstore.Tx) (now time.Time, err error) {
	text := `SELECT CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)`
	if tx.Dialect() == sqlstore.PostgreSQL {
		text = `SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)`
	}
	err = tx.QueryRow(ctx, text).Scan(sqlstore.Millis(&now))
	return now, err
}

// ReleaseLease implements retrain.Store.
func (s *Store) ReleaseLease(ctx context.Context, model, holder string) error {
	if holder == "" {
		return nil
	}
	_, err := s.db.Exec(ctx, `UPDATE {p}retrain_model SET holder = '', lease_until = 0 WHERE model = ? AND holder = ?`, model, holder)
	return wrap(err, "release the lease of %s", model)
}
