package replay

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/datadir"
	"github.com/joinery-crdt/joinery/sync/node"
)

// daemon is one real syncd process, its data directory, and the address under
// which the others reach it whatever port it has just now.
type daemon struct {
	name    string
	program string // path of syncd
	dir     string
	door    *door
	args    []string // of serve, besides those that all have

	mu      sync.Mutex // guards what follows
	process *exec.Cmd
	base    string // URL of the HTTP API while it runs
	log     *os.File
}

// start runs the daemon, with more arguments, and waits until it says where it
// listens.
func (d *daemon) start(ctx context.Context, more ...string) error {
	args := slices.Concat([]string{"serve", "--dir", string(d.data()), "--listen", "127.0.0.1:0", "--name", d.name}, d.args, more)
	cmd := exec.CommandContext(ctx, d.program, args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if d.log == nil {
		if d.log, err = os.Create(filepath.Join(d.dir, "log")); err != nil {
			return err
		}
	}
	cmd.Stderr = d.log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("replay: %w", err)
	}
	base, err := readAddress(out)
	if err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return fmt.Errorf("replay: daemon %s did not start: %w; its log is %s", d.name, err, d.log.Name())
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	d.mu.Lock()
	d.process, d.base = cmd, base
	d.mu.Unlock()
	d.door.leadTo(strings.TrimPrefix(base, "http://"))
	return nil
}

// readAddress waits for the line in which a daemon says where it listens.
func readAddress(out io.Reader) (string, error) {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		for _, word := range strings.Fields(lines.Text()) {
			if strings.HasPrefix(word, "http://") {
				return strings.TrimSuffix(word, "/"), nil
			}
		}
	}
	return "", errors.New("it ended without saying where it listens")
}

// data returns the daemon's data directory.
func (d *daemon) data() datadir.Dir { return datadir.Dir(filepath.Join(d.dir, "data")) }

// kill ends the process without warning.
func (d *daemon) kill() {
	d.mu.Lock()
	cmd := d.process
	d.process, d.base = nil, ""
	d.mu.Unlock()
	if cmd != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
}

// stop asks the process to end and returns an error unless it does so well.
func (d *daemon) stop() error {
	d.mu.Lock()
	cmd := d.process
	d.process, d.base = nil, ""
	d.mu.Unlock()
	if cmd == nil {
		return nil
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("replay: daemon %s ended with %w", d.name, err)
	}
	return nil
}

func (d *daemon) url() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.base
}

// errDown: the daemon does not run just now.
var errDown = errors.New("replay: daemon is down")

// client opens a connection for every request: one that was kept could lead to a
// process that was killed since.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// call sends a request to the daemon's API and decodes the answer into out.
func (d *daemon) call(ctx context.Context, method, path string, body []byte, out any) error {
	base := d.url()
	if base == "" {
		return errDown
	}
	req, err := http.NewRequestWithContext(ctx, method, base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("replay: daemon %s answered %s: %s", d.name, resp.Status, answer)
	}
	return json.Unmarshal(answer, out)
}

func (d *daemon) importPart(ctx context.Context, p Part) error {
	var report node.ImportReport
	if err := d.call(ctx, http.MethodPost, "/v1/import", p.File, &report); err != nil {
		return err
	}
	if report.Refused > 0 {
		return fmt.Errorf("replay: daemon %s refused %d changes: %s", d.name, report.Refused, report.Reason)
	}
	return nil
}

// status returns the daemon's account of itself and of the replayed space.
func (d *daemon) status(ctx context.Context) (st node.Status, s node.SpaceStatus, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := d.call(ctx, http.MethodGet, "/v1/status", nil, &st); err != nil {
		return st, s, err
	}
	for _, s := range st.Spaces {
		if s.Name == SpaceName {
			return st, s, nil
		}
	}
	return st, s, nil
}
