package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/api"
	"github.com/joinery-crdt/joinery/cmd/syncd/internal/objects"
	"github.com/joinery-crdt/joinery/cmd/syncd/internal/peers"
	v1 "github.com/joinery-crdt/joinery/cmd/syncd/internal/v1"
	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/boltstore"
	"github.com/joinery-crdt/joinery/store/pgstore"
	"github.com/joinery-crdt/joinery/sync/node"
)

// drain is how long a shutdown waits for requests that run.
const drain = 10 * time.Second

// A Daemon is one running device. Run must be called once; the other methods
// are safe for concurrent use.
type Daemon struct {
	cfg      Config
	node     *node.Node
	peers    *peers.Manager
	listener net.Listener
	server   *http.Server
	stop     context.CancelFunc // ends watches and links
}

// Open opens the data directory and listens; requests are answered from Run on.
// The directory's store is locked until Run returns or Close is called.
func Open(ctx context.Context, cfg Config) (*Daemon, error) {
	cfg.setDefaults()
	if err := checkListen(cfg.Listen, cfg.AllowRemote); err != nil {
		return nil, err
	}
	if err := cfg.Dir.Prepare(); err != nil {
		return nil, err
	}
	d := &Daemon{cfg: cfg}
	if err := d.open(ctx); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

func (c *Config) setDefaults() {
	c.Listen = cmp.Or(c.Listen, DefaultListen)
	if c.Name == "" {
		c.Name, _ = os.Hostname()
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

// open starts one part after the other. What it started before an error, Close
// ends.
func (d *Daemon) open(ctx context.Context) (err error) {
	if err := d.openNode(ctx); err != nil {
		return err
	}
	if d.listener, err = new(net.ListenConfig).Listen(ctx, "tcp", d.cfg.Listen); err != nil {
		return &ListenError{d.cfg.Listen, ErrListen, err.Error() + "; choose another with --listen, 127.0.0.1:0 for any free port"}
	}
	d.peers, err = peers.Open(peers.Config{Node: d.node, Path: d.cfg.Dir.Peers(), Dial: dial, Log: d.cfg.Logger}, d.cfg.Peers)
	if err != nil {
		return err
	}
	d.serveAPI()
	return d.cfg.Dir.SetAddress(d.Address())
}

func (d *Daemon) openNode(ctx context.Context) error {
	st, err := d.openStore(ctx)
	if err != nil {
		return err
	}
	d.node, err = node.Open(ctx, node.Config{
		Store: st, Name: d.cfg.Name, Hub: d.cfg.Hub, Tree: d.cfg.Tree, Logger: d.cfg.Logger,
		Heartbeat: d.cfg.Heartbeat, AuditInterval: d.cfg.AuditEvery, TruncateEvery: d.cfg.TruncateEvery, Lease: d.cfg.Lease,
	})
	if err != nil {
		return errors.Join(err, st.Close())
	}
	return nil
}

func (d *Daemon) openStore(ctx context.Context) (store.Store, error) {
	if d.cfg.Postgres == "" {
		return boltstore.Open(d.cfg.Dir.Store(), boltstore.Options{})
	}
	return pgstore.Open(ctx, d.cfg.Postgres, pgstore.Options{Describe: objects.Describe})
}

func (d *Daemon) serveAPI() {
	var stopped context.Context
	stopped, d.stop = context.WithCancel(context.Background())
	d.server = api.Server(api.Handler(api.Config{
		Node: d.node, Peers: d.peers, Accept: accept, Stop: stopped, Hosts: d.cfg.Hosts, Logger: d.cfg.Logger,
		About: v1.Status{Version: d.cfg.Version, Address: d.Address(), Dir: string(d.cfg.Dir), Started: time.Now().UTC()},
	}), d.cfg.Logger)
}

// Address returns the URL at which the daemon answers.
func (d *Daemon) Address() string { return "http://" + d.listener.Addr().String() }

// Node returns the daemon's node.
func (d *Daemon) Node() *node.Node { return d.node }

// Run answers requests until ctx ends, then tells each peer when to come again,
// lets the requests that run come to their end, for a while, and closes
// everything.
func (d *Daemon) Run(ctx context.Context) error {
	served := make(chan error, 1)
	go func() { served <- d.server.Serve(d.listener) }()
	var err error
	select {
	case err = <-served:
	case <-ctx.Done():
		err = d.shutDown()
	}
	return errors.Join(err, d.Close())
}

func (d *Daemon) shutDown() error {
	ctx, cancel := context.WithTimeout(context.Background(), drain)
	defer cancel()
	if err := d.node.Drain(ctx); err != nil {
		d.cfg.Logger.Warn("some peers did not take their leave", "code", "drain", "err", err)
	}
	d.stop()
	if err := d.server.Shutdown(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("daemon: %w", err)
	}
	return nil
}

// Close ends everything at once, what is durable stays. Closing again does
// nothing.
func (d *Daemon) Close() error {
	var errs []error
	if d.server != nil {
		d.stop()
		d.cfg.Dir.ClearAddress()
		errs = append(errs, d.server.Close())
	}
	if d.listener != nil {
		if err := d.listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	if d.peers != nil {
		d.peers.Close()
	}
	if d.node != nil {
		errs = append(errs, d.node.Close())
	}
	return errors.Join(errs...)
}
