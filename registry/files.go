package registry

import (
	"context"
	"fmt"
	"io"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/tracking/artifact"
)

// putFiles stores each file under its digest; the manifest's is the bundle's.
// The manifest comes last: who finds it finds all of it.
func (c *Client) putFiles(ctx context.Context, b *bundle.Bundle) error {
	for _, f := range append(b.Files(), bundle.File{Path: bundle.ManifestFile, Digest: b.Digest()}) {
		if err := c.putFile(ctx, b, f); err != nil {
			return err
		}
	}
	return nil
}

// putFile streams a file into the artifact store, which hashes it on the way
// and refuses other bytes than the manifest's.
func (c *Client) putFile(ctx context.Context, b *bundle.Bundle, f bundle.File) error {
	r, err := b.Raw(ctx, f.Path)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }() // opened for reading
	digest, _, err := c.artifacts.Put(ctx, r, &artifact.PutOptions{Digest: f.Digest})
	if err != nil {
		return fmt.Errorf("%s: %w", f.Path, err)
	}
	if digest != f.Digest {
		return fault.Errorf(ErrCorrupt, "%s: the artifact store took it for %s, it is %s", f.Path, digest, f.Digest)
	}
	return nil
}

// openFile opens the bytes of a bundle's file. Those of the cache are verified.
// Those of the store are not: who reads them hashes them, and once is enough.
func (c *Client) openFile(ctx context.Context, f bundle.File) (io.ReadCloser, error) {
	if c.cache != nil {
		return c.cache.Open(ctx, c.artifacts, f.Digest)
	}
	return c.artifacts.GetRange(ctx, f.Digest, 0, -1)
}
