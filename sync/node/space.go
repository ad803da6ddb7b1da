package node

import (
	"cmp"
	"context"
	"errors"
	"sync"

	"github.com/joinery-crdt/joinery/internal/spacestore"
	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// A Space is the unit of replication, of transactions and of causal
// consistency. It holds objects, each named by a key and a type; an object
// exists by being named. A Space is safe for concurrent use.
type Space struct {
	node *Node
	name string
	bad  error // why the name cannot be used

	members *members
	signed  *signatures

	mu          sync.RWMutex // guards what follows
	core        *crdtsync.Space
	watchers    map[*watcher]struct{}
	intake      *intake                                 // a snapshot on its way, nil for none
	refused     map[merge.Origin]*crdtsync.RefusedError // first change of each origin that is held back
	diverged    bool                                    // a level peer holds other bytes
	corrections int                                     // of the fingerprint, since the node was opened
	repairs     repairs
	held        map[merge.Dot]spacestore.Held     // refused changes that are kept
	given       map[merge.Origin]spacestore.Given // origins that the node gave up
	splits      map[merge.Origin]crdtsync.Split   // what proves forks
	heldSize    int                               // bytes of them
	recent      crdtsync.Recent                   // what the links send next
}

func newSpace(n *Node, core *crdtsync.Space) *Space {
	return &Space{
		node: n, name: core.Name(), core: core,
		watchers: make(map[*watcher]struct{}), refused: make(map[merge.Origin]*crdtsync.RefusedError),
		members: newMembers(n.Origin()), signed: newSignatures(new(crdtsync.Signatures)), held: make(map[merge.Dot]spacestore.Held), given: make(map[merge.Origin]spacestore.Given), splits: make(map[merge.Origin]crdtsync.Split),
	}
}

// Space returns the space of that name, which exists from its first change on.
// A name that cannot be used shows as an error of every operation.
func (n *Node) Space(name string) *Space {
	if s := n.lookup(name); s != nil {
		return s
	}
	n.spacesMu.Lock()
	defer n.spacesMu.Unlock()
	if s, ok := n.spaces[name]; ok {
		return s
	}
	s := newSpace(n, n.newCore(name, n.Origin()))
	if s.bad = crdtsync.CheckName("space", name, crdtsync.MaxSpace); s.bad == nil {
		n.spaces[name] = s
	}
	return s
}

// newCore returns an empty space in which o writes.
func (n *Node) newCore(name string, o merge.Origin) *crdtsync.Space {
	return crdtsync.NewSpace(crdtsync.SpaceConfig{Name: name, Self: o, Kinds: n.cfg.Kinds})
}

// lookup returns the space of that name, nil if nobody has asked for it: what a
// peer names costs nothing.
func (n *Node) lookup(name string) *Space {
	n.spacesMu.RLock()
	defer n.spacesMu.RUnlock()
	return n.spaces[name]
}

// Name returns the name of the space.
func (s *Space) Name() string { return s.name }

// Vector returns what the space has applied, in a vector of the caller's own.
func (s *Space) Vector() *merge.VersionVector {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.core.Vector()
}

// Summary returns the account of what the space has applied: two spaces with
// equal Applied hold equal cells and so have equal Cells.
func (s *Space) Summary() crdtsync.Summary { return s.summary() }

func (s *Space) origins() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.core.Origins()
}

func (s *Space) contains(d merge.Dot) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.core.Contains(d)
}

// levelWith reports whether a peer holds what the space holds: the same changes
// and, lest an origin has forked, the same cells.
func (s *Space) levelWith(f *crdtsync.Frontier) bool {
	sum := s.summary()
	return sum.Applied == f.Applied && sum.Cells == f.Cells
}

func (s *Space) summary() crdtsync.Summary {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.core.Summary()
}

// Update runs fn and makes what it wrote one change: atomic, and after
// everything the space has applied. It returns nil when the change is durable.
// When fn returns an error, or a method of tx did, nothing is kept.
//
// The node's one committer waits while fn runs: fn should only compute, and
// must not call Update, View or Close. Transactions of many goroutines share
// one flush.
func (s *Space) Update(ctx context.Context, fn func(tx *Tx) error) error {
	if s.bad != nil {
		return s.bad
	}
	u := newUpdate(s)
	if err := s.node.submit(ctx, u); err != nil {
		return err
	}
	return u.do(ctx, fn)
}

// View runs fn over one consistent snapshot and returns its error. fn must not
// call Update.
func (s *Space) View(ctx context.Context, fn func(v *View) error) error {
	if s.bad != nil {
		return s.bad
	}
	err := s.node.store.View(ctx, func(r store.Reader) error {
		return fn(&View{space: s.name, r: r})
	})
	if errors.Is(err, store.ErrClosed) {
		return cmp.Or(s.node.closedErr(), err)
	}
	return err
}

// locals is what links read of the node. Every method takes the lock of the
// space it asks for.
type locals struct{ node *Node }

func (l locals) Spaces() []string { return l.node.Spaces() }

func (l locals) Vector(space string) *merge.VersionVector {
	if s := l.node.lookup(space); s != nil {
		return s.Vector()
	}
	return &merge.VersionVector{}
}

func (l locals) Summary(space string) (sum crdtsync.Summary) {
	if s := l.node.lookup(space); s != nil {
		sum = s.summary()
	}
	return sum
}

func (l locals) Head(space string, o merge.Origin) uint64 { return l.Last(space, o).Seq }

func (l locals) Last(space string, o merge.Origin) (h crdtsync.Head) {
	if s := l.node.lookup(space); s != nil {
		s.mu.RLock()
		defer s.mu.RUnlock()
		h = s.core.Head(o)
	}
	return h
}

func (l locals) Change(space string, d merge.Dot) (raw []byte, err error) {
	err = l.node.store.View(l.node.ctx, func(r store.Reader) (err error) {
		raw, err = spacestore.Change(r, space, d)
		return err
	})
	return raw, err
}
