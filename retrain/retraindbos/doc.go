// Package retraindbos runs the loop's workflows on DBOS Transact, so that a
// retraining survives kill -9 and the next release of the service: steps whose
// results were recorded are not run again.
//
//	engine := retraindbos.New(db, nil) // a *sqlstore.DB, of SQLite or PostgreSQL
//	err := engine.Register("retrain", workflow)
//	err = engine.Launch(ctx) // what an earlier life left unfinished goes on
//	err = engine.Start(ctx, "retrain", "churn/7", input)
//	result, err := engine.Wait(ctx, "churn/7")
//
// retrainsql.Open puts one on the database of the loop's other stores.
//
// # Versions of the program
//
// Any version may go on with any workflow whose name it registers, under this
// rule: a step is known by its name, wherever it stands. Each execution of a
// workflow is a DBOS workflow of its own, named by the id with #1, #2 … behind it.
// A later one begins at the top with the steps that the earlier ones recorded. A
// step that a release puts in runs, one that it leaves out is passed over, one
// that it moves gives what was recorded. A step that does another thing than
// before, or reads another form of its input, needs a new name. During a rolling
// update the old release and the new one may each run a workflow's steps in turn.
//
// # Many processes
//
// Several processes may share the database. One of them runs a workflow; when
// it is closed, or killed on the same machine, another live one takes the workflow
// up at once, otherwise when it was silent for Options.Lease. Clocks are not
// compared. A process that only hung may then still be in a step that the other
// runs too; what it records afterwards is discarded. While the database is away
// everything waits, and goes on by itself within half a minute of its return.
//
// What decides is an id that each Engine draws for itself. DBOS's environment
// variables DBOS__VMID and DBOS__APPVERSION change nothing: several processes may
// have the same.
//
// # The database
//
// DBOS keeps its own tables (workflow_status, operation_outputs and others): on
// SQLite in the file, whatever the prefix, so that ids must differ; on PostgreSQL in a schema of their own,
// see Options.Schema, which Launch creates with them. There the engine has a few
// connections of its own beside the pool's, made as those are. One of them listens
// (LISTEN), which PgBouncer's transaction pooling does not pass on; nothing here
// waits for a notification, all that comes from other processes is polled for.
// Engine.Forget keeps the tables small.
package retraindbos
