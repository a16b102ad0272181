// Package retraindbos runs the loop's workflows on DBOS Transact, so that a
// retraining survives kill -9: finished steps are not run again.
//
//	engine := retraindbos.New(db, retraindbos.SQLite, nil)
//	err := engine.Register("retrain", workflow)
//	err = engine.Launch(ctx) // resumes what an earlier life left unfinished
//	out, err := engine.Run(ctx, "retrain", "churn/7", input)
//
// retrainsql.Open puts one on the database of the loop's other stores. DBOS
// keeps its own tables there (workflow_status, operation_outputs and others).
package retraindbos
