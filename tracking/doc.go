// Package tracking records what was tried and what came of it: experiments,
// their runs, and each run's params, metrics, tags, data sets and files.
//
//	store, err := trackingsql.Open(ctx, "sqlite:runs.db", nil)
//	runs := tracking.New(store, nil)
//	defer runs.Close(ctx) // drains
//	run, err := runs.Start(ctx, "churn", &tracking.RunOptions{Name: "mlp"})
//	run.LogParam("lr", "1e-3")
//	run.LogMetric("loss", 0.31, 1) // never blocks, never fails training
//	err = run.Finish(ctx)          // everything durable
//
// A [Client] is what a program holds; the [Store] behind it keeps the data:
// trackingsql in a database, trackingmem in memory. The words and the limits
// are MLflow's, so that a run can be shown by any MLflow tool.
//
// # What is durable when
//
// Start, LogArtifact, Flush, Finish and Fail return when the store has
// committed. LogMetric, LogParam, SetTag and LogInput put a record in a bounded
// queue and return at once; one goroutine writes the queue to the store in
// batches. If the process dies, at most the records of the last
// [Options.FlushInterval] are lost (more only while the store cannot be
// reached, and never more than [Options.QueueSize]). Records that find the
// queue full are counted in Dropped.
package tracking
