package node

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/hlc"
	"github.com/joinery-crdt/joinery/internal/spacestore"
	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// ErrClosed: the node was closed.
var ErrClosed = errors.New("node: closed")

// ErrConfig is the kind of every [*ConfigError].
var ErrConfig = errors.New("node: unusable configuration")

// A ConfigError names a field of a Config that cannot be used.
type ConfigError struct {
	Field   string
	Problem string // what is wrong and what to do
}

// Error names the field.
func (e *ConfigError) Error() string { return fmt.Sprintf("node: Config.%s %s", e.Field, e.Problem) }

// Is makes a ConfigError match [ErrConfig].
func (e *ConfigError) Is(target error) bool { return target == ErrConfig }

// A Config says how a node runs. Only Store is required.
type Config struct {
	// Store holds everything that survives. The node owns it once Open has
	// returned it, and Close closes it.
	Store store.Store
	// Name is what people call this node, shown to its peers. May be empty.
	Name string
	// Kinds is the types the node knows, nil for the built-in ones. It must
	// not change afterwards.
	Kinds crdt.Kinds
	// MaxDrift is how far in the future a change may be stamped before its
	// origin is held back, 0 for hlc.DefaultMaxDrift.
	MaxDrift time.Duration
	// Heartbeat is the interval at which links repeat their state, 0 for 2 s.
	Heartbeat time.Duration
	// AuditInterval is how often each space is compared, cell by cell, with some
	// peer: see [Space.Audit]. 0 is for a day.
	AuditInterval time.Duration
	// MaxBackoff bounds the pause between attempts to connect, 0 for 60 s.
	MaxBackoff time.Duration
	// Recheck is how long a peer is left alone at which trying again cannot
	// help, 0 for 15 minutes. See [Node.Sync].
	Recheck time.Duration
	// MaxChange is the largest transaction that this node writes, encoded, in bytes,
	// 0 for [crdtsync.MaxChange], which is the most. What others write it takes up
	// to that. Peers of older versions take nothing above [crdtsync.MaxWhole].
	MaxChange int
	// MaxHandshakes is how many connections per second the node takes in; others
	// are told when to come again. 0 for 200.
	MaxHandshakes int
	// MaxInitialSyncs is how many peers that lack more than 1,000 changes are
	// sent them at a time; others wait in line and are told their place. 0 for
	// 16.
	MaxInitialSyncs int
	// Random draws a duration from 0 to limit, all equally likely; nil for a
	// generator that the runtime seeds. It must be safe for concurrent use.
	Random func(limit time.Duration) time.Duration
	// Now reads the wall clock, nil for time.Now.
	Now func() time.Time
	// NewOrigin makes the identity of a new store. Nil is for one that belongs to a
	// new key, with which the node then signs what it wrote: see [crdtsync.SignedHead].
	NewOrigin func() merge.Origin
	// Verify checks the credential of a peer that connects and says what it
	// allows; an error refuses the peer and is told to it. Nil lets everybody do
	// everything.
	Verify func(peer *crdtsync.Hello, a crdtsync.Auth) (crdtsync.Grant, error)
	// Prove returns what proves to a peer who this node is, nil for nothing. It is
	// asked again at each heartbeat, and must not block. A dialer that is a [Prover]
	// is asked in its place.
	Prove func(peer *crdtsync.Hello) *crdtsync.Auth
	// TrustDialled lets the peers that this node connects to do everything, without
	// a credential: that one is at the address says who it is. Verify is then for
	// those that connect to this node.
	TrustDialled bool
	// NewNonce names one end of one connection, nil for 16 random bytes.
	NewNonce func() crdtsync.Nonce
	// Copied says that Store holds a copy of another node's store or a restored
	// backup. It gets a new identity before anything else, so that no dot will
	// ever name two changes. Set it for the first opening only. A store that is
	// a [store.Placed] notices by itself.
	Copied bool
	// Hub says that others count on this node: what is durable here is safe from
	// the loss of the device that made it.
	Hub bool
	// Copies is the number of other nodes at which a change must be durable to
	// be Replicated, 0 for 2.
	Copies int
	// Tree says to push changes along a tree instead of over every connection. It
	// is for many nodes that are each connected to several others, and takes two.
	Tree bool
	// Lease is how long after it was last heard a member is waited for before a
	// change is Stable, 0 for 30 days. One that comes back later syncs all the
	// same.
	Lease time.Duration
	// TruncateEvery is the interval at which the logs of spaces lose what every
	// member that is waited for has durably, 0 for never. One whose lease has
	// ended, and a new one, get cells instead.
	TruncateEvery time.Duration
	// Logger receives what happens, nil for nowhere.
	Logger *slog.Logger
}

func (c *Config) check() error {
	if c.Store == nil {
		return &ConfigError{"Store", "is nil: open one, for example with boltstore"}
	}
	for _, d := range []struct {
		field string
		value time.Duration
	}{{"MaxDrift", c.MaxDrift}, {"Heartbeat", c.Heartbeat}, {"MaxBackoff", c.MaxBackoff}, {"AuditInterval", c.AuditInterval}, {"Recheck", c.Recheck}, {"Lease", c.Lease}, {"TruncateEvery", c.TruncateEvery}} {
		if d.value < 0 {
			return &ConfigError{d.field, fmt.Sprintf("is %v: use zero or a positive duration", d.value)}
		}
	}
	if c.MaxHandshakes < 0 || c.MaxInitialSyncs < 0 {
		return &ConfigError{"MaxHandshakes", "or MaxInitialSyncs is negative: use zero or a positive number"}
	}
	if c.MaxChange < 0 || c.MaxChange > crdtsync.MaxChange {
		return &ConfigError{"MaxChange", fmt.Sprintf("is %d: use zero or a number of bytes up to %d", c.MaxChange, crdtsync.MaxChange)}
	}
	return nil
}

func (c *Config) setDefaults() {
	if c.Kinds == nil {
		c.Kinds = crdt.Builtin()
	}
	if c.Heartbeat == 0 {
		c.Heartbeat = 2 * time.Second
	}
	if c.AuditInterval == 0 {
		c.AuditInterval = 24 * time.Hour
	}
	if c.MaxBackoff == 0 {
		c.MaxBackoff = time.Minute
	}
	if c.MaxDrift == 0 {
		c.MaxDrift = hlc.DefaultMaxDrift
	}
	c.MaxHandshakes = cmp.Or(c.MaxHandshakes, defaultHandshakes)
	c.MaxChange = cmp.Or(c.MaxChange, crdtsync.MaxChange)
	c.MaxInitialSyncs = cmp.Or(c.MaxInitialSyncs, defaultInitialSyncs)
	if c.Recheck == 0 {
		c.Recheck = defaultRecheck
	}
	if c.Random == nil {
		c.Random = func(limit time.Duration) time.Duration { return time.Duration(rand.Int64N(int64(limit) + 1)) }
	}
	if c.Copies == 0 {
		c.Copies = 2
	}
	if c.Lease == 0 {
		c.Lease = 30 * 24 * time.Hour
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.NewNonce == nil {
		c.NewNonce = func() crdtsync.Nonce { return crdtsync.Nonce(uuid.New()) }
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

// A Node is one running installation.
type Node struct {
	cfg   Config
	store store.Store
	clock *hlc.Clock
	log   *slog.Logger
	who   atomic.Pointer[identity]
	// When the node was opened, by a clock that is never set and by the wall's.
	opened, openedWall time.Time
	admission          *admission
	fanout             fanout
	parts              parts

	jobs   chan job
	mends  chan found
	ctx    context.Context // ends when the node closes
	cancel context.CancelFunc
	wg     sync.WaitGroup
	// stopped is closed when the committer has ended.
	stopped chan struct{}

	// ended is closed when Close has set closeErr.
	ended    chan struct{}
	closeErr error

	membersMoved atomic.Bool // since members were last made durable

	spacesMu sync.RWMutex // guards spaces
	spaces   map[string]*Space

	mu        sync.Mutex // guards what follows
	links     map[*peerLink]struct{}
	peers     map[*peer]struct{}
	endpoints map[string]*endpoint // by address
	closed    bool
	nonces    []crdtsync.Nonce
	keys      map[merge.Origin]ed25519.PrivateKey // to which own origins belong
	renewals  []Problem                           // how the node came to its origin
	failed    error                               // why the last commit did not succeed, nil if it did
	rungs     crdtsync.Rungs                      // of the links that have ended
	strangers strangers
}

// Open starts a node on a store. The store's identity is made at the first
// opening. When Open returns an error, the store is still the caller's.
func Open(ctx context.Context, cfg Config) (*Node, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	cfg.setDefaults()
	n := &Node{
		cfg: cfg, store: cfg.Store, log: cfg.Logger, jobs: make(chan job, maxGather), mends: make(chan found, maxMends), stopped: make(chan struct{}), ended: make(chan struct{}),
		spaces: make(map[string]*Space), links: make(map[*peerLink]struct{}), peers: make(map[*peer]struct{}),
		endpoints: make(map[string]*endpoint),
	}
	n.opened, n.openedWall, n.admission = time.Now(), cfg.Now(), newAdmission(&cfg)
	if err := n.loadOrigin(ctx); err != nil {
		return nil, err
	}
	if err := n.loadSpaces(ctx); err != nil {
		return nil, err
	}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	n.wg.Go(n.commitLoop)
	n.wg.Go(n.auditLoop)
	if n.cfg.TruncateEvery > 0 {
		n.wg.Go(n.truncateLoop)
	}
	return n, nil
}

// loadOrigin takes the origin that the store names, or a new one: of a new
// store, of one that is said to be a copy, and of one that notices it is.
func (n *Node) loadOrigin(ctx context.Context) error {
	var last string
	known, is := false, &identity{}
	n.who.Store(is)
	err := n.store.View(ctx, func(r store.Reader) (err error) {
		if is.Origin, known, err = spacestore.Origin(r); err != nil {
			return err
		}
		if is.Former, err = spacestore.Former(r); err != nil {
			return err
		}
		if n.keys, err = spacestore.Keys(r); err != nil {
			return err
		}
		last, err = spacestore.Place(r)
		return err
	})
	if err != nil {
		return err
	}
	place := store.Place(n.store)
	elsewhere := place != "" && last != "" && place != last
	if known && place == last && !n.cfg.Copied {
		return nil
	}
	var key ed25519.PrivateKey
	if before := is.Origin; !known || elsewhere || n.cfg.Copied {
		is.Origin, key = n.newIdentity()
		if n.addKey(is.Origin, key); elsewhere {
			n.log.Warn("the store is a copy, or a backup that was restored: it goes on under a new origin",
				"code", "new_origin", "origin", is.Origin, "before", before)
		}
	}
	return n.store.Update(ctx, func(tx store.Tx) error {
		return errors.Join(spacestore.SetOrigin(tx, is.Origin), keepKey(tx, key), spacestore.SetPlace(tx, place))
	})
}

func (n *Node) loadSpaces(ctx context.Context) error {
	var last hlc.Timestamp
	var news []string // spaces with ops that can be read now
	err := n.store.View(ctx, func(r store.Reader) error {
		for name, err := range r.Spaces() {
			if err != nil {
				return err
			}
			core, err := spacestore.Load(r, name, n.Origin(), n.cfg.Kinds)
			if err != nil {
				return err
			}
			s := newSpace(n, core)
			if err := cmp.Or(s.loadMembers(r), s.loadSigned(r), s.loadHeld(r)); err != nil {
				return err
			}
			n.spaces[name] = s
			last = max(last, core.Summary().LastTime)
			since, err := spacestore.Unread(r, name, n.cfg.Kinds)
			if err != nil {
				return err
			}
			if len(since) > 0 {
				news = append(news, name)
			}
		}
		return nil
	})
	if err == nil {
		err = n.reread(ctx, news)
	}
	if err != nil {
		return err
	}
	n.clock, err = hlc.NewClock(hlc.Config{Now: n.cfg.Now, MaxDrift: n.cfg.MaxDrift, After: last})
	return err
}

// Origin returns the identity under which the node writes. It changes when a peer
// shows that the node was restored from a backup or copied; see [Node.Status].
func (n *Node) Origin() merge.Origin { return n.identity().Origin }

func (n *Node) identity() *identity { return n.who.Load() }

// Store returns the node's store, for reading. The node owns it.
func (n *Node) Store() store.Store { return n.store }

// Name returns the name the node was configured with.
func (n *Node) Name() string { return n.cfg.Name }

// Close ends all links, finishes what the committer has begun and closes the
// store. Transactions that wait for their turn get [ErrClosed]. Close waits for
// a function of Update that is running, and for other calls of Close.
func (n *Node) Close() error {
	links, first := n.shut()
	if !first {
		<-n.ended
		return n.closeErr
	}
	for _, l := range links {
		l.end(ErrClosed)
	}
	n.cancel()
	n.wg.Wait()
	n.keepLast()
	n.closeErr = n.store.Close()
	close(n.ended)
	return n.closeErr
}

// shut lets no more links begin and returns those that run.
func (n *Node) shut() (links []*peerLink, first bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	first, n.closed = !n.closed, true
	return slices.Collect(maps.Keys(n.links)), first
}

// Spaces returns the names of the spaces that hold changes, ascending.
func (n *Node) Spaces() []string {
	n.spacesMu.RLock()
	defer n.spacesMu.RUnlock()
	var names []string
	for name, s := range n.spaces {
		if s.summary().Changes > 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// allLinks returns the running links.
func (n *Node) allLinks() []*peerLink {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Collect(maps.Keys(n.links))
}
