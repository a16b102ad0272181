package registry

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
)

// Head is the last event of a model's audit trail, as a small value to keep
// outside the database: in JSON, in a log, in another system. VerifyAudit with a
// Head tells whether the trail was cut off or rewritten since. A head that is
// signed with a key that the database does not know cannot be forged by who can
// write to the database.
type Head struct {
	Format    int       `json:"format"` // ChainFormat of the event
	ModelID   string    `json:"model_id"`
	Model     string    `json:"model"` // its name when the head was read
	Seq       int64     `json:"seq"`
	Hash      string    `json:"hash"`
	Time      time.Time `json:"time"` // of the event, UTC milliseconds
	Signature []byte    `json:"signature,omitempty"`
}

// AuditHead returns the head of a model's trail, unsigned. It is one indexed
// read; the head is as good as the trail is: call VerifyAudit before. Errors:
// Invalid; NotFound for the model.
func (c *Client) AuditHead(ctx context.Context, model string) (Head, error) {
	var problems fault.Problems
	checkModel(&problems, model)
	return ask(problems, func() (Head, error) {
		events, err := c.store.Events(ctx, EventQuery{Model: model, Newest: true, Limit: 1})
		if err != nil {
			return Head{}, err
		}
		if len(events) == 0 {
			return Head{}, fault.Errorf(ErrCorrupt, "model %s has no event: its audit trail was taken away", model)
		}
		e := events[0]
		return Head{Format: e.Format, ModelID: e.ModelID, Model: e.Model, Seq: e.Seq, Hash: e.Hash, Time: e.Time}, nil
	}, "audit head of "+model)
}

// message is what a signature is over: the hash of a JSON array, which says what
// is signed, so that no other signature of the key can be taken for it.
func (h Head) message() []byte {
	return []byte("mlloop registry head " + hashJSON(h.Format, h.ModelID, h.Model, h.Seq, h.Hash, h.Time.UnixMilli()))
}

// Sign returns the head with a signature by the caller's ed25519 key: an
// ed25519.PrivateKey, or a crypto.Signer whose key lies elsewhere. The message is
// "mlloop registry head " and the SHA-256, in hex, of a JSON array of Format,
// ModelID, Model, Seq, Hash and Time as Unix milliseconds. Errors: Unsupported
// for a key of another kind; Unavailable when the signer fails.
func (h Head) Sign(signer crypto.Signer) (Head, error) {
	public, ok := signer.Public().(ed25519.PublicKey)
	if !ok {
		return Head{}, fault.Errorf(ErrUnsupported, "registry: sign audit head: the key is a %T: want ed25519", signer.Public())
	}
	signature, err := signer.Sign(rand.Reader, h.message(), crypto.Hash(0))
	if err != nil {
		return Head{}, fault.Errorf(ErrUnavailable, "registry: sign audit head: %w", err)
	}
	h.Signature = signature
	return h, h.Verify(public)
}

// Verify checks that the head was signed with the private key of public and is
// as it was signed. Errors: Invalid for a key of the wrong length; Corrupt.
func (h Head) Verify(public ed25519.PublicKey) error {
	switch {
	case len(public) != ed25519.PublicKeySize:
		return fault.Errorf(ErrInvalid, "registry: verify audit head: the public key has %d bytes: want %d", len(public), ed25519.PublicKeySize)
	case len(h.Signature) == 0:
		return fault.Errorf(ErrCorrupt, "registry: verify audit head: event %d of %s: it is not signed", h.Seq, h.Model)
	case !ed25519.Verify(public, h.message(), h.Signature):
		return fault.Errorf(ErrCorrupt, "registry: verify audit head: event %d of %s: the signature is not this key's over this head", h.Seq, h.Model)
	}
	return nil
}
