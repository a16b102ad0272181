// Package servesql keeps predictions, labels and routes in a SQL database:
//
//	predictions, err := servesql.Open(ctx, "sqlite:loop.db", nil)
//	srv := serve.New(models, &serve.Options{Log: predictions})
//
// The tables are {prefix}serve_prediction, _label, _route and _schema; they live
// beside the other stores' tables in one file. A prediction's features are one
// compact value, whose columns are stored once in _schema; everything else is
// plain columns that any SQL tool reads. Only this package links a SQL driver,
// not serve itself.
package servesql
