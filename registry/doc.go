// Package registry keeps models and their immutable versions: which one is
// champion, what each was made from, and who changed what, when and why.
//
//	store, err := registrysql.Open(ctx, "sqlite:models.db", nil)
//	models := registry.New(store, artifact.Dir("artifacts"), &registry.Options{Actor: "ann"})
//	v, err := models.Register(ctx, "churn", b, nil)
//	err = models.Promote(ctx, "churn", v.Number, 0, registry.Change{Reason: "first model"})
//	b, v, err = models.Load(ctx, "churn@champion") // every byte verified
//
// A [Client] is what a program holds; the [Store] behind it keeps the records
// (registrysql in a database, registrymem in memory) and an artifact.Store
// keeps the bytes. A version is the digest of a bundle, so that it can be moved,
// copied and checked anywhere.
//
// # Versions, states, aliases
//
// Versions are numbered 1, 2, 3 … within a model and never change or go away;
// only a version's state does: candidate, approved, rejected, archived. What is
// served is told by aliases alone, above all by [Champion]; none can be pointed at
// a version that is rejected or archived. A model has an id, to which all else
// refers, so that it can be renamed.
//
// An alias moves by compare-and-set: whoever moves it says where it points now,
// and of several who move it at once one wins and the others get ErrConflict. A
// move returns the alias with its Seq, a number that rises with every move: give
// it back as Change.Token, and a move is also refused when the alias was moved
// away and back meanwhile; give it to what the move decides about, and that can
// refuse whoever holds an older one.
//
// Setting what already is, is a no-op without an event: an alias to the version
// it points at, an alias away that does not exist, a state that the version is
// in, a version under the key that has it. So a step of a durable workflow may
// be done again after a crash.
//
// # The audit trail
//
// Each change is stored with an event, both or neither. Events are never
// changed or deleted, and each holds a hash over the one before it and over all
// that decides what is served: the model's id and name, a version's digest, key
// and lineage, its state, where each alias points. [Client.VerifyAudit] checks
// the chain and compares the tables with it; [Client.Resolve] and [Client.Load]
// check the version and the alias that they use against the events that made
// them.
//
// Whoever can write to the database can also compute a whole new chain, or cut
// off its end. [Client.AuditHead] is a small value to keep elsewhere, signed with
// a key of yours if you like ([Head.Sign]); VerifyAudit tells whether the trail
// still continues it.
package registry
