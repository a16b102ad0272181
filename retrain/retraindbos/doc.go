// Package retraindbos runs the loop's workflows on DBOS Transact, so that a
// retraining survives kill -9 and the next release of the service: steps whose
// results were recorded are not run again.
//
//	engine := retraindbos.New(db, retraindbos.SQLite, nil)
//	err := engine.Register("retrain", workflow)
//	err = engine.Launch(ctx) // what an earlier life left unfinished goes on
//	err = engine.Start(ctx, "retrain", "churn/7", input)
//	result, err := engine.Wait(ctx, "churn/7")
//
// retrainsql.Open puts one on the database of the loop's other stores. DBOS
// keeps its own tables there (workflow_status, operation_outputs and others).
//
// Each execution of a workflow is a DBOS workflow of its own, named by the id
// with #1, #2 … behind it. A later one begins with the steps that the earlier
// ones recorded, found by their names: a new release may add, drop and move steps.
// A changed step needs a new name, where its old results must not be used.
//
// Several processes may share the database. One of them runs a workflow; when
// it is closed, or killed on the same machine, another takes the workflow up at
// once, otherwise when it was silent for Options.Lease. A process that only
// hung may then still be in a step that the other runs too; what it records
// afterwards is discarded.
package retraindbos
