// Package train fits models.
//
//	b, err := train.MLP{Hidden: []int{64, 32}}.Fit(ctx, train.Job{
//		Data: table, Label: "churned", Seed: 1, Now: time.Now(),
//		Features: feature.Pipeline{feature.Impute(), feature.Standardize(), feature.OneHot("plan")},
//		Run:      run, // a tracking run, or nil
//	})
//	if err != nil {
//		return err
//	}
//	err = b.WriteDir(ctx, "model")
//
// A [Trainer] makes a bundle of a [Job]: everything that serving and monitoring
// need, in one folder. [MLP] is a feed-forward classifier fitted on a gorgonia
// graph; [Exec] runs any command that leaves a bundle. A trainer of your own
// takes [Prepare] for the way in (splits, features, class indices) and [Pack] for
// the way out, and is checked by traintest.Run.
package train
