package servehttp

import (
	"context"
	"errors"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/mlloop/mlloop/internal/fault"
)

// Listen opens a TCP address such as ":8080" or "127.0.0.1:0". Errors:
// Unavailable when another program has the port.
func Listen(ctx context.Context, addr string) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fault.Errorf(fault.Unavailable, "servehttp: listen on %s: the port is in use: choose another one, or stop the program that has it (%w)", addr, err)
	case errors.Is(err, syscall.EACCES):
		return nil, fault.Errorf(fault.Denied, "servehttp: listen on %s: the port needs more rights: choose one from 1024 up (%w)", addr, err)
	case err != nil:
		return nil, fault.Errorf(fault.Invalid, "servehttp: listen on %s: %w", addr, err)
	}
	return l, nil
}

// shutdownTimeout is how long Serve waits for requests in flight.
const shutdownTimeout = 10 * time.Second

// Serve answers on l until ctx is done, then lets the requests in flight end
// and returns nil. It closes l. Services that have an http.Server of their own
// use New alone.
func Serve(ctx context.Context, l net.Listener, h http.Handler) error {
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- s.Serve(l) }()
	select {
	case err := <-failed:
		return fault.Errorf(fault.Unavailable, "servehttp: serve on %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if err := s.Shutdown(drain); err != nil {
		return fault.Errorf(fault.Unavailable, "servehttp: requests in flight were cut off: %w", err)
	}
	return nil
}
