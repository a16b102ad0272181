package pgtest

import (
	"net"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

// A server is stopped and started again on its port.
func TestServer(t *testing.T) {
	s := StartServer(t, "max_connections=10")
	u, err := url.Parse(s.URL)
	require.NoError(t, err)
	reach := func() error {
		c, err := net.Dial("tcp", u.Host)
		if err != nil {
			return err
		}
		return c.Close()
	}
	require.NoError(t, reach())
	s.Stop()
	require.Error(t, reach())
	s.Start()
	require.NoError(t, reach())
}
