package pgtest

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Server is a PostgreSQL server of a test's own, on a port of the loopback
// device: to be stopped in the middle, or set up as no other test wants it. It is
// not safe for concurrent use.
type Server struct {
	// URL names its database postgres, as the user mlloop, who may do all.
	URL string

	t        testing.TB
	programs string // folder of initdb and pg_ctl
	data     string
	settings string
}

// Password is that of a Server's user mlloop.
const Password = "no-password-but-of-a-test"

// StartServer starts a server with the settings, such as max_connections=10, and
// removes it when the test ends. It skips the test where MLLOOP_POSTGRES is not
// set, or where the programs of a server are not installed.
func StartServer(t testing.TB, settings ...string) *Server {
	t.Helper()
	if os.Getenv("MLLOOP_POSTGRES") == "" {
		URL(t)
	}
	programs := programs()
	if programs == "" {
		t.Skip("MLLOOP_POSTGRES is set, but there is no initdb here, to make a server of the test's own")
	}
	folder, err := os.MkdirTemp("", "mlloop-postgres-") // t.TempDir lies where only its owner may look
	require.NoError(t, err)
	s := &Server{t: t, programs: programs, data: filepath.Join(folder, "data")}
	t.Cleanup(func() {
		_ = s.ctl("-m", "immediate", "stop") // it may have been stopped
		_ = os.RemoveAll(folder)
	})
	secret := filepath.Join(folder, "password")
	require.NoError(t, os.WriteFile(secret, []byte(Password), 0o600))
	require.NoError(t, os.Mkdir(s.data, 0o700))
	s.giveAway(folder, secret, s.data)
	require.NoError(t, s.run("initdb", "-D", s.data, "-U", "mlloop", "--pwfile="+secret, "--auth=scram-sha-256",
		"--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"))
	port := freePort(t)
	for _, set := range append([]string{"listen_addresses=127.0.0.1", "port=" + port, "unix_socket_directories="}, settings...) {
		s.settings += " -c " + set
	}
	s.URL = "postgres://mlloop:" + Password + "@127.0.0.1:" + port + "/postgres?sslmode=disable"
	s.Start()
	return s
}

// Start starts the server after a Stop, and returns when it answers.
func (s *Server) Start() {
	s.t.Helper()
	require.NoError(s.t, s.ctl("-l", filepath.Join(s.data, "server.log"), "-o", s.settings, "start"))
}

// Stop ends the server at once, as a fall of its machine would: connections are
// cut in the middle of what they do.
func (s *Server) Stop() {
	s.t.Helper()
	require.NoError(s.t, s.ctl("-m", "immediate", "stop"))
}

func (s *Server) ctl(args ...string) error {
	return s.run("pg_ctl", append([]string{"-D", s.data, "-w", "-t", "60"}, args...)...)
}

// run runs a program of PostgreSQL, which refuses to be root.
func (s *Server) run(name string, args ...string) error {
	argv := append([]string{filepath.Join(s.programs, name)}, args...)
	if os.Getuid() == 0 {
		argv = append([]string{"runuser", "-u", "postgres", "--"}, argv...)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = filepath.Dir(s.data)
	// Not a pipe: the server would keep it open, and Run would wait for it.
	out, err := os.CreateTemp("", "mlloop-postgres-out-")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(out.Name()) }()
	cmd.Stdout, cmd.Stderr = out, out
	err = cmd.Run()
	text, _ := os.ReadFile(out.Name()) // only for the error
	if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, bytes.TrimSpace(text))
	}
	return out.Close()
}

// giveAway makes root's files the server's.
func (s *Server) giveAway(paths ...string) {
	if os.Getuid() != 0 {
		return
	}
	owner, err := user.Lookup("postgres")
	require.NoError(s.t, err)
	uid, err := strconv.Atoi(owner.Uid)
	require.NoError(s.t, err)
	for _, path := range paths {
		require.NoError(s.t, os.Chown(path, uid, -1))
	}
}

// programs returns the folder of the newest PostgreSQL's programs, "" without one.
func programs() string {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err == nil && len(found) > 0 {
		return filepath.Dir(slices.MaxFunc(found, func(a, b string) int { return release(a) - release(b) }))
	}
	path, err := exec.LookPath("initdb")
	if err != nil {
		return ""
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return ""
	}
	return filepath.Dir(path)
}

// release is the number in /usr/lib/postgresql/15/bin/initdb; 0: none.
func release(path string) int {
	number, _, _ := strings.Cut(strings.TrimPrefix(path, "/usr/lib/postgresql/"), "/")
	n, err := strconv.Atoi(number)
	if err != nil {
		return 0
	}
	return n
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	return port
}
