// Package pgtest runs a PostgreSQL server of its own for tests: a new data
// directory, a Unix socket in it, no TCP port, and flushes that are real.
package pgtest

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// user is the superuser and database of every server.
const user = "postgres"

// startTimeout bounds how long a server may take to answer.
const startTimeout = time.Minute

// A Server is one running server. Its methods may be called by one goroutine
// at a time, URL by any.
type Server struct {
	bin, dir string
	settings []string
	cmd      *exec.Cmd
	ended    chan error // receives how cmd ended
	log      *logBuffer
}

// Start makes a data directory and runs a server on it, with settings of the
// form name=value. initdb may be given further arguments in initArgs. The
// caller must Stop it.
func Start(initArgs []string, settings ...string) (*Server, error) {
	bin, err := find()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "pgtest")
	if err != nil {
		return nil, err
	}
	s := &Server{bin: bin, dir: dir, settings: settings, log: new(logBuffer)}
	if err := errors.Join(own(dir), s.initialise(initArgs)); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := s.Run(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s, nil
}

// find returns the directory with the server's programs.
func find() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			path = real
		}
		return filepath.Dir(path), nil
	}
	var found []string
	for _, pattern := range []string{"/usr/lib/postgresql/*/bin/initdb", "/usr/pgsql-*/bin/initdb", "/opt/homebrew/opt/postgresql*/bin/initdb"} {
		paths, _ := filepath.Glob(pattern) // the patterns are well-formed
		found = append(found, paths...)
	}
	if len(found) == 0 {
		return "", errors.New("pgtest: there is no initdb in PATH or below /usr/lib/postgresql: install PostgreSQL 15 or newer, for example with tools/postgres.sh")
	}
	return filepath.Dir(slices.Max(found)), nil
}

// initialise runs initdb.
func (s *Server) initialise(args []string) error {
	args = append([]string{"-D", s.data(), "-U", user, "-A", "trust", "-E", "UTF8", "--locale=C", "-N"}, args...)
	cmd := s.command("initdb", args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("pgtest: initdb: %w\n%s", err, out)
	}
	return nil
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// command returns a command that runs as a user whom the server accepts.
func (s *Server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC")
	demote(cmd)
	return cmd
}

// Run starts the server after Kill, and waits until it answers.
func (s *Server) Run() error {
	deadline := time.Now().Add(startTimeout)
	for {
		err := s.run(deadline)
		if err == nil || time.Now().After(deadline) {
			return err
		}
		// What is left of a killed server may hold the directory for a moment.
		time.Sleep(100 * time.Millisecond)
	}
}

// run starts the server once.
func (s *Server) run(deadline time.Time) error {
	args := []string{"-D", s.data(), "-k", s.dir, "-c", "listen_addresses="}
	for _, setting := range s.settings {
		args = append(args, "-c", setting)
	}
	cmd := s.command("postgres", args...)
	cmd.Stdout, cmd.Stderr = s.log, s.log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("pgtest: %w", err)
	}
	s.cmd, s.ended = cmd, make(chan error, 1)
	go func() { s.ended <- cmd.Wait() }()
	for time.Now().Before(deadline) {
		if s.answers() {
			return nil
		}
		select {
		case err := <-s.ended:
			s.cmd = nil
			return fmt.Errorf("pgtest: the server ended at once: %w\n%s", err, s.log)
		case <-time.After(20 * time.Millisecond):
		}
	}
	return errors.Join(fmt.Errorf("pgtest: the server does not answer\n%s", s.log), s.Kill())
}

// answers reports whether the server takes connections.
func (s *Server) answers() bool {
	return s.command("pg_isready", "-q", "-h", s.dir, "-U", user).Run() == nil
}

// URL returns a connection string for a database.
func (s *Server) URL() string {
	return URL(s.dir)
}

// URL returns a connection string for a server whose socket is in dir.
func URL(dir string) string {
	q := url.Values{"host": {dir}, "user": {user}}
	return "postgres:///" + user + "?" + q.Encode()
}

// Restart stops the server in an orderly way and starts it again, with settings
// of the form name=value besides those of Start.
func (s *Server) Restart(settings ...string) error {
	err := s.end(os.Interrupt)
	kept := s.settings
	s.settings = append(kept[:len(kept):len(kept)], settings...)
	defer func() { s.settings = kept }()
	return errors.Join(err, s.Run())
}

// Socket returns the directory and the name in it of the server's socket.
func (s *Server) Socket() (dir, name string) { return s.dir, ".s.PGSQL.5432" }

// Stop ends the server and removes its directory.
func (s *Server) Stop() error { return errors.Join(s.end(os.Interrupt), os.RemoveAll(s.dir)) }

// end signals the server's process, if there is one, and waits for its end.
func (s *Server) end(sig os.Signal) error {
	if s.cmd == nil {
		return nil
	}
	if err := s.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("pgtest: %w", err)
	}
	<-s.ended // its state is the signal's doing
	s.cmd = nil
	return nil
}

// A logBuffer keeps the end of what the server prints.
type logBuffer struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

// Write implements io.Writer.
func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.buf.Len() > 64<<10 {
		b.buf.Next(b.buf.Len() - 16<<10)
	}
	return b.buf.Write(p)
}

// String returns what was kept.
func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.TrimSpace(b.buf.String())
}
