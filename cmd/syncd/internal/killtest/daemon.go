package killtest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/client"
	"github.com/joinery-crdt/joinery/internal/pgtest"
)

// daemon is one real syncd process at a time, on one data directory.
type daemon struct {
	program  string
	dir      string
	database *pgtest.Server // that holds its store, nil for the directory
	process  *exec.Cmd
	client   *client.Client
}

func (d *daemon) api() *client.Client { return d.client }

// launch starts a process whose errors go to the log.
func (d *daemon) launch(ctx context.Context) (out io.Reader, err error) {
	log, err := os.OpenFile(filepath.Join(d.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, log.Close()) }() // the process has its own
	args := []string{"serve", "--dir", filepath.Join(d.dir, "data"), "--name", "killtest", "--listen", "127.0.0.1:0"}
	if d.database != nil {
		args = append(args, "--postgres", d.database.URL())
	}
	cmd := exec.CommandContext(ctx, d.program, args...)
	cmd.Stderr = log
	if out, err = cmd.StdoutPipe(); err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	d.process = cmd
	return out, nil
}

// start runs the daemon and waits until it says where it listens. That it does
// not is a broken promise.
func (d *daemon) start(ctx context.Context) error {
	out, err := d.launch(ctx)
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if address, ok := strings.CutPrefix(lines.Text(), "listening on "); ok {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			d.client = client.New(address, "")
			return nil
		}
	}
	d.kill()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("%w: the daemon does not start: %s", ErrLost, d.lastWords())
}

// lastWords returns the end of the log.
func (d *daemon) lastWords() string {
	b, err := os.ReadFile(filepath.Join(d.dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-2000):])
}

// startAndKill kills a daemon a moment after its process began.
func (d *daemon) startAndKill(ctx context.Context, after time.Duration) error {
	if _, err := d.launch(ctx); err != nil {
		return err
	}
	time.Sleep(after)
	d.kill()
	return nil
}

// kill ends the process without warning.
func (d *daemon) kill() {
	if d.process == nil {
		return
	}
	_ = d.process.Process.Kill()
	_ = d.process.Wait()
	d.process = nil
}

// stop asks the process to end and demands that it does so well.
func (d *daemon) stop() error {
	if err := d.process.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	err := d.process.Wait()
	d.process = nil
	return err
}

// healthy demands that the daemon reports no problem.
func (d *daemon) healthy(ctx context.Context) error {
	st, err := d.client.Status(ctx)
	if err != nil {
		return err
	}
	for _, p := range st.Problems {
		return fmt.Errorf("%w: status says %s: %s", ErrLost, p.Code, p.Cause)
	}
	return nil
}
