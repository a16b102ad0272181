package registry

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/registry/bundle"
)

// Load returns the bundle that ref names and its version, after verifying
// every byte. Errors: Invalid; NotFound for the model, alias or version;
// Corrupt, naming the file, when one is missing or damaged; Unsupported when a
// newer release made the bundle.
func (c *Client) Load(ctx context.Context, ref string) (*bundle.Bundle, Version, error) {
	v, err := c.resolve(ctx, ref)
	if err != nil {
		return nil, Version{}, fmt.Errorf("registry: load %s: %w", ref, err)
	}
	b, err := c.read(ctx, v.Digest)
	if errors.Is(err, ErrNotFound) {
		// Not found would say that there is no such version.
		err = fault.Errorf(ErrCorrupt, "version %d: its %s is missing from the artifact store: restore it, or open the store it was registered with", v.Number, bundle.ManifestFile)
	}
	if err != nil {
		return nil, Version{}, fmt.Errorf("registry: load %s: %w", ref, err)
	}
	return b, v, nil
}

// Get returns the bundle of the digest, as Put or Register stored it, after
// verifying every byte. Errors: Invalid for a malformed digest; NotFound;
// Corrupt, naming the file; Unsupported.
func (c *Client) Get(ctx context.Context, digest string) (*bundle.Bundle, error) {
	b, err := c.read(ctx, digest)
	if err != nil {
		return nil, fmt.Errorf("registry: get bundle %s: %w", digest, err)
	}
	return b, nil
}

func (c *Client) read(ctx context.Context, digest string) (*bundle.Bundle, error) {
	manifest, err := c.readManifest(ctx, digest)
	if err != nil {
		return nil, err
	}
	b, err := bundle.Read(manifest, func(f bundle.File) (io.ReadCloser, error) { return c.artifacts.Get(ctx, f.Digest) })
	if err != nil {
		return nil, err
	}
	if b.Digest() != digest {
		return nil, fault.Errorf(ErrCorrupt, "%s has digest %s, wanted is %s", bundle.ManifestFile, b.Digest(), digest)
	}
	return b, nil
}

func (c *Client) readManifest(ctx context.Context, digest string) ([]byte, error) {
	r, err := c.artifacts.Get(ctx, digest)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", bundle.ManifestFile, err)
	}
	defer func() { _ = r.Close() }() // opened for reading
	manifest, err := io.ReadAll(io.LimitReader(r, bundle.MaxManifestSize+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", bundle.ManifestFile, err)
	}
	return manifest, nil
}
