package train_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/train"
	"github.com/mlloop/mlloop/train/feature"
	"github.com/mlloop/mlloop/train/frame"
	"github.com/mlloop/mlloop/train/metric"
	"github.com/mlloop/mlloop/train/model"
)

// customers returns a table in which those who pay much and call little stay.
func customers() *frame.Table {
	var csv strings.Builder
	csv.WriteString("pays,calls,plan,stays\n")
	for i := range 400 {
		pays, calls := i*37%100, i*61%89
		fmt.Fprintf(&csv, "%d,%d,%s,%t\n", pays, calls, []string{"basic", "plus"}[i%2], pays > calls)
	}
	table, err := frame.ReadCSV(strings.NewReader(csv.String()), nil)
	if err != nil {
		panic(err)
	}
	return table
}

func Example() {
	b, err := train.MLP{Hidden: []int{16}, Batch: 32}.Fit(context.Background(), train.Job{
		Data: customers(), Label: "stays", Seed: 1, Now: time.Unix(1_700_000_000, 0),
		Features: feature.Pipeline{feature.Standardize(), feature.OneHot("plan")},
	})
	if err != nil {
		panic(err)
	}
	for _, f := range b.Files() {
		fmt.Println(f.Path)
	}
	data, err := b.ReadFile(bundle.EvaluationPart)
	if err != nil {
		panic(err)
	}
	evaluation, err := metric.DecodeEvaluation(data)
	if err != nil {
		panic(err)
	}
	accuracy, _ := evaluation.Get(metric.NameAccuracy)
	fmt.Println("better than 0.9 on", accuracy.N, "later rows:", accuracy.Value > 0.9)
	// Output:
	// MLmodel
	// evaluation.json
	// features.json
	// model.json
	// profile.json
	// weights.safetensors
	// better than 0.9 on 40 later rows: true
}

// majority always answers with the label that most rows have.
type majority struct{}

func (majority) Fit(_ context.Context, job train.Job) (*bundle.Bundle, error) {
	data, err := train.Prepare(job, 0.1)
	if err != nil {
		return nil, err
	}
	k, width := len(data.Classes), data.Train.X.Cols
	layer := model.Dense{In: width, Out: k, W: make([]float32, width*k), B: make([]float32, k), Activation: model.Identity}
	for _, y := range data.Train.Y {
		layer.B[y] += 1 / float32(len(data.Train.Y))
	}
	return train.Pack(job, train.Result{
		Classifier: &model.Classifier{Layers: []model.Dense{layer}, Classes: data.Classes},
		Features:   data.Features,
	})
}

// A trainer of one's own takes Prepare for the way in and Pack for the way out.
func ExamplePack() {
	var trainer train.Trainer = majority{}
	b, err := trainer.Fit(context.Background(), train.Job{
		Data: customers(), Label: "stays", Inputs: []string{"pays", "calls"}, Now: time.Unix(1_700_000_000, 0),
	})
	if err != nil {
		panic(err)
	}
	for _, in := range b.Signature().Inputs {
		fmt.Println("in ", in.Name, in.Datatype, in.Shape)
	}
	for _, out := range b.Signature().Outputs {
		fmt.Println("out", out.Name, out.Datatype, out.Shape)
	}
	// Output:
	// in  pays INT64 [-1]
	// in  calls INT64 [-1]
	// out label BOOL [-1]
	// out probability FP64 [-1 2]
}

// Any command that leaves a bundle is a trainer.
func ExampleExec() {
	_, err := train.Exec("no-such-python", "fit.py").Fit(context.Background(), train.Job{
		Data: customers(), Label: "stays", Now: time.Unix(1_700_000_000, 0),
	})
	fmt.Println(err)
	// Output: train: exec no-such-python: exec: "no-such-python": executable file not found in $PATH
}
