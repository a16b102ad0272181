package metric_test

import (
	"fmt"

	"github.com/mlloop/mlloop/train/metric"
)

func Example() {
	s := metric.Scores{
		Labels:        []int{0, 0, 0, 1, 1, 1},
		Probabilities: []float64{0.9, 0.1, 0.4, 0.6, 0.8, 0.2, 0.3, 0.7, 0.1, 0.9, 0.45, 0.55},
		Classes:       2,
	}
	auc, err := metric.AUC(s, nil)
	fmt.Printf("%.2f [%.2f, %.2f] %v\n", auc.Value, auc.Low, auc.High, err)
	// Output: 0.89 [0.58, 1.00] <nil>
}

func ExampleDifference() {
	labels := []int{0, 1, 0, 1, 0, 1, 0, 1}
	champion := metric.Scores{Labels: labels, Classes: 2, Probabilities: []float64{
		.6, .4, .6, .4, .4, .6, .2, .8, .7, .3, .6, .4, .9, .1, .4, .6}}
	challenger := metric.Scores{Labels: labels, Classes: 2, Probabilities: []float64{
		.7, .3, .3, .7, .6, .4, .1, .9, .9, .1, .6, .4, .9, .1, .2, .8}}
	weeks := []int{1, 1, 2, 2, 3, 3, 4, 4} // rows of one week are not independent

	d, err := metric.Difference("log_loss", challenger, champion, &metric.Options{Blocks: weeks})
	fmt.Printf("%.2f, lower by %.2f at least: %s %v\n", d.Value, -d.High, d.Method, err)
	// Output: -0.22, lower by 0.13 at least: paired bootstrap of 4 blocks <nil>
}

func ExampleByName() {
	m, err := metric.ByName("log_loss")
	fmt.Println(m.Name, m.HigherBetter, err)
	// Output: log_loss false <nil>
}
