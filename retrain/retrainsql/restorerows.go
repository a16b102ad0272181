package retrainsql

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/registry/registrysql"
	"github.com/mlloop/mlloop/sqlstore"
	"github.com/mlloop/mlloop/tracking/artifact"
)

// restorer brings one backup into a database whose tables are of its version.
type restorer struct {
	dir       string
	m         manifest
	db        *sqlstore.DB
	artifacts artifact.Store
	tables    map[string]table
}

func (r *restorer) run(ctx context.Context) error {
	names, err := tableNames(schemas(), r.db.Dialect()) // the manifest's own go into no statement before they are found among these
	if err != nil {
		return err
	}
	found, err := tablesOf(ctx, r.db, names)
	if err != nil {
		return err
	}
	r.tables = make(map[string]table)
	for _, t := range found {
		r.tables[t.name] = t
	}
	if err := r.isEmpty(ctx, r.db); err != nil {
		return err
	}
	if err := r.putArtifacts(ctx); err != nil {
		return err
	}
	tx, err := r.db.Pool().BeginTx(ctx, nil)
	if err != nil {
		return sqlstore.Fault(err)
	}
	defer func() { _ = tx.Rollback() }() // does nothing after Commit
	if err := r.putRows(ctx, r.db.WithTx(tx), registrysql.New(r.db).WithTx(tx)); err != nil {
		return err
	}
	return sqlstore.Fault(tx.Commit())
}

// isEmpty makes sure that no table has a row.
func (r *restorer) isEmpty(ctx context.Context, q sqlstore.Querier) error {
	for _, t := range r.m.Tables {
		if _, known := r.tables[t.Name]; !known {
			return fault.Errorf(fault.Unsupported, "the database has no table %s: run the mlloop that made the backup", t.Name)
		}
		var some int
		err := q.QueryRow(ctx, `SELECT 1 FROM {p}`+t.Name+` LIMIT 1`).Scan(&some)
		if err == nil {
			return fault.Errorf(fault.AlreadyExists, "table %s has rows: restore into an empty database, or under another prefix or schema", t.Name)
		}
		if !errors.Is(err, fault.NotFound) {
			return err
		}
	}
	return nil
}

// putArtifacts stores all artifacts, each verified by its digest.
func (r *restorer) putArtifacts(ctx context.Context) error {
	from := artifact.Dir(r.dir + "/" + artifactFolder)
	var n int64
	err := r.lines(true, func(_ []any, head lineHead) error {
		if head.Artifact == "" {
			return nil
		}
		n++
		if _, err := r.artifacts.Stat(ctx, head.Artifact); err == nil {
			return nil // of a restore that was cut short
		}
		blob, err := from.Get(ctx, head.Artifact)
		if err == nil {
			_, _, err = r.artifacts.Put(ctx, blob, &artifact.PutOptions{Digest: head.Artifact})
			err = errors.Join(err, blob.Close())
		}
		if errors.Is(err, fault.NotFound) {
			err = fault.Errorf(fault.Corrupt, "it is missing from the backup: restore another one")
		}
		if err != nil {
			return fmt.Errorf("artifact %s: %w", head.Artifact, err)
		}
		return nil
	})
	if err == nil && n != r.m.Artifacts {
		return fault.Errorf(fault.Corrupt, "%s lists %d artifacts, the manifest %d", rowsFile, n, r.m.Artifacts)
	}
	return err
}

// lines calls fn with every line of the file of rows, or with those that are no
// rows, but the last, which has to be there.
func (r *restorer) lines(heads bool, fn func(row []any, head lineHead) error) error {
	f, err := openRows(r.dir)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // opened for reading
	lines, err := newLineReader(f)
	if err != nil {
		return err
	}
	lines.heads = heads
	for {
		row, head, err := lines.next()
		if err != nil || head.End {
			return err
		}
		if err := fn(row, head); err != nil {
			return err
		}
	}
}

// putRows stores all rows, and makes sure that they are what was backed up. No
// lease is held by anybody then.
func (r *restorer) putRows(ctx context.Context, db *sqlstore.DB, models registry.Store) error {
	// A write first: on SQLite the transaction becomes a writer's.
	if _, err := db.Exec(ctx, `DELETE FROM {p}retrain_model WHERE 1 = 0`); err != nil {
		return err
	}
	if err := r.isEmpty(ctx, db); err != nil {
		return err
	}
	var in *inserter
	err := r.lines(false, func(row []any, head lineHead) (err error) {
		switch {
		case head.Table != "":
			if err := in.flush(ctx); err != nil {
				return err
			}
			in, err = r.inserter(db, head)
			return err
		case row != nil:
			return in.add(ctx, row)
		}
		return nil
	})
	if err == nil {
		err = in.flush(ctx)
	}
	if err == nil {
		err = r.compare(ctx, db, models)
	}
	if err == nil {
		_, err = db.Exec(ctx, `UPDATE {p}retrain_model SET holder = '', lease_until = 0`)
	}
	return err
}

// compare verifies the database against the manifest.
func (r *restorer) compare(ctx context.Context, db *sqlstore.DB, models registry.Store) error {
	for _, want := range r.m.Tables {
		t := r.tables[want.Name]
		if err := t.draw(ctx, db, want.Last); err != nil {
			return fmt.Errorf("table %s: %w", t.name, err)
		}
		var sum adder
		var line []byte
		for row, err := range t.rows(ctx, db) {
			if err == nil {
				line, err = appendRow(line[:0], row)
			}
			if err != nil {
				return fmt.Errorf("table %s: %w", t.name, err)
			}
			sum.add(line)
		}
		if rows, total := sum.total(); rows != want.Rows || total != want.Sum {
			return fault.Errorf(fault.Corrupt, "table %s came out with %d rows (%s), and had %d (%s)", t.name, rows, total, want.Rows, want.Sum)
		}
	}
	return r.verifyTrails(ctx, registry.New(models, r.artifacts, nil))
}

// verifyTrails verifies the audit trail of every model against its head. A model
// without a head would be one that nobody signed for.
func (r *restorer) verifyTrails(ctx context.Context, models *registry.Client) error {
	missing := make(map[string]bool)
	for m, err := range models.Models(ctx) {
		if err != nil {
			return err
		}
		missing[m.Name] = true
	}
	for _, h := range r.m.Heads {
		if err := models.VerifyAudit(ctx, h.Model, &h); err != nil {
			return err
		}
		delete(missing, h.Model)
	}
	for _, model := range slices.Sorted(maps.Keys(missing)) {
		return fault.Errorf(fault.Corrupt, "%s has no head for the audit trail of model %s: restore another backup", manifestFile, model)
	}
	return nil
}

// inserter stores the rows of one table, many with each statement.
type inserter struct {
	db    *sqlstore.DB
	t     table
	most  int // rows a statement
	args  []any
	rows  int
	bytes int
}

const (
	mostRows  = 500
	mostArgs  = 30_000  // SQLite takes 32,766, PostgreSQL 65,535
	mostBytes = 8 << 20 // of what a statement holds
)

// inserter begins a table. Errors: Corrupt when it has other columns.
func (r *restorer) inserter(db *sqlstore.DB, head lineHead) (*inserter, error) {
	t, known := r.tables[head.Table]
	if !known {
		return nil, fault.Errorf(fault.Corrupt, "%s has a table %s, the manifest none", rowsFile, head.Table)
	}
	if !slices.Equal(t.names(), head.Columns) {
		return nil, fault.Errorf(fault.Corrupt, "table %s has the columns %v, and had %v", t.name, t.names(), head.Columns)
	}
	return &inserter{db: db, t: t, most: max(1, min(mostRows, mostArgs/len(t.columns)))}, nil
}

func (in *inserter) add(ctx context.Context, row []any) error {
	if in == nil || len(row) != len(in.t.columns) {
		return fault.Errorf(fault.Corrupt, "%s: a row of %d values is of no table", rowsFile, len(row))
	}
	for i, c := range in.t.columns {
		in.args = append(in.args, c.kind.argument(row[i]))
		switch v := row[i].(type) {
		case string:
			in.bytes += len(v)
		case []byte:
			in.bytes += len(v)
		}
	}
	if in.rows++; in.rows >= in.most || in.bytes > mostBytes {
		return in.flush(ctx)
	}
	return nil
}

// flush stores what was added.
func (in *inserter) flush(ctx context.Context) error {
	if in == nil || in.rows == 0 {
		return nil
	}
	text := `INSERT INTO {p}` + in.t.name + ` (` + in.t.list() + `)`
	if in.db.Dialect() == sqlstore.PostgreSQL {
		text += ` OVERRIDING SYSTEM VALUE`
	}
	one := `(?` + strings.Repeat(`, ?`, len(in.t.columns)-1) + `)`
	text += ` VALUES ` + one + strings.Repeat(`, `+one, in.rows-1)
	if _, err := in.db.Exec(ctx, text, in.args...); err != nil {
		return fmt.Errorf("table %s: %w", in.t.name, err)
	}
	in.args, in.rows, in.bytes = in.args[:0], 0, 0
	return nil
}
