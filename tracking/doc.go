// Package tracking records what was tried and what came of it: experiments,
// their runs, and each run's params, metrics, tags, data sets and files.
//
//	store, err := trackingsql.Open(ctx, "sqlite:runs.db", nil)
//	defer store.Close()
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
// queue and return at once; one goroutine sees that the queue is written to the
// store in batches. If the process dies, at most the records of the last
// [Options.FlushInterval] are lost: more only while the store is slow or cannot
// be reached, and never more than twice [Options.QueueSize], which is what waits
// at most.
//
// A record that finds the queue full is dropped and counted, and Finish says how
// many were, or it waits for room as [Options.QueueWait] lets it. A store that is
// Unavailable is tried for ever. A record that it refuses is dropped alone, and
// named by Finish. A store that fails without a kind of error is tried for a
// minute, then what it does not take is dropped, and Finish says so.
//
// # Many handles
//
// A run may have several handles, in several processes. The first to end it
// ends it for all: its status is final. What the others logged before is stored
// all the same.
package tracking
