package judge_test

import (
	"fmt"

	"github.com/mlloop/mlloop/retrain/judge"
	"github.com/mlloop/mlloop/train/metric"
)

func ExampleNonInferior() {
	// Both models answered the same rows; the champion is right on four of five.
	var champion, challenger metric.Scores
	champion.Classes, challenger.Classes = 2, 2
	for i := range 600 {
		y := i * 7 % 11 % 2
		p, q := 0.2, 0.2 // of the wrong class
		if i*13%29 < 6 {
			p = 0.6
		}
		if i*17%31 < 6 {
			q = 0.6
		}
		for s, wrong := range map[*metric.Scores]float64{&champion: p, &challenger: q} {
			s.Labels = append(s.Labels, y)
			row := []float64{wrong, wrong}
			row[y] = 1 - wrong
			s.Probabilities = append(s.Probabilities, row...)
		}
	}
	for _, rows := range []int{7, 60, 600} {
		a, b := challenger, champion
		a.Labels, a.Probabilities = a.Labels[:rows], a.Probabilities[:2*rows]
		b.Labels, b.Probabilities = b.Labels[:rows], b.Probabilities[:2*rows]
		j, err := judge.NonInferior(metric.NameAccuracy, a, b, 0.05, nil)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(j.Outcome)
	}
	// Output:
	// inconclusive
	// inconclusive
	// pass
}

func ExampleRates() {
	rates, err := judge.NewRates(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	for call := 1; rates.Judge().Outcome == judge.Inconclusive; call++ {
		rates.Add(judge.Primary, false)
		rates.Add(judge.Canary, call%10 != 0) // nine of ten fail
	}
	w := rates.Judge()
	fmt.Println(w.Outcome, w.Canary)
	fmt.Println(w.Reason)
	// Output:
	// fail 8
	// failure rate 1 on 8 of the challenger's against 0 on 8 of the primary's: more than 0.01 above is shown
}
