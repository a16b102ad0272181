// Package servesql keeps predictions, labels and routes in a SQL database, SQLite
// or PostgreSQL:
//
//	predictions, err := servesql.Open(ctx, "postgres://ml@db/shop", nil) // or sqlite:loop.db
//	srv := serve.New(models, &serve.Options{Log: predictions})
//
// New takes a database that other stores are on too, or the service's own pool;
// WithTx works inside the service's own transaction. See package sqlstore.
//
// The tables are {prefix}serve_prediction, _label, _model, _route and _schema. A
// prediction's features and outputs are JSON arrays, whose columns are stored once
// in _schema. The view {prefix}serve_log shows it all to people, features and
// outputs as JSON objects:
//
//	sqlite3 loop.db 'SELECT time, id, status, features, outputs, label FROM mlloop_serve_log LIMIT 10'
//
// # Many processes
//
// Several processes may log to one database and read it by its cursors. Whoever
// changes the log of a model first locks its row in _model, which also holds the
// numbers that were given last, and keeps it until the transaction is committed.
// So Seq has no gaps when it is given, no row becomes readable after one with a
// higher Seq, and a cursor skips nothing. What it costs: writers of one model
// commit one after the other, each batch waiting for the disk; they do not wait
// for those of other models, nor readers for anybody, and the server's log brings
// up to 512 rows at once. A transaction of the service's own that wrote to a log
// holds up the model's other writers until it ends.
//
// Sequence numbers are never given again, so that cursors stay valid after an
// erasure. Only this package links a SQL driver, not serve itself.
package servesql
