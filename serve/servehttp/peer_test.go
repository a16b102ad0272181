package servehttp_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/registry/bundle"
	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/serve/servehttp"
	"github.com/mlloop/mlloop/serve/servetest"
	"github.com/mlloop/mlloop/train/frame"
)

// TestTritonClient has NVIDIA's Python client ask the server, in JSON and in
// binary form. MLLOOP_PEER_PYTHON names a Python that has tritonclient[http].
func TestTritonClient(t *testing.T) {
	python := os.Getenv("MLLOOP_PEER_PYTHON")
	if python == "" {
		t.Skip("MLLOOP_PEER_PYTHON names no Python with tritonclient[http]")
	}
	var sig bundle.Signature
	for _, in := range []bundle.TensorSpec{
		{Name: "a", Datatype: "FP64", Shape: []int64{-1}}, {Name: "b", Datatype: "FP32", Shape: []int64{-1, 2}},
		{Name: "c", Datatype: "INT64", Shape: []int64{-1}}, {Name: "s", Datatype: "BYTES", Shape: []int64{-1}}, {Name: "t", Datatype: "BOOL", Shape: []int64{-1}},
	} {
		sig.Inputs = append(sig.Inputs, in)
		in.Name = "out_" + in.Name
		sig.Outputs = append(sig.Outputs, in)
	}
	srv := serve.New(nil, nil)
	require.NoError(t, srv.Add("peer", 3, servetest.Func{Sig: sig, F: func(_ context.Context, in []frame.Tensor) ([]frame.Tensor, error) {
		out := append([]frame.Tensor(nil), in...)
		for i := range out {
			out[i].Name = "out_" + out[i].Name
		}
		return out, nil
	}}))
	require.NoError(t, srv.SetRoute(t.Context(), serve.Route{Model: "peer", Primary: 3}))

	l, err := servehttp.Listen(t.Context(), "127.0.0.1:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- servehttp.Serve(ctx, l, servehttp.New(srv, nil), nil) }()
	out, err := exec.CommandContext(t.Context(), python, "testdata/peer_check.py", l.Addr().String()).CombinedOutput()
	require.NoError(t, err, string(out))
	require.Equal(t, "ok", strings.TrimSpace(string(out)))
	stop()
	require.NoError(t, <-ended)
}
