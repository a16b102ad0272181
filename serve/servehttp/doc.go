// Package servehttp answers for a serve.Server over HTTP:
//
//	listener, err := servehttp.Listen(ctx, ":8080")
//	err = servehttp.Serve(ctx, listener, servehttp.New(srv, nil), nil)
//
// A Handler can also be mounted in a service's own mux, at "/" or at "/v2/",
// and served by its own http.Server: it bounds by itself how large a body is,
// and how slowly a client may send it or take the answer.
//
// The wire is the Open Inference Protocol v2, REST, with the binary tensor
// data extension, which Triton, KServe, MLServer and their clients speak:
//
//	GET  /v2                                              server metadata
//	GET  /v2/health/live, /v2/health/ready
//	GET  /v2/models                                       names of the models
//	GET  /v2/models/{model}[/versions/{version}]          metadata: inputs, outputs, versions
//	GET  /v2/models/{model}[/versions/{version}]/ready
//	POST /v2/models/{model}[/versions/{version}]/infer    prediction
//	POST /v2/models/{model}/feedback                      labels by prediction id
//
// An inference request's id names the prediction: labels come under it, and a
// request that is sent again is logged once. The request parameter "key", or
// the header X-Mlloop-Key, keeps a caller on one side of a traffic split;
// without it the id decides. The response says in "model_version" and in the
// parameter "variant" who answered; with the parameter "fallback" it was the
// primary, in the place of a canary that failed.
//
//	curl localhost:8080/v2/models/churn/infer -d '{"id":"r1","inputs":[
//	    {"name":"age","datatype":"FP64","shape":[1],"data":[42]}]}'
//	curl localhost:8080/v2/models/churn/feedback -d '{"labels":[{"id":"r1","value":"stays"}]}'
//
// JSON has no NaN: in inputs and outputs of floating-point types null stands
// for it. Anywhere else null is as good as leaving the member out. Bodies may
// come packed by gzip or deflate. Every error is {"error": text}, with status
// 400 for a request that breaks a rule, 404 for an unknown model, version or
// prediction, 408 for a body that stops on its way, 409 for a label that
// contradicts a stored one, 413 for a body beyond the limit, 415 for one packed
// otherwise, 501 for what the release cannot do, 503 while nothing is loaded and,
// from the readiness endpoints, after Drain, 504 past the deadline.
package servehttp
