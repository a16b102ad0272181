package registry_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/registry/registrymem"
	"github.com/mlloop/mlloop/tracking/artifact"
)

// A trail that was cut off together with its tables, or made anew, is sound in
// itself: only the head tells.
func TestAHeadTellsWhatTheTrailCannot(t *testing.T) {
	history := func(events int) (*registry.Client, registry.Head) {
		models := registry.New(registrymem.New(), artifact.Memory(), nil)
		for n := range events - 1 {
			register(t, models, "m", string(rune('a'+n)))
		}
		head, err := models.AuditHead(t.Context(), "m")
		require.NoError(t, err)
		require.EqualValues(t, events, head.Seq)
		return models, head
	}
	models, head := history(4)
	require.NoError(t, models.VerifyAudit(t.Context(), "m", &head))
	register(t, models, "m", "later")
	require.NoError(t, models.VerifyAudit(t.Context(), "m", &head), "events were added since")

	cut, _ := history(3)
	require.NoError(t, cut.VerifyAudit(t.Context(), "m", nil), "sound in itself")
	err := cut.VerifyAudit(t.Context(), "m", &head)
	require.ErrorIs(t, err, registry.ErrCorrupt)
	require.ErrorContains(t, err, "it ends with event 3, the head has event 4: the end was cut off")

	rewritten, _ := history(5)
	require.NoError(t, rewritten.VerifyAudit(t.Context(), "m", nil), "sound in itself")
	err = rewritten.VerifyAudit(t.Context(), "m", &head)
	require.ErrorIs(t, err, registry.ErrCorrupt)
	require.ErrorContains(t, err, "event 4 is another than the one of the head")

	_, err = models.AuditHead(t.Context(), "n")
	require.ErrorIs(t, err, registry.ErrNotFound)
}

func TestSignedHead(t *testing.T) {
	models := registry.New(registrymem.New(), artifact.Memory(), nil)
	register(t, models, "m", "1")
	head, err := models.AuditHead(t.Context(), "m")
	require.NoError(t, err)
	public, private, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	require.ErrorIs(t, head.Verify(public), registry.ErrCorrupt, "not signed")
	signed, err := head.Sign(private)
	require.NoError(t, err)
	require.Empty(t, head.Signature)

	text, err := json.Marshal(signed)
	require.NoError(t, err)
	var read registry.Head
	require.NoError(t, json.Unmarshal(text, &read))
	require.Equal(t, signed, read)
	require.NoError(t, read.Verify(public))
	require.NoError(t, models.VerifyAudit(t.Context(), "m", &read))

	for name, forge := range map[string]func(h *registry.Head){
		"format": func(h *registry.Head) { h.Format++ }, "id": func(h *registry.Head) { h.ModelID = "x" },
		"name": func(h *registry.Head) { h.Model = "n" }, "seq": func(h *registry.Head) { h.Seq-- },
		"hash": func(h *registry.Head) { h.Hash = "" }, "time": func(h *registry.Head) { h.Time = h.Time.Add(time.Millisecond) },
		"signature": func(h *registry.Head) { h.Signature = append([]byte{h.Signature[0] ^ 1}, h.Signature[1:]...) },
		"short":     func(h *registry.Head) { h.Signature = h.Signature[1:] },
	} {
		forged := read
		forge(&forged)
		require.ErrorIs(t, forged.Verify(public), registry.ErrCorrupt, name)
	}
	other, _, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	require.ErrorIs(t, read.Verify(other), registry.ErrCorrupt)
	require.ErrorIs(t, read.Verify(public[1:]), registry.ErrInvalid)
}

// broken is a key that cannot be reached.
type broken struct{ crypto.Signer }

func (broken) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("the key store is away")
}

func TestSignTellsWhatIsWrong(t *testing.T) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	_, err = registry.Head{}.Sign(broken{private})
	require.ErrorIs(t, err, registry.ErrUnavailable)
	require.EqualError(t, err, "registry: sign audit head: the key store is away")
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	_, err = registry.Head{}.Sign(curve)
	require.ErrorIs(t, err, registry.ErrUnsupported)
	require.ErrorContains(t, err, "want ed25519")
}

// The hashes are as documented, so that others can compute them, and later
// releases must: the texts are written by hand.
func TestTheFormatOfTheChain(t *testing.T) {
	sum := func(text string) string {
		s := sha256.Sum256([]byte(text))
		return hex.EncodeToString(s[:])
	}
	at := time.Date(2026, 3, 1, 0, 0, 0, 5_000_000, time.UTC) // 1772323200005
	v := registry.Version{
		Model: "not in it", ModelID: "0192", Number: 3, Digest: "d1", Key: "k", State: registry.Approved, Seq: 9, CreatedAt: at,
		Lineage: registry.Lineage{RunID: "r", DataDigest: "t", Parent: 2, Code: "c", DataFrom: at, Rows: 17},
	}
	require.Equal(t, sum(`["mlloop version",1,"0192",3,"d1","k","r","t",2,"c",1772323200005,0,17,1772323200005]`), v.ContentHash())
	e := registry.Event{
		Seq: 4, Model: "not in it", ModelID: "0192", Version: 3, Kind: registry.VersionCreated, Alias: "a", From: "f", To: "candidate",
		Digest: "d1", Content: "c1", Actor: "ann", Reason: "why", Time: at, Format: 1, Hash: "not in it",
	}
	want := sum(`["mlloop registry event",1,"before",4,"0192",3,"version.created","a","f","candidate","d1","c1","ann","why",1772323200005]`)
	require.Equal(t, want, registry.Chain("before", e))
	e.Seq, e.Format = 0, 0
	require.Equal(t, want, e.Follow(registry.Event{Seq: 3, Hash: "before"}).Hash)
}
