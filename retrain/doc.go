// Package retrain keeps a model right: it serves it, watches it, retrains it,
// compares it and rolls it out, in the process of the service that uses it.
//
//	stores, err := retrainsql.Open(ctx, "sqlite:loop.db", nil)
//	loop, err := retrain.New(retrain.Config{
//		Model:  "churn",
//		Stores: stores,
//		Data:   retrain.Query(appDB, "SELECT * FROM customers WHERE seen_at >= ?", retrain.Ago(120*24*time.Hour)),
//		Time:   "seen_at", Entity: "customer_id", Label: "churned", LabelDelay: 30 * 24 * time.Hour,
//		Labels:   retrain.LabelQuery(appDB, "SELECT prediction_id, churned, known_at FROM outcomes WHERE known_at > ?"),
//		Features: feature.Pipeline{feature.Impute(), feature.Standardize(), feature.OneHot("plan")},
//		Trainer:  train.MLP{Hidden: []int{32, 16}},
//		Gates:    []retrain.Gate{retrain.NonInferior("log_loss", 0.02), retrain.SmokeTest()},
//		Triggers: []retrain.Trigger{retrain.OnDrift(), retrain.OnDecay("auc", 0.03), retrain.Cron("0 3 * * 1")},
//		Rollout:  retrain.ShadowThenCanary(0.05, 0.25, 1),
//		Alerts:   []alert.Sender{alert.Slack(url, nil)},
//	})
//	mux.Handle("/v2/", loop.Handler()) // predictions, feedback, health
//	mux.Handle("/metrics", loop.Metrics()) // Prometheus text
//	return loop.Run(ctx)               // until ctx is done
//
// # Steps
//
// A Loop moves in steps. A step makes the traffic follow the champion's alias,
// makes the prediction log durable and reads what is new in it, fetches labels,
// compares what was asked lately with the champion's reference profile, moves a
// rollout on, and begins a retraining when a trigger wants one and the Policy
// permits it. Run steps by the clock; Step lets a test, a replay or a scheduler do
// it at the times of its own choice, and then everything the loop decides depends
// on data, seed and those times alone. Parts of a step fail on their own: Status
// and an event tell of them, and the others go on.
//
// A retraining goes validate → train → evaluate → compare → register, then
// shadow → canary → promote or roll back. The first five are one durable workflow
// of an Engine, which runs beside the steps: a step begins it, a later one looks at
// it, and a process that is killed goes on where it was. Labels are used only
// once they can be known: LabelDelay after their row.
//
// What a step decides is a pure function of facts (decide.go). The decision is
// stored before anything of it shows, and one runner carries it out
// (transition.go): a life that follows does not judge anew. A person may move the
// champion's alias at any time; the loop follows, and gives up a challenger that
// was compared with another champion.
//
// # Verdicts
//
// A verdict passes, fails, or is inconclusive, and says how many rows would
// tell; package judge has the statistics. Nothing is judged on rows that either
// model was fitted on, nor within LabelDelay after them. Gates judge on held-out
// rows. The shadow is judged by non-inferiority on live rows that both answered,
// in a few looks that share one level. The canary is watched from its first call
// on, by tests that hold however often one looks: failed calls, slow ones, and
// labels as they come; harm rolls it back at that step. What could not be judged
// is not promoted, unless the configuration says GoOn, and then an event says
// "unjudged".
//
// # Many processes
//
// Any number of processes may run the loop of one model on one database, and a
// rolling update is no more than that. One of them leads: it holds a lease
// (Config.Lease, 10 s) with a token that rises with each new leader, and its steps
// alone do something. The others serve, follow the route, log what they answered
// and take labels; a person's wish may be asked of any of them. A leader whose Run
// returns, or that is closed, hands over at once; one that is killed, or that
// stands still, is followed by another within 15 s, which goes on with what was
// decided. What is written carries the writer's token and is a compare-and-set:
// whoever has lost the lease writes nothing any more, however late it wakes, and
// moves no alias. Status says who leads. Follow is for processes that only serve:
// they need neither data nor a trainer.
//
// # On record
//
// A retraining keeps the configuration that it was begun under: gates, rollout,
// policy, features, trainer with its settings, and the program's revision, as JSON
// under its digest (Store.Config). It is judged by that one, also when a process
// with another one leads by then; an event says what changed. Trace tells of one
// prediction what was asked, which version answered, what that was made from, how
// it was judged, and who made it champion.
//
// # At the wheel
//
// Pause, RollBack, Promote, Retrain and ResetFailures are for people;
// Config.Mode Recommend leaves every promotion to them. Config.Alerts are told
// what happened, at least once each.
//
// Every part can be replaced by the service's own: Source, LabelSource, Trainer,
// Gate, Trigger, alert.Sender, Store and Engine are interfaces.
package retrain
