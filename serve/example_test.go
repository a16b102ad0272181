package serve_test

import (
	"context"
	"fmt"
	"log"
	"net/http"

	"github.com/mlloop/mlloop/registry"
	"github.com/mlloop/mlloop/registry/registrymem"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/serve/servehttp"
	"github.com/mlloop/mlloop/serve/servemem"
	"github.com/mlloop/mlloop/tracking/artifact"
	"github.com/mlloop/mlloop/train/frame"
)

// Serving what the registry calls champion, over HTTP.
func Example() {
	ctx, stop := context.WithCancel(context.Background())
	models := churnRegistry(ctx)
	predictions := servemem.New() // or servesql.Open(ctx, "sqlite:loop.db", nil)
	mux := http.NewServeMux()

	srv := serve.New(models, &serve.Options{Log: predictions})
	if err := srv.Load(ctx, "churn@champion"); err != nil {
		log.Fatal(err)
	}
	running := make(chan error)
	go func() { running <- srv.Run(ctx) }() // moving the alias moves the traffic
	mux.Handle("/", servehttp.New(srv, nil))

	fmt.Println(srv.Models(), srv.Ready())
	stop()
	fmt.Println(<-running)
	// Output:
	// [churn] <nil>
	// <nil>
}

// The same predictor without a wire; the label comes later, by the request's id.
func ExampleServer_Predict() {
	ctx := context.Background()
	predictions := servemem.New()
	srv := serve.New(churnRegistry(ctx), &serve.Options{Log: predictions})
	defer srv.Close(ctx) // drains
	if err := srv.Load(ctx, "churn@champion"); err != nil {
		log.Fatal(err)
	}

	resp, err := srv.Predict(ctx, "churn", serve.Request{ID: "customer 7 in May", Inputs: []frame.Tensor{
		{Name: "age", Datatype: frame.FP64, Shape: []int64{1}, Data: []float64{33.5}},
		{Name: "plan", Datatype: frame.BYTES, Shape: []int64{1}, Data: []string{"pro"}},
	}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("version", resp.Version, "says", resp.Outputs[0].Data)

	report, err := srv.Label(ctx, "churn", []serve.LabelInput{{ID: "customer 7 in May", Value: frame.StringValue("goes")}})
	if err != nil || report.Stored != 1 {
		log.Fatal(report, err)
	}
	labelled, err := predictions.Labels(ctx, serve.LabelQuery{Model: "churn"})
	for _, p := range labelled {
		fmt.Println(p.Prediction.ID, p.Label().Text(), "was", p.Truth.Value.Text(), err)
	}
	// Output:
	// version 1 says [stays]
	// customer 7 in May stays was goes <nil>
}

// A challenger is first asked in the champion's shadow, then answers a quarter
// of the customers, each of whom stays on one side.
func ExampleServer_SetRoute() {
	ctx := context.Background()
	srv := serve.New(churnRegistry(ctx), nil)
	defer srv.Close(ctx)
	if err := srv.Load(ctx, "churn@champion"); err != nil {
		log.Fatal(err)
	}
	for _, change := range []serve.Route{{Shadow: 2}, {Canary: 2, Share: 0.25}} {
		route, err := srv.Route(ctx, "churn")
		if err != nil {
			log.Fatal(err)
		}
		change.Model, change.Primary, change.Rev = "churn", route.Primary, route.Rev
		if err := srv.SetRoute(ctx, change); err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%+v\n", change)
	}
	// Output:
	// {Model:churn Primary:1 Canary:0 Share:0 Shadow:2 Salt: Rev:1 Token:0}
	// {Model:churn Primary:1 Canary:2 Share:0.25 Shadow:0 Salt: Rev:2 Token:0}
}

// churnRegistry returns a registry with two versions of one model, the first
// of which is champion.
func churnRegistry(ctx context.Context) *registry.Client {
	models := registry.New(registrymem.New(), artifact.Memory(), nil)
	for range 2 {
		b, err := churnBundle(nil)
		if err != nil {
			log.Fatal(err)
		}
		if _, err := models.Register(ctx, "churn", b, nil); err != nil {
			log.Fatal(err)
		}
	}
	if _, err := models.Promote(ctx, "churn", 1, 0, registry.Change{Reason: "the first"}); err != nil {
		log.Fatal(err)
	}
	return models
}
