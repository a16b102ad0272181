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
// served is told by aliases alone, above all by [Champion]. An alias moves by
// compare-and-set: whoever moves it says where it points now, and of several who
// move it at once one wins and the others get ErrConflict.
//
// Setting what already is, is a no-op without an event: an alias to the version
// it points at, an alias away that does not exist, a state that the version is
// in, a version under the key that has it. So a step of a durable workflow may
// be done again after a crash.
//
// # The audit trail
//
// Each change is stored with an event, both or neither. Events are never
// changed or deleted, and each holds a hash over the one before it, so that
// [Client.VerifyAudit] finds what was altered behind the registry's back.
package registry
