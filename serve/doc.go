// Package serve answers requests with the models that a registry holds:
//
//	srv := serve.New(models, &serve.Options{Log: predictions})
//	err := srv.Load(ctx, "churn@champion")
//	go srv.Run(ctx) // moving the alias moves the traffic
//	http.ListenAndServe(":8080", servehttp.New(srv, nil))
//
// A [Server] checks each request against the model's signature, runs a
// [Predictor] and logs every row of the answer: inputs, named outputs, version,
// variant, status, latency and the probability with which the variant was
// chosen. Logging is behind the request's back: a bounded queue and one
// goroutine, which commits many rows at once. What a crash may lose is what was
// answered within Options.FlushInterval; Flush makes it nothing. When the store
// is down requests are answered all the same, and Stats counts what the queue
// could not hold.
//
// A [Route] says who answers: a primary version; a canary, which gets a share
// of the keys, always the same ones; a shadow, which is asked beside and whose
// answers only the log sees. Routes live in the [Store] under compare-and-set
// and change in one step: versions are loaded first, requests in flight end on
// the version they began with, and no request is dropped or sees half a change.
// Several processes may serve one model: a route carries the token of the one that
// leads, so that a former one changes nothing any more, and [Server.Follow] has
// the others answer as the stored route says, a moment after it changed.
//
// No challenger harms a caller. A canary answers on a goroutine of its own
// within half of the caller's time; the primary answers in its place when it
// fails or is late, and one whose calls hang is taken off the traffic at once
// ([Server.Withdrawn]). A shadow has a bounded queue, workers and a deadline of
// its own; [Server.Drain] waits for it, [Server.AskShadow] makes good what was
// lost. Every failure leaves a row with its [Status], where inputs could be read,
// and counters in [Server.Metrics].
//
// The truth about a prediction comes later, under the request's id and the row's
// index in it, by [Server.Label]; [Store.Labels] returns it joined with the
// answer and the shadow's. The same id with the same inputs is answered again
// and logged once; with other inputs it is a further attempt, whose label is its
// own. A label with another value corrects the one before it.
//
// servehttp is the wire, servesql and servemem are stores, servetest has fakes
// and the suites of Store and Predictor. A program that imports serve alone
// links neither a SQL driver nor gorgonia.
package serve
