package servehttp

import (
	"context"
	"errors"
	"net"
	"syscall"

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
