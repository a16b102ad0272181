// Package retrain keeps a model right: it serves it, watches it, retrains it,
// compares it and rolls it out, in the process of the service that uses it.
//
//	stores, err := retrainsql.Open(ctx, "sqlite:loop.db", nil)
//	loop, err := retrain.New(retrain.Config{
//		Model:  "churn",
//		Stores: stores,
//		Data:   retrain.Query(appDB, "SELECT * FROM customers WHERE seen_at >= ?", retrain.Ago(90*24*time.Hour)),
//		Time:   "seen_at", Key: "customer_id", Label: "churned", LabelDelay: 30 * 24 * time.Hour,
//		Features: feature.Pipeline{feature.Impute(), feature.Standardize(), feature.OneHot("plan")},
//		Trainer:  train.MLP{Hidden: []int{32, 16}},
//		Gates:    []retrain.Gate{retrain.NotWorse("auc", 0.01), retrain.SmokeTest()},
//		Triggers: []retrain.Trigger{retrain.OnDrift(), retrain.OnDecay("auc", 0.03), retrain.Cron("0 3 * * 1")},
//		Rollout:  retrain.ShadowThenCanary(0.05, 0.25, 1),
//	})
//	mux.Handle("/v2/", loop.Handler()) // predictions, feedback, health
//	return loop.Run(ctx)               // until ctx is done
//
// A Loop moves in steps. A step makes the prediction log durable, compares what
// was asked lately with the champion's reference profile, moves a rollout on,
// and starts a retraining when a trigger wants one and the Policy permits it.
// Run steps by the clock; Step lets a test, a replay or a scheduler do it at the
// times of its own choice, and then everything the loop decides depends on data,
// seed and those times alone.
//
// A retraining goes validate → train → evaluate → compare → register, then
// shadow → canary → promote or roll back. Each arrow is a durable step of an
// Engine: a process that is killed goes on where it was. Labels are used only
// once they can be known: LabelDelay after their row.
//
// Decisions are durable before anything of them shows: a life that follows
// carries out what was decided and does not judge anew. A person may move the
// champion's alias at any time; the loop follows, and gives up a challenger that
// was compared with another champion.
//
// Every part can be replaced by the service's own: Source, Trainer, Gate,
// Trigger, Store and Engine are interfaces.
package retrain
