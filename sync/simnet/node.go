package simnet

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/hlc"
	"github.com/joinery-crdt/joinery/internal/spacestore"
	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/memstore"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// A node is one simulated machine with the driver that a real node has: it
// feeds the core, makes durable what the core says, and moves frames.
type node struct {
	world       *world
	id          int
	is          *spacestore.Identity // nil before it was first started
	origin      merge.Origin         // of is
	incarnation int                  // how many origins it has had
	restarts    int

	disk   *memstore.Disk
	backup *backup
	store  *memstore.Store // nil while the node is down
	clock  *hlc.Clock
	offset int64 // error of the wall clock, ms
	paused bool
	full   bool // the disk

	rolledBack bool // and has not heard of it
	upgraded   bool // knows all kinds now

	kinds      crdt.Kinds
	spaces     []*crdtsync.Space                   // by number; nil for one the node has not met
	late       *batch                              // whose cells a mutant writes with the next heartbeat
	intakes    []*intake                           // by number of the space: snapshots that come, nil for none
	sides      []*side                             // by peer; nil for none
	applied    []holding                           // by space: what the simulator has seen it commit
	judged     []bool                              // by space: nothing there has changed since
	given      []map[merge.Origin]spacestore.Given // by space: origins that the node gave up
	recent     []crdtsync.Recent                   // by space: what the links send next
	splits     []map[merge.Origin]crdtsync.Split   // by space: what proves forks
	membership []*membership                       // by space, nil for none
	mends      []found                             // what the node has yet to mend

	parts crdtsync.Partials // of changes and frames that come in parts

	removals []merge.Dot       // that a mutant has sent
	trusted  []crdtsync.Cursor // that a mutant noted too early
}

// A backup is a copy of a store and what it held.
type backup struct {
	disk    *memstore.Disk
	applied []holding
}

func newNode(w *world, id int) *node {
	n := &node{
		world: w, id: id, disk: &memstore.Disk{}, kinds: w.bugs.wrap(crdt.Builtin()),
		spaces: make([]*crdtsync.Space, w.knobs.Spaces), intakes: make([]*intake, w.knobs.Spaces), sides: make([]*side, w.knobs.Nodes),
		applied: make([]holding, w.knobs.Spaces), judged: make([]bool, w.knobs.Spaces),
		given: make([]map[merge.Origin]spacestore.Given, w.knobs.Spaces), recent: make([]crdtsync.Recent, w.knobs.Spaces),
		membership: make([]*membership, w.knobs.Spaces),
		splits:     make([]map[merge.Origin]crdtsync.Split, w.knobs.Spaces),
	}
	n.forgetMemory()
	if w.knobs.Older && id == w.knobs.Nodes-1 {
		delete(n.kinds, w.unknownKind())
	}
	return n
}

// unknownKind is the kind that an older node does not know.
func (w *world) unknownKind() string { return kindNames[w.seed%uint64(len(kindNames))] }

func (n *node) name() string { return fmt.Sprintf("n%d", n.id) }

// running reports whether the node does anything.
func (n *node) running() bool { return n.store != nil && !n.paused }

// wall reads the node's wall clock.
func (n *node) wall() time.Time { return time.UnixMilli(epoch + n.world.now + n.offset) }

// start opens the store and loads what it holds.
func (n *node) start() {
	if n.store != nil {
		return
	}
	var err error
	if n.store, err = memstore.Open(n.disk); err != nil {
		n.world.violate(Protocol, "%s cannot open its store: %v", n.name(), err)
		return
	}
	n.restarts++
	n.parts = crdtsync.Partials{}
	clear(n.judged)
	if err := n.load(); err != nil {
		n.world.violate(Durability, "%s cannot load its state: %v", n.name(), err)
		return
	}
	n.world.tell(n, "starts%s", n.describeState())
	n.checkReopened()
}

func (n *node) load() error {
	if err := n.identify(); err != nil {
		return err
	}
	last := hlc.Timestamp(0)
	var news []string // spaces with ops that can be read now
	err := n.view(func(r store.Reader) error {
		for name, err := range r.Spaces() {
			if err != nil {
				return err
			}
			s, err := n.loadSpace(r, name)
			if err != nil {
				return err
			}
			if err := n.loadForks(r, name); err != nil {
				return err
			}
			if err := n.loadMembers(r, name); err != nil {
				return err
			}
			n.spaces[n.world.spaceIndex(name)] = s
			since, err := spacestore.Unread(r, name, n.kinds)
			if err != nil {
				return err
			}
			if len(since) > 0 {
				news = append(news, name)
			}
			last = max(last, s.Summary().LastTime)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, name := range news {
		if err := n.reread(name); err != nil {
			return err
		}
	}
	if n.world.bugs.staleClock {
		last = 0
	}
	n.clock, err = hlc.NewClock(hlc.Config{
		Now: n.wall, After: last, MaxDrift: time.Duration(n.world.knobs.MaxDrift) * time.Millisecond,
	})
	return err
}

// reread applies what the node could not read before it was upgraded.
func (n *node) reread(space string) error {
	i, left := n.world.spaceIndex(space), uint64(0)
	before := n.spaces[i].Summary().Unread
	err := n.store.Update(background, func(tx store.Tx) (err error) {
		left, err = spacestore.Reread(tx, n.spaces[i], n.kinds)
		return err
	})
	if err == nil {
		err = n.view(func(r store.Reader) (err error) {
			n.spaces[i], err = n.loadSpace(r, space)
			return err
		})
	}
	n.world.coverage[SeenReread] += int(before - left)
	return err
}

// upgrade makes a node that does not know all kinds one that does.
func (n *node) upgrade() {
	if !n.older() {
		return
	}
	n.crash("to be upgraded")
	n.kinds, n.upgraded = n.world.bugs.wrap(crdt.Builtin()), true
}

func (n *node) loadSpace(r store.Reader, name string) (*crdtsync.Space, error) {
	s, err := spacestore.Load(r, name, n.origin, n.kinds)
	if err != nil {
		return nil, err
	}
	return crdtsync.NewSpace(n.config(s)), nil
}

// config returns the state of s as a configuration, with the bound on waiting
// changes that the run has drawn.
func (n *node) config(s *crdtsync.Space) crdtsync.SpaceConfig {
	cfg := crdtsync.SpaceConfig{
		Name: s.Name(), Self: n.origin, Kinds: n.kinds, Summary: s.Summary(),
		Heads: make(map[merge.Origin]crdtsync.Head), MaxWaiting: n.maxWaiting(), Floor: s.Floors(), Severed: s.AllSevered(),
	}
	for d := range s.Heads() {
		cfg.Heads[d.Origin] = s.Head(d.Origin)
		if n.world.bugs.forgetDeps {
			h := cfg.Heads[d.Origin]
			h.Tip = false
			cfg.Heads[d.Origin] = h
		}
	}
	return cfg
}

// maxWaiting is how many changes the node lets wait.
func (n *node) maxWaiting() int {
	if n.world.bugs.unboundedWaiting {
		return 0
	}
	return n.world.knobs.Waiting
}

// identify reads the node's origin from its store or gives it a new one.
func (n *node) identify() error {
	known, is := false, &spacestore.Identity{}
	err := n.view(func(r store.Reader) (err error) {
		if is.Origin, known, err = spacestore.Origin(r); err != nil {
			return err
		}
		is.Former, err = spacestore.Former(r)
		return err
	})
	if err != nil {
		return err
	}
	n.become(is)
	if known {
		return nil
	}
	return n.renew()
}

func (n *node) become(is *spacestore.Identity) { n.is, n.origin = is, is.Origin }

// forgetMemory drops what is not in the store.
func (n *node) forgetMemory() {
	n.clock, n.paused, n.late, n.mends = nil, false, nil, nil
	clear(n.spaces)
	clear(n.recent)
	clear(n.membership)
	for i := range n.given {
		n.given[i] = make(map[merge.Origin]spacestore.Given)
		n.splits[i] = make(map[merge.Origin]crdtsync.Split)
	}
}

// renew gives the node a new origin.
func (n *node) renew() error {
	n.become(&spacestore.Identity{Origin: n.newOrigin(), Former: n.is.Former})
	return n.store.Update(background, func(tx store.Tx) error { return spacestore.SetOrigin(tx, n.origin) })
}

// newOrigin draws an origin and gives it a name.
func (n *node) newOrigin() (o merge.Origin) {
	r := n.world.random("origins", uint64(n.id)<<16|uint64(n.incarnation))
	for i := range o {
		o[i] = byte(r.Uint32())
	}
	label := string(rune('a' + n.id))
	for range n.incarnation {
		label += "'"
	}
	n.incarnation++
	n.world.labels[o] = label
	return o
}

func (n *node) view(fn func(store.Reader) error) error { return n.store.View(background, fn) }

// space returns a space of the node's, which may be new to it.
func (n *node) space(i int) *crdtsync.Space {
	if n.spaces[i] == nil {
		n.spaces[i] = n.emptySpace(n.world.spaces[i], n.origin)
	}
	return n.spaces[i]
}

func (n *node) emptySpace(name string, self merge.Origin) *crdtsync.Space {
	return crdtsync.NewSpace(crdtsync.SpaceConfig{Name: name, Self: self, Kinds: n.kinds, MaxWaiting: n.maxWaiting()})
}

// known returns the spaces that the node has.
func (n *node) known() []*crdtsync.Space {
	return slices.DeleteFunc(slices.Clone(n.spaces), func(s *crdtsync.Space) bool { return s == nil })
}

// step hands a frame to the link and does what it asks.
func (n *node) step(peer *node, s *side, f crdtsync.Frame, by Step) {
	n.checkResume(peer, f)
	ready := s.link.Step(f)
	n.world.noteParts(f, ready)
	n.noteMembers(s, f, ready.Meetings)
	n.follow(peer, ready)
	n.meetBefore(peer, ready)
	n.takeStaged(peer, s, ready, by)
	offers := n.offersOf(ready.Offer, f)
	if len(offers) > 0 && n.sides[peer.id] == s {
		n.take(peer, offers, ready.Position, by)
	}
	n.stepLong(peer, s, ready.Long, by)
	n.pump()
	if peer.running() {
		peer.pump()
	}
}

// take commits offered changes, and with them the transaction of the step.
func (n *node) take(peer *node, offers []crdtsync.Offered, position uint64, by Step) {
	if n.world.bugs.forces() {
		for _, o := range offers {
			if n.running() {
				b := &batch{node: n, from: peer, offers: []crdtsync.Offered{o}}
				b.commit(by.Crash)
			}
		}
		return
	}
	b := &batch{node: n, from: peer, offers: offers, position: position}
	if s := n.sides[peer.id]; s != nil && s.link.Peer() != nil {
		b.origin = s.link.Peer().Origin
	}
	if len(by.Ops) > 0 {
		n.world.coverage[FaultBatch]++
		b.write, b.space, b.client = by.Ops, by.Space, n.name()
	}
	b.commit(by.Crash)
}

// follow does what a link asks, changes apart.
func (n *node) follow(peer *node, r crdtsync.Ready) {
	w := n.world
	n.send(peer, r.Send)
	n.foundForks(r.Forks...)
	n.foundSplits(r.Splits...)
	defer n.compareCells(peer, r.Comparing)
	n.abandon(peer, r)
	for _, space := range r.Diverged {
		if w.damaged || w.forked != nil {
			break
		}
		w.violate(Convergence, "%s and %s have applied the same changes of %s and hold different cells", n.name(), peer.name(), space)
	}
	for _, nack := range r.Refused {
		w.tell(n, "hears that %s refuses %s: %s", peer.name(), w.label(nack.Dot), nack.Code)
	}
	away, sentAway := errors.AsType[*crdtsync.GoawayError](r.Err)
	switch {
	case r.Err == nil:
		return
	case sentAway:
		w.tell(n, "is sent away by %s: %s", peer.name(), away.Code)
	case r.Err == crdtsync.ErrSilent:
		w.coverage[FaultSilence]++
		w.tell(n, "takes %s for dead", peer.name())
	default:
		w.violate(Protocol, "%s ends its link with %s: %v", n.name(), peer.name(), r.Err)
	}
	w.hangUp(n, peer)
}

// tick is a heartbeat of the node.
func (n *node) tick() {
	if !n.running() {
		return
	}
	if !n.world.healed {
		n.world.tell(n, "ticks")
	}
	n.mendLate()
	for _, id := range n.peers() {
		if s := n.sides[id]; s != nil {
			r := s.link.Tick()
			n.world.noteParts(nil, r)
			n.noteMembers(s, nil, r.Meetings)
			n.follow(n.world.nodes[id], r)
			n.takeStaged(n.world.nodes[id], s, r, Step{})
		}
		if s := n.sides[id]; s != nil && n.running() {
			n.gossip(n.world.nodes[id], s)
		}
	}
	if n.running() {
		n.keepMembers()
	}
	n.pump()
}

// peers returns the numbers of all nodes, ascending but in a mutant.
func (n *node) peers() (ids []int) {
	if !n.world.bugs.mapOrder {
		for id := range n.sides {
			ids = append(ids, id)
		}
		return ids
	}
	set := make(map[int]bool)
	for id := range n.sides {
		set[id] = true
	}
	return slices.Collect(maps.Keys(set))
}

// pump takes data from the links as far as the network carries it.
func (n *node) pump() {
	for id := range n.sides {
		n.pumpTo(id)
	}
}

func (n *node) pumpTo(id int) {
	peer := n.world.nodes[id]
	for n.sides[id] != nil && n.world.pipe(n, peer).data < n.world.knobs.Flight {
		f, err := n.sides[id].link.Next()
		if err != nil {
			n.world.violate(Protocol, "%s cannot read its log: %v", n.name(), err)
		}
		if f == nil {
			break
		}
		n.send(peer, []crdtsync.Frame{f})
	}
}

// write runs a local transaction of a client.
func (n *node) write(s Step, client string) {
	if !n.running() || s.Space >= len(n.spaces) {
		return
	}
	b := &batch{node: n, write: s.Ops, space: s.Space, client: client}
	b.commit(s.Crash)
	n.pump()
}

func sortedHeads(m map[merge.Origin]crdtsync.Head) []merge.Dot {
	dots := make([]merge.Dot, 0, len(m))
	for o, h := range m {
		dots = append(dots, merge.Dot{Origin: o, Seq: h.Seq})
	}
	slices.SortFunc(dots, merge.Dot.Compare)
	return dots
}
