package retrainsql

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/sqlstore"
	"github.com/mlloop/mlloop/tracking/artifact"
)

// rows yields the table's rows by its key, their values by column.
func (t table) rows(ctx context.Context, q sqlstore.Querier) iter.Seq2[[]any, error] {
	text := `SELECT ` + t.list() + ` FROM {p}` + t.name
	if len(t.key) > 0 {
		text += ` ORDER BY "` + strings.Join(t.key, `", "`) + `"`
	}
	values, into := make([]any, len(t.columns)), make([]any, len(t.columns))
	for i := range values {
		into[i] = &values[i]
	}
	return sqlstore.Each(ctx, q, func(row sqlstore.Scanner) (_ []any, err error) {
		if err := row.Scan(into...); err != nil {
			return nil, err
		}
		for i, c := range t.columns {
			if values[i], err = c.kind.plain(values[i]); err != nil {
				return nil, fmt.Errorf("column %s: %w", c.name, err)
			}
		}
		return values, nil
	}, text)
}

// withSpool calls fn with a new file in the folder, which is removed afterwards.
func withSpool(dir string, fn func(spool io.ReadWriteSeeker) error) error {
	spool, err := os.CreateTemp(dir, ".named-*")
	if err != nil {
		return fault.Errorf(fault.Unavailable, "the folder cannot be written: %w", err)
	}
	err = fn(spool)
	return errors.Join(err, spool.Close(), os.Remove(spool.Name()))
}

// copier copies artifacts that are not in the backup yet.
type copier struct {
	from, to artifact.Store
	missing  map[string]bool
}

// copy copies the artifact, or notes that it is missing or damaged.
func (c *copier) copy(ctx context.Context, digest string) error {
	if _, err := c.to.Stat(ctx, digest); err == nil || c.missing[digest] {
		return nil
	}
	r, err := c.from.Get(ctx, digest)
	if err == nil {
		_, _, err = c.to.Put(ctx, r, &artifact.PutOptions{Digest: digest})
		err = errors.Join(err, r.Close())
	}
	if errors.Is(err, artifact.ErrNotFound) || errors.Is(err, artifact.ErrCorrupt) {
		c.missing[digest] = true
		if len(c.missing) > mostMissing {
			return fault.Errorf(fault.Corrupt, "and over %d others are missing or damaged: are they in another artifact store?", mostMissing)
		}
		return nil
	}
	return err
}

// copyBundle copies what the manifest names, which has been copied.
func (c *copier) copyBundle(ctx context.Context, manifest string) error {
	if c.missing[manifest] {
		return nil
	}
	files, err := bundleFiles(ctx, c.to, manifest)
	if err != nil {
		return err
	}
	for _, digest := range files {
		if err := c.copy(ctx, digest); err != nil {
			return err
		}
	}
	return nil
}

// bundleFiles are the digests of the files that the manifest of the digest names.
func bundleFiles(ctx context.Context, from artifact.Store, manifest string) ([]string, error) {
	r, err := from.Get(ctx, manifest)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }() // opened for reading
	raw, err := io.ReadAll(io.LimitReader(r, bundle.MaxManifestSize+1))
	if err != nil {
		return nil, err
	}
	m, err := bundle.ParseManifest(raw)
	if err != nil {
		return nil, err
	}
	digests := make([]string, len(m.Files))
	for i, f := range m.Files {
		digests[i] = f.Digest
	}
	return digests, nil
}

func (c *copier) sorted() []string { return slices.Sorted(maps.Keys(c.missing)) }
