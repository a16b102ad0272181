package tracking_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/mlloop/mlloop/tracking"
	"github.com/mlloop/mlloop/tracking/artifact"
	"github.com/mlloop/mlloop/tracking/trackingmem"
	"github.com/mlloop/mlloop/tracking/trackingsql"
)

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// fit stands for one step of training.
func fit(step int) (loss float64) { return 1 / float64(step+1) }

func Example() {
	ctx := context.Background()
	folder, err := os.MkdirTemp("", "runs")
	check(err)
	defer os.RemoveAll(folder)
	const steps = 4

	store, err := trackingsql.Open(ctx, "sqlite:"+filepath.Join(folder, "runs.db"), nil)
	check(err)
	defer store.Close()
	runs := tracking.New(store, nil)
	defer runs.Close(ctx) // drains
	run, err := runs.Start(ctx, "churn", &tracking.RunOptions{Name: "mlp"})
	check(err)
	run.LogParams(map[string]string{"lr": "1e-3"})
	for step := range steps {
		run.LogMetric("loss", fit(step), int64(step)) // never blocks, never fails training
	}
	check(run.Finish(ctx)) // everything durable

	stored, err := runs.Run(ctx, run.ID())
	check(err)
	fmt.Println(stored.Name, stored.Status, stored.Params, stored.Metrics["loss"].Value)
	// Output: mlp FINISHED map[lr:1e-3] 0.25
}

func ExampleClient_AllRuns() {
	ctx := context.Background()
	runs := tracking.New(trackingmem.New(), nil)
	defer runs.Close(ctx)
	for _, lr := range []string{"0.1", "0.01"} {
		run, err := runs.Start(ctx, "churn", &tracking.RunOptions{ID: "lr-" + strings.ReplaceAll(lr, ".", "_")})
		check(err)
		run.LogParam("lr", lr)
		check(run.Finish(ctx))
	}

	for run, err := range runs.AllRuns(ctx, tracking.RunQuery{Statuses: []tracking.Status{tracking.Finished}}) {
		check(err)
		fmt.Println(run.ID, run.Params["lr"])
	}
	// Unordered output:
	// lr-0_01 0.01
	// lr-0_1 0.1
}

func ExampleRun_LogArtifact() {
	ctx := context.Background()
	runs := tracking.New(trackingmem.New(), &tracking.Options{Artifacts: artifact.Memory()}) // or artifact.Dir("artifacts")
	defer runs.Close(ctx)
	run, err := runs.Start(ctx, "churn", nil)
	check(err)
	check(run.LogArtifact(ctx, "report.txt", strings.NewReader("all good"))) // durable

	content, err := run.Artifact(ctx, "report.txt")
	check(err)
	defer content.Close()
	text, err := io.ReadAll(content) // checks the digest
	check(err)
	fmt.Println(string(text))
	// Output: all good
}

// A step that is done again after a crash goes on in the same run.
func ExampleClient_Start_resume() {
	ctx := context.Background()
	store := trackingmem.New()
	before := tracking.New(store, nil)
	_, err := before.Start(ctx, "churn", &tracking.RunOptions{ID: "churn-7"})
	check(err)
	check(before.Close(ctx)) // the run has not ended

	after := tracking.New(store, nil)
	defer after.Close(ctx)
	run, err := after.Start(ctx, "churn", &tracking.RunOptions{ID: "churn-7"})
	check(err)
	check(run.Finish(ctx))
	_, err = after.Start(ctx, "churn", &tracking.RunOptions{ID: "churn-7"})
	fmt.Println(err)
	// Output: tracking: start run in "churn": run churn-7 is FINISHED: a run that has ended cannot go on, choose another id
}
