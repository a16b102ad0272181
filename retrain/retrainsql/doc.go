// Package retrainsql keeps a whole loop on one SQL database, SQLite or
// PostgreSQL.
//
//	stores, err := retrainsql.Open(ctx, "sqlite:loop.db", nil) // or postgres://…
//	defer stores.Close(ctx)
//	loop, err := retrain.New(retrain.Config{Model: "churn", Stores: stores, …})
//
// Open gives the tracking runs, the registry, the prediction log, the alerts,
// the loop's own records, the artifacts and the engine of the workflows; OpenDB
// the same on the service's own pool. Options.Artifacts keeps the artifacts
// elsewhere. New gives the store of the loop's records alone.
//
// # Backups
//
// Stores.Backup writes a folder, and Restore brings one into an empty database of
// either dialect. The folder has three parts, of format 1:
//
//   - artifacts, an artifact.Dir with every artifact that a run or a version names.
//   - rows.jsonl.gz, a line of JSON each: {"table":…,"columns":[…]} begins a table,
//     whose rows follow as arrays, in the order of its key; {"artifact":…,"size":…}
//     names an artifact; {"end":true} comes last. Integers have neither point nor
//     exponent, other numbers have one of them. {"f":"NaN"} stands for a number
//     that is not finite, {"b":…} for bytes and {"t":…} for a text that is no UTF-8,
//     both in base64. Columns are sorted by name, and names have no prefix.
//   - manifest.json, written last: the versions of the tables, of each table the
//     number of rows and the sum of their SHA-256 modulo 2^256, the heads of the
//     audit trails, the SHA-256 of the file of rows.
//
// All rows are of one moment (one snapshot: a transaction of its own, repeatable
// read on PostgreSQL), which keeps SQLite's log from being truncated, and
// PostgreSQL from cleaning up what is deleted meanwhile. Backups of earlier
// releases are restored by later ones: the rows go into tables of their version,
// which are then brought up to date.
//
// Left out is what the engine keeps of workflows: after a restore a fit that was
// under way begins anew, under its old id.
package retrainsql
