// Package servesql keeps predictions, labels and routes in a SQL database:
//
//	predictions, err := servesql.Open(ctx, "sqlite:loop.db", nil)
//	srv := serve.New(models, &serve.Options{Log: predictions})
//
// The tables are {prefix}serve_prediction, _label, _count, _route and _schema;
// they live beside the other stores' tables in one file. A prediction's features
// and outputs are JSON arrays, whose columns are stored once in _schema. The view
// {prefix}serve_log shows it all to people, features and outputs as JSON objects:
//
//	sqlite3 loop.db 'SELECT time, id, status, features, outputs, label FROM mlloop_serve_log LIMIT 10'
//
// Sequence numbers are never given again, so that cursors stay valid after an
// erasure. Only this package links a SQL driver, not serve itself.
package servesql
