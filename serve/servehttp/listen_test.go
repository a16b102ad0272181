package servehttp_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/serve/servehttp"
	"github.com/mlloop/mlloop/serve/servetest"
	"github.com/mlloop/mlloop/train/frame"
)

// TestServe: the address is told clearly when it is taken, and requests in
// flight end before Serve does.
func TestServe(t *testing.T) {
	l, err := servehttp.Listen(t.Context(), "127.0.0.1:0")
	require.NoError(t, err)
	_, err = servehttp.Listen(t.Context(), l.Addr().String())
	require.ErrorIs(t, err, serve.ErrUnavailable)
	require.ErrorContains(t, err, "the port is in use: choose another one, or stop the program that has it")
	_, err = servehttp.Listen(t.Context(), "nowhere")
	require.ErrorIs(t, err, serve.ErrInvalid)

	entered, release := make(chan struct{}), make(chan struct{})
	constant := servetest.Constant("stays")
	srv := servetest.New(t, "churn", servetest.Func{Sig: constant.Signature(), F: func(ctx context.Context, in []frame.Tensor) ([]frame.Tensor, error) {
		close(entered)
		<-release
		return constant.Predict(ctx, in)
	}}, nil)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- servehttp.Serve(ctx, l, servehttp.New(srv.Server, nil), nil) }()
	answered := make(chan int, 1)
	go func() {
		resp, err := http.Post("http://"+l.Addr().String()+"/v2/models/churn/infer", "application/json", strings.NewReader(inferX))
		if err != nil {
			answered <- 0
			return
		}
		_ = resp.Body.Close()
		answered <- resp.StatusCode
	}()
	<-entered
	stop()
	close(release)
	require.Equal(t, 200, <-answered)
	require.NoError(t, <-ended)
}
