package main_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/client"
)

// program is the path of the real program, built once.
var program string

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "curl" {
		os.Exit(curl(os.Args[1:]))
	}
	dir, err := os.MkdirTemp("", "syncd-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	program = filepath.Join(dir, "syncd")
	out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput()
	code := 1
	if err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
	} else {
		code = m.Run()
	}
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// patience is how long a test waits for what it expects.
const patience = time.Minute

// environment is that of the processes: nothing of the person's own.
func environment(t *testing.T, more ...string) []string {
	home := t.TempDir()
	return append([]string{
		"HOME=" + home, "XDG_DATA_HOME=", "TMPDIR=" + home, "PATH=" + filepath.Dir(program) + ":" + os.Getenv("PATH"),
	}, more...)
}

// result is what one command did.
type result struct {
	stdout, stderr string
	code           int
}

// syncd runs one command to its end.
func syncd(t *testing.T, args ...string) result {
	t.Helper()
	return run(t, "", environment(t), args...)
}

func run(t *testing.T, stdin string, env []string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.Env = strings.NewReader(stdin), &stdout, &stderr, env
	err := cmd.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatalf("syncd %q: %v", args, err)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// ok runs a command that must succeed and returns what it printed.
func ok(t *testing.T, args ...string) string {
	t.Helper()
	r := syncd(t, args...)
	if r.code != 0 {
		t.Fatalf("syncd %q: exit code %d\n%s%s", args, r.code, r.stdout, r.stderr)
	}
	return r.stdout
}

// process is a command that runs until it is ended.
type process struct {
	cmd   *exec.Cmd
	lines *bufio.Scanner // of its stdout
	log   *lockedBuffer  // its stderr
	ended chan struct{}  // closed when it has
}

// lockedBuffer is a buffer for two goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// begin starts a command, which ends with the test at the latest.
func begin(t *testing.T, env []string, name string, args ...string) *process {
	t.Helper()
	cmd := exec.Command(name, args...)
	p := &process{cmd: cmd, log: &lockedBuffer{}, ended: make(chan struct{})}
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Env, cmd.Stdout, cmd.Stderr = env, in, p.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = in.Close()
	p.lines = bufio.NewScanner(out)
	go func() {
		defer close(p.ended)
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-p.ended
		_ = out.Close()
	})
	return p
}

// line returns the next line of the process that contains all of the words.
func (p *process) line(t *testing.T, words ...string) string {
	t.Helper()
	for p.lines.Scan() {
		if containsAll(p.lines.Text(), words) {
			return p.lines.Text()
		}
	}
	t.Fatalf("%v ended without a line with %q: %v\n%s", p.cmd.Args, words, p.lines.Err(), p.log)
	return ""
}

func containsAll(s string, words []string) bool {
	for _, w := range words {
		if !strings.Contains(s, w) {
			return false
		}
	}
	return true
}

// signal sends a signal and returns the exit code, -1 if the process was killed.
func (p *process) signal(t *testing.T, sig os.Signal) int {
	t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
	return p.wait(t)
}

func (p *process) wait(t *testing.T) int {
	t.Helper()
	select {
	case <-p.ended:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		t.Fatalf("%v does not end", p.cmd.Args)
		return 0
	}
}

// device is a daemon on a data directory.
type device struct {
	*process
	dir  string
	base string // URL
	api  *client.Client
}

// serve starts a daemon and waits until it says where it listens.
func serve(t *testing.T, dir string, args ...string) *device {
	t.Helper()
	args = append([]string{"serve", "--dir", dir, "--name", filepath.Base(dir), "--listen", "127.0.0.1:0"}, args...)
	p := begin(t, environment(t), program, args...)
	base := strings.Fields(p.line(t, "listening on http://"))[2]
	go func() { // what it prints later must not block it
		for p.lines.Scan() {
		}
	}()
	return &device{process: p, dir: dir, base: base, api: client.New(base, "")}
}

// again restarts the device at the address it had.
func (d *device) again(t *testing.T) *device {
	t.Helper()
	return serve(t, d.dir, "--listen", strings.TrimPrefix(d.base, "http://"))
}

func (d *device) kill(t *testing.T) {
	t.Helper()
	if code := d.signal(t, syscall.SIGKILL); code != -1 {
		t.Fatalf("killed, it ended with %d", code)
	}
}

// until polls a condition that is to become true.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("not in %v: %s", patience, what)
		}
		<-poll.C
	}
}

// contents returns the fingerprint of a space, empty if the device is down.
func (d *device) contents(t *testing.T, space string) string {
	t.Helper()
	st, err := d.api.Status(t.Context())
	if err != nil {
		return ""
	}
	for _, s := range st.Spaces {
		if s.Name == space {
			return s.Fingerprint
		}
	}
	return ""
}

func get(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
