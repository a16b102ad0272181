package servehttp_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlloop/mlloop/serve"
	"github.com/mlloop/mlloop/serve/servehttp"
	"github.com/mlloop/mlloop/serve/servetest"
	"github.com/mlloop/mlloop/train/frame"
)

// pipes is a listener whose connections are net.Pipes, which keep the time of
// a synctest bubble and buffer nothing.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// dial connects and sends text.
func (p *pipes) dial(t *testing.T, text string) net.Conn {
	t.Helper()
	client, server := net.Pipe()
	p.conns <- server
	_, err := io.WriteString(client, text)
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// running is a Serve in a bubble.
type running struct {
	*pipes
	began time.Time
	stop  context.CancelFunc
	ended chan error
}

func start(t *testing.T, h http.Handler, opts *servehttp.ServeOptions) *running {
	ctx, stop := context.WithCancel(t.Context())
	r := &running{newPipes(), time.Now(), stop, make(chan error, 1)}
	go func() { r.ended <- servehttp.Serve(ctx, r.pipes, h, opts) }()
	return r
}

// end stops Serve and returns what it did and how long it took.
func (r *running) end() (time.Duration, error) {
	began := time.Now()
	r.stop()
	err := <-r.ended
	return time.Since(began), err
}

// answerOf reads one answer.
func answerOf(t *testing.T, c net.Conn) (int, string) {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(body)
}

// requireClosed reads until the end of a connection.
func requireClosed(t *testing.T, c net.Conn) {
	t.Helper()
	_, err := io.Copy(io.Discard, c)
	require.True(t, err == nil || errors.Is(err, io.ErrClosedPipe), err)
}

func request(body string) string {
	return fmt.Sprintf("POST /v2/models/m/infer HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// half is a request whose body has stopped.
const half = "POST /v2/models/m/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n{"

// hung is a model that answers when it is told to.
func hung(release <-chan struct{}) serve.Predictor {
	constant := servetest.Constant("stays")
	return servetest.Func{Sig: constant.Signature(), F: func(ctx context.Context, in []frame.Tensor) ([]frame.Tensor, error) {
		<-release
		return constant.Predict(ctx, in)
	}}
}

// bubble runs a test with a handler of model m in the time of synctest.
func bubble(t *testing.T, p serve.Predictor, opts *servehttp.Options, test func(t *testing.T, h *servehttp.Handler)) {
	synctest.Test(t, func(t *testing.T) { serving(t, p, opts, test) })
}

// hungBubble is bubble with a model that answers once release is closed.
func hungBubble(t *testing.T, test func(t *testing.T, h *servehttp.Handler, release chan struct{})) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{}) // in the bubble, or waiting for it would stop its time
		serving(t, hung(release), nil, func(t *testing.T, h *servehttp.Handler) { test(t, h, release) })
	})
}

func serving(t *testing.T, p serve.Predictor, opts *servehttp.Options, test func(t *testing.T, h *servehttp.Handler)) {
	srv := serve.New(nil, nil)
	require.NoError(t, srv.Add("m", 1, p))
	require.NoError(t, srv.SetRoute(t.Context(), serve.Route{Model: "m", Primary: 1}))
	test(t, servehttp.New(srv, opts))
	require.NoError(t, srv.Close(context.Background()))
}

// TestStalledBody: it is told after the stall, with the connection closed.
func TestStalledBody(t *testing.T) {
	bubble(t, servetest.Constant("stays"), nil, func(t *testing.T, h *servehttp.Handler) {
		r := start(t, h, nil)
		c := r.dial(t, half)
		code, body := answerOf(t, c)
		require.Equal(t, 408, code)
		require.Contains(t, body, "the body stopped after 1 bytes: it may pause for 10s and must come at 4096 bytes a second")
		require.Equal(t, 10*time.Second, time.Since(r.began))
		requireClosed(t, c)
		_, err := r.end()
		require.NoError(t, err)
	})
}

// TestUnreadBody: what no handler reads, net/http does, and no longer than a stall.
func TestUnreadBody(t *testing.T) {
	bubble(t, servetest.Constant("stays"), nil, func(t *testing.T, h *servehttp.Handler) {
		mux := http.NewServeMux()
		mux.Handle("/v2/", h)
		mux.HandleFunc("/other", func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "ok") })
		r := start(t, mux, nil)
		for path, want := range map[string]int{"/v2/nothing": 404, "/v2/health/live": 405, "/other": 200} {
			began := time.Now()
			c := r.dial(t, strings.Replace(half, "/v2/models/m/infer", path, 1))
			code, _ := answerOf(t, c)
			require.Equal(t, want, code)
			requireClosed(t, c)
			require.LessOrEqual(t, time.Since(began), 11*time.Second)
		}
		_, err := r.end()
		require.NoError(t, err)
	})
}

// TestSlowBodies: a slow link is no stalled one, and a trickle is no slow link.
func TestSlowBodies(t *testing.T) {
	send := func(t *testing.T, bytes int, pause time.Duration) (int, time.Duration) {
		var code int
		var took time.Duration
		bubble(t, servetest.Constant("stays"), nil, func(t *testing.T, h *servehttp.Handler) {
			r := start(t, h, nil)
			body := inferX + strings.Repeat(" ", 400_000)
			c := r.dial(t, strings.SplitAfter(request(body), "\r\n\r\n")[0])
			go func() {
				for rest := body; rest != ""; time.Sleep(pause) {
					n := min(bytes, len(rest))
					if _, err := io.WriteString(c, rest[:n]); err != nil {
						return
					}
					rest = rest[n:]
				}
			}()
			code, _ = answerOf(t, c)
			took = time.Since(r.began)
			_, err := r.end()
			require.NoError(t, err)
			time.Sleep(pause)
		})
		return code, took
	}
	code, took := send(t, 40_000, 9*time.Second)
	require.Equal(t, 200, code, "4,444 bytes a second, in bursts")
	require.Greater(t, took, 80*time.Second)
	code, took = send(t, 400, time.Second)
	require.Equal(t, 408, code, "one packet a second")
	require.Less(t, took, 15*time.Second)
	code, took = send(t, 40_000, 11*time.Second)
	require.Equal(t, 408, code, "pauses of 11 seconds")
	require.Equal(t, 10*time.Second, took)
}

// TestPaceOptions: a Handler's own pace holds also under Serve, and there may be none.
func TestPaceOptions(t *testing.T) {
	for stall, want := range map[time.Duration]time.Duration{time.Minute: time.Minute, -1: time.Hour} {
		bubble(t, servetest.Constant("stays"), &servehttp.Options{StallTimeout: stall}, func(t *testing.T, h *servehttp.Handler) {
			r := start(t, h, nil)
			c := r.dial(t, half)
			time.AfterFunc(time.Hour, func() { _ = c.Close() })
			requireClosed(t, c)
			require.InDelta(t, want, time.Since(r.began), float64(time.Second))
			_, err := r.end()
			require.NoError(t, err)
		})
	}
}

// TestOwnServer: the limits are the Handler's, under any http.Server, whose
// flat ReadTimeout they replace: a prediction may take longer.
func TestOwnServer(t *testing.T) {
	hungBubble(t, func(t *testing.T, h *servehttp.Handler, release chan struct{}) {
		p := newPipes()
		s := &http.Server{Handler: h, ReadTimeout: time.Second, WriteTimeout: time.Second}
		ended := make(chan error, 1)
		go func() { ended <- s.Serve(p) }()
		began := time.Now()
		c := p.dial(t, half)
		code, _ := answerOf(t, c)
		require.Equal(t, 408, code)
		require.Equal(t, 10*time.Second, time.Since(began))

		c = p.dial(t, request(inferX))
		time.AfterFunc(time.Minute, func() { close(release) })
		code, body := answerOf(t, c)
		require.Equal(t, 200, code, body)
		require.NoError(t, s.Shutdown(t.Context()))
		require.ErrorIs(t, <-ended, http.ErrServerClosed)
	})
}

// TestClientThatDoesNotRead: the answer is given up, and the deadline of one
// answer does not hold for the next one on the same connection.
func TestClientThatDoesNotRead(t *testing.T) {
	bubble(t, servetest.Constant(strings.Repeat("stays", 50_000)), nil, func(t *testing.T, h *servehttp.Handler) {
		mux := http.NewServeMux()
		mux.Handle("/v2/", h)
		mux.HandleFunc("/other", func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Minute)
			_, _ = io.WriteString(w, "ok")
		})
		r := start(t, mux, nil)
		c := r.dial(t, request(inferX))
		time.Sleep(10*time.Second + time.Millisecond)
		_, err := io.Copy(io.Discard, c)
		require.NoError(t, err)
		require.Equal(t, 10*time.Second+time.Millisecond, time.Since(r.began), "it was closed before it was read")

		c = r.dial(t, request(inferX))
		read := bufio.NewReaderSize(c, 16<<10)
		resp, err := http.ReadResponse(read, nil)
		require.NoError(t, err)
		n := 0
		for part := make([]byte, 32<<10); err == nil; time.Sleep(time.Second) { // half the size of a part in a second
			var m int
			m, err = resp.Body.Read(part)
			n += m
		}
		require.ErrorIs(t, err, io.EOF)
		require.Greater(t, n, 250_000)
		_, err = io.WriteString(c, "GET /other HTTP/1.1\r\nHost: x\r\n\r\n")
		require.NoError(t, err)
		resp, err = http.ReadResponse(read, nil)
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Equal(t, "ok", string(body))
		_, err = r.end()
		require.NoError(t, err)
	})
}

// TestShutdownOfStuckClients: bodies and headers that have stopped, and
// connections that bring nothing, delay the end by a second, no longer, and are
// closed. It is no error: none of them had asked anything.
func TestShutdownOfStuckClients(t *testing.T) {
	for why, text := range map[string]string{"a body": half, "a header": half[:20], "nothing": "", "the next header": request(inferX) + half[:20]} {
		for name, mounted := range map[string]bool{"alone": false, "in a mux": true} {
			bubble(t, servetest.Constant("stays"), nil, func(t *testing.T, h *servehttp.Handler) {
				var handler http.Handler = h
				if mounted {
					mux := http.NewServeMux()
					mux.Handle("/v2/", h)
					handler = mux
				}
				r := start(t, handler, nil)
				client, server := net.Pipe()
				r.conns <- server
				done := make(chan struct{})
				go func() {
					defer close(done)
					_, _ = io.Copy(io.Discard, client)
				}()
				_, err := io.WriteString(client, text)
				require.NoError(t, err)
				synctest.Wait()
				took, err := r.end()
				require.NoError(t, err, "%s %s", why, name)
				require.LessOrEqual(t, took, 2*time.Second, "%s %s", why, name)
				<-done // the connection is closed
			})
		}
	}
}

// TestShutdownOrder: readiness goes first, requests are answered during the
// delay, those in flight after it.
func TestShutdownOrder(t *testing.T) {
	hungBubble(t, func(t *testing.T, h *servehttp.Handler, release chan struct{}) {
		r := start(t, h, &servehttp.ServeOptions{DrainDelay: 5 * time.Second})
		flying := r.dial(t, request(inferX))
		r.stop()
		synctest.Wait()
		code, _ := answerOf(t, r.dial(t, "GET /v2/health/ready HTTP/1.1\r\nHost: x\r\n\r\n"))
		require.Equal(t, 503, code, "in the same moment")
		late := r.dial(t, request(inferX))
		time.Sleep(5*time.Second + time.Millisecond)
		select {
		case <-r.closed:
		default:
			t.Fatal("after the delay no connection is taken")
		}
		time.Sleep(3 * time.Second)
		close(release)
		for _, c := range []net.Conn{flying, late} {
			code, body := answerOf(t, c)
			require.Equal(t, 200, code, body)
		}
		require.NoError(t, <-r.ended)
	})
}

// TestShutdownOfHungPrediction: what does not end is cut off and counted.
func TestShutdownOfHungPrediction(t *testing.T) {
	hungBubble(t, func(t *testing.T, h *servehttp.Handler, release chan struct{}) {
		drained := 0
		r := start(t, h, &servehttp.ServeOptions{ShutdownTimeout: 3 * time.Second, Drain: func() { drained++ }})
		c := r.dial(t, request(inferX))
		synctest.Wait()
		took, err := r.end()
		require.ErrorIs(t, err, serve.ErrUnavailable)
		require.EqualError(t, err, "servehttp: 1 requests were in flight after 3s and were cut off: raise ShutdownTimeout above the slowest prediction (context deadline exceeded)")
		require.Equal(t, 3*time.Second, took)
		require.Equal(t, 1, drained)
		requireClosed(t, c)
		close(release)
	})
}

// TestHeaderAndIdleLimits: neither a slow header nor an idle connection stays.
func TestHeaderAndIdleLimits(t *testing.T) {
	bubble(t, servetest.Constant("stays"), nil, func(t *testing.T, h *servehttp.Handler) {
		r := start(t, h, nil)
		requireClosed(t, r.dial(t, half[:20]))
		require.Equal(t, 10*time.Second, time.Since(r.began))

		c := r.dial(t, request(inferX))
		code, _ := answerOf(t, c)
		require.Equal(t, 200, code)
		began := time.Now()
		requireClosed(t, c)
		require.Equal(t, 2*time.Minute, time.Since(began))

		client, server := net.Pipe()
		r.conns <- server
		go func() {
			_, _ = io.WriteString(client, "GET /v2 HTTP/1.1\r\nHost: x\r\nX: "+strings.Repeat("a", 80<<10)+"\r\n\r\n")
		}()
		code, _ = answerOf(t, client)
		require.Equal(t, 431, code)
		require.NoError(t, client.Close())
		_, err := r.end()
		require.NoError(t, err)
	})
}

// TestBrokenListener: Serve says so.
func TestBrokenListener(t *testing.T) {
	bubble(t, servetest.Constant("stays"), nil, func(t *testing.T, h *servehttp.Handler) {
		r := start(t, h, nil)
		require.NoError(t, r.Close())
		require.ErrorIs(t, <-r.ended, serve.ErrUnavailable)
	})
}
