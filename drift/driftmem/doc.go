// Package driftmem keeps a monitor's checkpoints and alerts in memory: for
// tests, and the executable specification of drift.Store.
//
//	store := driftmem.New()
//	err := store.Save(ctx, checkpoint, monitor.Check(now))
package driftmem
