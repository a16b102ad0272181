// Package model holds fitted feed-forward classifiers: their architecture,
// their weights and their forward pass. It is what serving runs, and knows
// nothing of how the weights were found.
//
//	c, err := model.Decode(architecture, weights) // the bundle's model.json and weights.safetensors
//	if err != nil {
//		return err
//	}
//	p, err := c.Probabilities(nil, x) // p[i*len(c.Classes)+j]: row i is of class j
//
// A [Classifier] is a chain of [Dense] layers with a softmax over its last
// outputs. train/nn fits one in place and calls the same [Dense.Forward], so
// that training and serving compute the same numbers.
package model
