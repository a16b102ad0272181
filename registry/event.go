package registry

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"
)

// The kinds of event.
const (
	ModelCreated   = "model.created"   // To: its name
	ModelRenamed   = "model.renamed"   // From, To: names
	VersionCreated = "version.created" // To: its state; Digest, Content
	VersionState   = "version.state"   // From, To: states
	AliasSet       = "alias.set"       // From, To: version numbers; Version: the new one
	AliasDeleted   = "alias.deleted"   // From, Version: the version it pointed at
)

// ChainFormat is the format of the hashes that this release writes.
const ChainFormat = 1

// Event is one line of a model's audit trail.
type Event struct {
	Seq     int64  // 1, 2, 3 … within the model
	Model   string // the model's name now; not part of the hash, which has ModelID
	ModelID string
	Version int64  // 0: about the model
	Kind    string // model.created, version.created, version.state, alias.set …
	Alias   string
	From    string // name, state or version number before; "" when there was none
	To      string
	Digest  string // version.created: of the version's bundle
	Content string // version.created: Version.ContentHash
	Actor   string // who
	Reason  string // why
	Time    time.Time
	Format  int    // ChainFormat of the release that stored it
	Hash    string // Chain of the event before and this one
}

// Follow completes an event for storing, as the one after last (the zero Event
// for a model's first). For stores.
func (e Event) Follow(last Event) Event {
	e.Seq, e.Format = last.Seq+1, ChainFormat
	e.Hash = Chain(last.Hash, e)
	return e
}

// Chain returns the hash of an event that follows one with the hash before
// ("" for a model's first): the SHA-256, in hex, of a JSON array of the words
// "mlloop registry event", Format, before, Seq, ModelID, Version, Kind, Alias,
// From, To, Digest, Content, Actor, Reason and Time as Unix milliseconds, written
// as encoding/json does. Changing, dropping or inserting an event breaks the
// chain.
func Chain(before string, e Event) string {
	return hashJSON("mlloop registry event", e.Format, before, e.Seq, e.ModelID, e.Version, e.Kind, e.Alias,
		e.From, e.To, e.Digest, e.Content, e.Actor, e.Reason, e.Time.UnixMilli())
}

// hashJSON returns the SHA-256, in hex, of a JSON array.
func hashJSON(fields ...any) string {
	text, err := json.Marshal(fields)
	if err != nil {
		return "" // strings and integers always encode
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
