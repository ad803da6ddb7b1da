package daemon

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/joinery-crdt/joinery/cmd/syncd/internal/api"
	"github.com/joinery-crdt/joinery/cmd/syncd/internal/objects"
	"github.com/joinery-crdt/joinery/cmd/syncd/internal/peers"
	"github.com/joinery-crdt/joinery/cmd/syncd/internal/tokens"
	v1 "github.com/joinery-crdt/joinery/cmd/syncd/internal/v1"
	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/boltstore"
	"github.com/joinery-crdt/joinery/store/pgstore"
	crdtsync "github.com/joinery-crdt/joinery/sync"
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
	tokens   *tokens.Book // nil if nobody has to show one
	tls      *certificate // nil without TLS
	listener net.Listener
	server   *http.Server
	stop     context.CancelFunc // ends watches and links
}

// Open opens the data directory and listens; requests are answered from Run on.
// The directory's store is locked until Run returns or Close is called.
func Open(ctx context.Context, cfg Config) (*Daemon, error) {
	cfg.setDefaults()
	if err := checkListen(cfg.Listen, cfg.AllowRemote || cfg.Tokens != ""); err != nil {
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
	if _, err := os.Stat(c.Dir.Tokens()); c.Tokens == "" && err == nil {
		c.Tokens = c.Dir.Tokens()
	}
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
	if err := d.openSecrets(); err != nil {
		return err
	}
	if err := d.openNode(ctx); err != nil {
		return err
	}
	if err := d.listen(ctx); err != nil {
		return err
	}
	dial, err := dialer(d.cfg.TLSCA)
	if err != nil {
		return err
	}
	d.peers, err = peers.Open(peers.Config{
		Node: d.node, Path: d.cfg.Dir.Peers(), Dial: dial, Log: d.cfg.Logger, TokenFile: d.cfg.PeerToken,
	}, d.cfg.Peers)
	if err != nil {
		return err
	}
	d.serveAPI()
	return d.announce()
}

// openSecrets reads tokens and certificate.
func (d *Daemon) openSecrets() (err error) {
	if d.cfg.PeerToken != "" {
		if _, err := tokens.ReadToken(d.cfg.PeerToken); err != nil {
			return err
		}
	}
	if d.cfg.Tokens != "" {
		if d.tokens, err = tokens.Open(d.cfg.Tokens); err != nil {
			return err
		}
	}
	if d.cfg.TLSCert != "" || d.cfg.TLSKey != "" {
		d.tls, err = openCertificate(d.cfg.TLSCert, d.cfg.TLSKey)
	}
	return err
}

func (d *Daemon) listen(ctx context.Context) (err error) {
	if d.listener, err = new(net.ListenConfig).Listen(ctx, "tcp", d.cfg.Listen); err != nil {
		return &ListenError{d.cfg.Listen, ErrListen, err.Error() + "; choose another with --listen, 127.0.0.1:0 for any free port"}
	}
	return nil
}

// announce notes what the programs of the daemon's user need to speak to it.
func (d *Daemon) announce() error {
	dir := d.cfg.Dir
	if d.tokens != nil {
		if err := dir.SetLocalToken(d.tokens.Local()); err != nil {
			return err
		}
	}
	if d.tls != nil {
		if err := dir.SetCertificate(d.tls.leaf()); err != nil {
			return err
		}
	}
	return dir.SetAddress(d.Address())
}

func (d *Daemon) openNode(ctx context.Context) error {
	st, err := d.openStore(ctx)
	if err != nil {
		return err
	}
	d.node, err = node.Open(ctx, node.Config{
		Store: st, Name: d.cfg.Name, Hub: d.cfg.Hub, Tree: d.cfg.Tree, Logger: d.cfg.Logger, Verify: d.verify(), TrustDialled: true,
		Heartbeat: d.cfg.Heartbeat, AuditInterval: d.cfg.AuditEvery, TruncateEvery: d.cfg.TruncateEvery, Lease: d.cfg.Lease,
	})
	if err != nil {
		return errors.Join(err, st.Close())
	}
	return nil
}

// verify returns what checks the tokens of peers, nil for letting everybody in.
func (d *Daemon) verify() func(*crdtsync.Hello, crdtsync.Auth) (crdtsync.Grant, error) {
	if d.tokens == nil {
		return nil
	}
	return d.tokens.Verify
}

// refreshEvery is how often files with secrets are looked at.
const refreshEvery = time.Second

// refresh acts on what changes in files with secrets, until ctx ends.
func (d *Daemon) refresh(ctx context.Context) {
	t := time.NewTicker(refreshEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
		if d.tokens != nil && d.tokens.Refresh() {
			d.node.Reauthorize()
		}
		d.peers.RefreshTokens()
		if d.tls != nil && d.tls.refresh(d.cfg.Logger) {
			if err := d.cfg.Dir.SetCertificate(d.tls.leaf()); err != nil {
				d.cfg.Logger.Warn("the certificate is not noted", "code", "certificate", "err", err)
			}
		}
	}
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
		Node: d.node, Peers: d.peers, Accept: accept, Stop: stopped, Tokens: d.tokens, Hosts: d.cfg.Hosts, Logger: d.cfg.Logger,
		About: v1.Status{Version: d.cfg.Version, Address: d.Address(), Dir: string(d.cfg.Dir), Started: time.Now().UTC()},
	}), d.cfg.Logger)
}

// Address returns the URL at which the daemon answers.
func (d *Daemon) Address() string {
	if d.tls != nil {
		return "https://" + d.listener.Addr().String()
	}
	return "http://" + d.listener.Addr().String()
}

// Guarded reports whether everybody has to show a token.
func (d *Daemon) Guarded() bool { return d.tokens != nil }

// Encrypted reports whether the daemon listens with TLS.
func (d *Daemon) Encrypted() bool { return d.tls != nil }

// Node returns the daemon's node.
func (d *Daemon) Node() *node.Node { return d.node }

// Run answers requests until ctx ends, then tells each peer when to come again,
// lets the requests that run come to their end, for a while, and closes
// everything.
func (d *Daemon) Run(ctx context.Context) error {
	served := make(chan error, 1)
	listener := d.listener
	if d.tls != nil {
		listener = tls.NewListener(listener, d.tls.config())
	}
	go func() { served <- d.server.Serve(listener) }()
	refreshing, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { d.refresh(refreshing) })
	defer wg.Wait()
	defer stop()
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
