// Package traintest helps to test code that fits models, and checks
// implementations of train.Trainer.
//
// A unit test of code that fits needs no gorgonia and a few milliseconds:
//
//	func TestRetrain(t *testing.T) {
//		var trainer traintest.Fake // answers with true bundles
//		retrainChurn(t.Context(), &trainer)
//		require.Len(t, trainer.Jobs(), 1)
//	}
//
// The test of a trainer is one call:
//
//	func TestTrainer(t *testing.T) {
//		traintest.Run(t, func(t *testing.T) train.Trainer { return mytrainer.New() }, nil)
//	}
package traintest
