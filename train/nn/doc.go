// Package nn fits feed-forward classifiers on gorgonia graphs.
//
//	net, err := nn.NewNetwork(classifier, 128) // a train/model Classifier; its weights are fitted in place
//	if err != nil {
//		return err
//	}
//	defer net.Close()
//	adam := nn.Adam{LearningRate: 0.01, WeightDecay: 0.1}
//	for batch := range batches { // row numbers
//		loss, err := net.Backward(x, classes, batch)
//		if err != nil {
//			return err
//		}
//		if err := adam.Step(net.Params(), net.Grads()); err != nil {
//			return err
//		}
//	}
//
// A [Network] is the whole; its pieces are gorgonia operations that any graph
// can use: [Dense], a fully connected layer with its activation in one node,
// [SoftmaxCrossEntropy], and [Tensor], the value they compute on. gorgonia's own
// Grad differentiates them and its own tape machine runs them. Each operation
// keeps the buffer of its result, so a step allocates no arrays. All of it runs
// on one core and in one order: the same input gives the same bits on the same
// machine. A panic inside an operation, or in gorgonia while it builds a graph,
// comes back as an error.
package nn
