// Package servemem keeps predictions, labels and routes in memory:
//
//	srv := serve.New(models, &serve.Options{Log: servemem.New()})
//
// It is what unit tests use, and the executable specification of serve.Store:
// plain maps behind one mutex, against which servesql is compared in random
// sequences of operations. Everything is lost with the process.
package servemem
