package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/mlloop/mlloop/internal/fault"
	"github.com/mlloop/mlloop/registry/bundle"
)

// Load returns the bundle that ref names and its version. With a Cache in the
// options its files are on this machine then, every byte verified. Without, small
// files are in memory, verified, and large ones are verified as they are read from
// the artifact store, see bundle.Read. Errors: Invalid; NotFound for the model,
// alias or version; Corrupt, naming the file, when one is missing or damaged;
// Unsupported when a newer release made the bundle.
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

// Get returns the bundle of the digest, as Put or Register stored it and as Load
// returns it. Errors: Invalid for a malformed digest; NotFound; Corrupt, naming
// the file; Unsupported.
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
	return bundle.Read(ctx, manifest, bundle.Source{Open: c.openFile, Verified: c.cache != nil})
}

func (c *Client) readManifest(ctx context.Context, digest string) ([]byte, error) {
	r, err := c.openFile(ctx, bundle.File{Digest: digest})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", bundle.ManifestFile, err)
	}
	defer func() { _ = r.Close() }() // opened for reading
	manifest, err := io.ReadAll(io.LimitReader(r, bundle.MaxManifestSize+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", bundle.ManifestFile, err)
	}
	sum := sha256.Sum256(manifest)
	if got := hex.EncodeToString(sum[:]); got != digest {
		return nil, fault.Errorf(ErrCorrupt, "%s has digest %s, wanted is %s: restore it", bundle.ManifestFile, got, digest)
	}
	return manifest, nil
}
