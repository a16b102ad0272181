package retrainsql

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/mlloop/mlloop/internal/atomicfile"
	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/retrain"
	"github.com/mlloop/mlloop/sqlstore"
	"github.com/mlloop/mlloop/tracking/artifact"
)

// backupWriter writes one backup.
type backupWriter struct {
	dir       string
	db        *sqlstore.DB // the snapshot
	models    registry.Store
	artifacts artifact.Store
	sign      func(registry.Head) (registry.Head, error)
	m         manifest
	lines     *lineWriter
	named     *bufio.Writer // see name
}

func (w *backupWriter) write(ctx context.Context) (done retrain.Backup, err error) {
	w.m = manifest{Format: backupFormat, TakenAt: time.Now().UTC().Truncate(time.Millisecond), Dialect: w.db.Dialect()}
	if w.m.Schemas, err = versionsOf(ctx, w.db, schemas()); err != nil {
		return done, err
	}
	if w.m.Heads, err = w.heads(ctx); err != nil {
		return done, err
	}
	err = atomicfile.WriteFile(atomicfile.OS(), filepath.Join(w.dir, rowsFile), func(out io.Writer) (err error) {
		w.lines = newLineWriter(out)
		if err := w.content(ctx); err != nil {
			return err
		}
		w.m.Rows, err = w.lines.close()
		return err
	})
	if err != nil {
		return done, err
	}
	err = atomicfile.WriteFile(atomicfile.OS(), filepath.Join(w.dir, manifestFile), func(out io.Writer) error {
		e := json.NewEncoder(out)
		e.SetIndent("", "\t")
		return e.Encode(w.m)
	})
	return w.m.report(), err
}

// report is the manifest for the caller.
func (m manifest) report() retrain.Backup {
	b := retrain.Backup{TakenAt: m.TakenAt, Artifacts: m.Artifacts, Bytes: m.Bytes, Missing: m.Missing}
	for _, t := range m.Tables {
		b.Rows += t.Rows
	}
	return b
}

// versionsOf returns how many migrations each store's tables have had.
func versionsOf(ctx context.Context, q sqlstore.Querier, all []sqlstore.Schema) (map[string]int, error) {
	versions := make(map[string]int)
	for _, s := range all {
		var n int
		if err := q.QueryRow(ctx, `SELECT COUNT(*) FROM {p}migration WHERE store = ?`, s.Domain).Scan(&n); err != nil {
			return nil, err
		}
		versions[s.Domain] = n
	}
	return versions, nil
}

// heads verifies the audit trail of every model, and returns their heads.
func (w *backupWriter) heads(ctx context.Context) (heads []registry.Head, err error) {
	models := registry.New(w.models, w.artifacts, nil)
	for m, err := range models.Models(ctx) {
		if err != nil {
			return nil, err
		}
		heads = append(heads, registry.Head{Model: m.Name})
	}
	for i, h := range heads { // not inside the loop: it reads through the same connection
		if err := models.VerifyAudit(ctx, h.Model, nil); err != nil {
			return nil, err
		}
		if heads[i], err = models.AuditHead(ctx, h.Model); err == nil && w.sign != nil {
			heads[i], err = w.sign(heads[i])
		}
		if err != nil {
			return nil, err
		}
	}
	return heads, nil
}

// content writes all tables, then all artifacts that they name. What they name
// lies in a file beside in the meantime: there may be any number of them.
func (w *backupWriter) content(ctx context.Context) error {
	names, err := tableNames(schemas(), w.db.Dialect())
	if err != nil {
		return err
	}
	tables, err := tablesOf(ctx, w.db, names)
	if err != nil {
		return err
	}
	return withSpool(w.dir, func(spool io.ReadWriteSeeker) error {
		w.named = bufio.NewWriter(spool)
		for _, t := range tables {
			if err := w.table(ctx, t); err != nil {
				return fmt.Errorf("table %s: %w", t.name, err)
			}
		}
		if err := w.named.Flush(); err != nil {
			return err
		}
		if _, err := spool.Seek(0, io.SeekStart); err != nil {
			return err
		}
		return w.copyArtifacts(ctx, bufio.NewReader(spool))
	})
}

func (w *backupWriter) table(ctx context.Context, t table) error {
	if err := w.lines.head(lineHead{Table: t.name, Columns: t.names()}); err != nil {
		return err
	}
	var sum adder
	for row, err := range t.rows(ctx, w.db) {
		if err != nil {
			return err
		}
		line, err := w.lines.row(row)
		if err != nil {
			return err
		}
		sum.add(line)
		if err := w.name(t, row); err != nil {
			return err
		}
	}
	last, err := t.lastDrawn(ctx, w.db)
	entry := tableSum{Name: t.name, Last: last}
	entry.Rows, entry.Sum = sum.total()
	w.m.Tables = append(w.m.Tables, entry)
	return err
}

// The tables whose digests name artifacts: a run's files, and the manifests of
// versions' bundles, which name more.
var artifactTables = map[string]byte{"tracking_artifact": 'f', "registry_version": 'm'}

// name notes the artifact that a row names.
func (w *backupWriter) name(t table, row []any) error {
	mark := artifactTables[t.name]
	if mark == 0 {
		return nil
	}
	for i, c := range t.columns {
		if digest, ok := row[i].(string); ok && c.name == "digest" {
			_, err := fmt.Fprintf(w.named, "%c%s\n", mark, digest)
			return err
		}
	}
	return fault.Errorf(fault.Corrupt, "a row names no digest")
}

// mostMissing is how many artifacts may be missing before it is more likely that
// they are looked for in the wrong place.
const mostMissing = 1000

func (w *backupWriter) copyArtifacts(ctx context.Context, named *bufio.Reader) error {
	copies := &copier{from: w.artifacts, to: artifact.Dir(filepath.Join(w.dir, artifactFolder)), missing: map[string]bool{}}
	for {
		line, err := named.ReadString('\n')
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		digest := strings.TrimSpace(line[1:])
		if err := copies.copy(ctx, digest); err != nil {
			return fmt.Errorf("artifact %s: %w", digest, err)
		}
		if line[0] == 'm' {
			if err := copies.copyBundle(ctx, digest); err != nil {
				return fmt.Errorf("bundle %s: %w", digest, err)
			}
		}
	}
	w.m.Missing = copies.sorted()
	for a, err := range copies.to.List(ctx) {
		if err != nil {
			return err
		}
		if err := w.lines.head(lineHead{Artifact: a.Digest, Size: a.Size}); err != nil {
			return err
		}
		w.m.Artifacts, w.m.Bytes = w.m.Artifacts+1, w.m.Bytes+a.Size
	}
	return nil
}
