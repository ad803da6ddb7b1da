// Package demo shows two real devices in conflict, and how it ends: nodes with
// stores of their own, connected by WebSocket, spoken to over HTTP.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/client"
	"github.com/joinery-crdt/joinery/cmd/syncd/internal/daemon"
	"github.com/joinery-crdt/joinery/cmd/syncd/internal/datadir"
)

// Options are what the demonstration is asked for.
type Options struct {
	Version string
	Exit    bool // end after the show
}

// Run shows it and, unless told to end, keeps the devices running until ctx
// ends. It removes what it stored.
func Run(ctx context.Context, o Options, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "syncd-demo-")
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	laptop, err := start(ctx, o, dir, "laptop")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, laptop.stop()) }()
	phone, err := start(ctx, o, dir, "phone")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, phone.stop()) }()
	s := &show{ctx: ctx, out: out, laptop: laptop, phone: phone}
	if err := s.run(); err != nil || o.Exit {
		return err
	}
	s.invite(program())
	<-ctx.Done()
	return nil
}

// device is one running daemon.
type device struct {
	name   string
	api    *client.Client
	daemon *daemon.Daemon
	cancel context.CancelFunc
	wg     sync.WaitGroup
	err    error // what Run returned; read after wg
}

func start(ctx context.Context, o Options, dir, name string) (*device, error) {
	d, err := daemon.Open(ctx, daemon.Config{
		Dir: datadir.Dir(filepath.Join(dir, name)), Listen: "127.0.0.1:0", Name: name, Version: o.Version,
	})
	if err != nil {
		return nil, err
	}
	dev := &device{name: name, daemon: d, api: client.New(d.Address(), "")}
	running, cancel := context.WithCancel(context.Background())
	dev.cancel = cancel
	dev.wg.Go(func() { dev.err = d.Run(running) })
	return dev, nil
}

func (d *device) stop() error {
	d.cancel()
	d.wg.Wait()
	return d.err
}

// program returns how to call this program from a shell.
func program() string {
	path, err := os.Executable()
	switch found, lookErr := exec.LookPath("syncd"); {
	case err != nil:
		return "syncd"
	case strings.Contains(path, "go-build"):
		return "go run ./cmd/syncd"
	case lookErr == nil && found == path:
		return "syncd"
	}
	return path
}
