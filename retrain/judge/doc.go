// Package judge holds the statistics by which a challenger is judged against a
// champion, apart from the machine that acts on them. It reads no clock and no
// store, and draws no random numbers: the same rows give the same judgement.
//
//	j, err := judge.NonInferior(metric.NameLogLoss, challenger, champion, 0.01, nil)
//	j.Outcome // Pass, Fail or Inconclusive
//	j.Reason  // "log_loss differs by -0.0021 [-0.0061, +0.0019] on 2000 rows …"
//
// # Models on the same rows
//
// NonInferior, NoHarm and Superior judge two models that answered the same
// held-out or shadowed rows, given in the order of time. Each has three outcomes;
// no data, and too little, are Inconclusive and say how many rows would do.
// RowsFor says it before there is a challenger. They are to be asked when the
// rows are complete: asking again with every new row until one passes has no level.
//
// Neighbouring rows are seldom independent. The interval comes from the means of
// blocks, at most 64 and at least 8, whose length is doubled until longer blocks
// give no larger variance. Where even the longest do, the rows depend on each
// other for too long, and the judgement is inconclusive. So it is on fewer than 30
// rows, and for AUC with fewer than 20 rows of a class. Independent rows, too, look
// dependent now and then: about one judgement in seventeen (of Final, one in ten)
// is inconclusive for that alone, however many rows there are.
//
// # A canary and a primary
//
// Rates, Latency and Losses compare two arms that answer different calls, and
// may be looked at after every call: the probability of a false verdict holds for
// the whole run. Calls are compared with those of the same time, so that what
// befalls both arms alike is no harm. Final reads a canary out once at its end.
//
// # What was shown
//
// The tables in docs/judgement.md give how often each judgement errs and finds
// out, on independent, autocorrelated, seasonal and heavy-tailed rows. They are
// printed, and their levels demanded, by
//
//	go test ./retrain/judge -run Tables -judge.sims=10000 -timeout 90m -v
//
// What no number of rows protects from is harm that the rows do not contain: a
// challenger whose rare, large losses have not come yet.
package judge
