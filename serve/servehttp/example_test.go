package servehttp_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"strings"

	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/serve/servehttp"
	"github.com/mlloop/mlloop/serve/servemem"
	"github.com/mlloop/mlloop/serve/servetest"
)

// A server on a free port of the loopback, a prediction over HTTP, and its
// label afterwards.
func Example() {
	ctx, stop := context.WithCancel(context.Background())
	srv := churnServer(ctx)
	listener, err := servehttp.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- servehttp.Serve(ctx, listener, servehttp.New(srv, nil), nil) }()

	url := "http://" + listener.Addr().String() + "/v2/models/churn/"
	post(url+"infer", `{"id":"r1","inputs":[{"name":"x","datatype":"FP64","shape":[1],"data":[42]}]}`)
	post(url+"feedback", `{"labels":[{"id":"r1","value":"goes"}]}`)
	post(url+"infer", `{"inputs":[{"name":"y","datatype":"FP64","shape":[1],"data":[42]}]}`)
	stop()
	fmt.Println(<-ended, srv.Close(context.Background()))
	// Output:
	// {"model_name":"churn","model_version":"1","id":"r1","parameters":{"variant":"primary"},"outputs":[{"name":"label","datatype":"BYTES","shape":[1],"data":["stays"]},{"name":"probability","datatype":"FP64","shape":[1,1],"data":[1]}]}
	// {"accepted":1}
	// {"error":"serve: predict churn: input \"y\" is unknown; input \"x\" is missing; the model takes \"x\" FP64 [-1]"}
	// <nil> <nil>
}

// churnServer returns a server whose model says "stays" to everybody.
func churnServer(ctx context.Context) *serve.Server {
	srv := serve.New(nil, &serve.Options{Log: servemem.New()})
	if err := srv.Add("churn", 1, servetest.Constant("stays")); err != nil {
		log.Fatal(err)
	}
	if err := srv.SetRoute(ctx, serve.Route{Model: "churn", Primary: 1}); err != nil {
		log.Fatal(err)
	}
	return srv
}

// post prints what the server answers.
func post(url, body string) {
	resp, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(answer))
}
