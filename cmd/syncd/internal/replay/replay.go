package replay

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/joinery-crdt/joinery/crdt/object"
	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store/memstore"
	"github.com/joinery-crdt/joinery/sync/node"
)

// SpaceName is the space that a replay writes.
const SpaceName = "history"

// maxPaths is how many paths of one event go into one change; the largest
// events would not fit otherwise.
const maxPaths = 150

// cast is the nodes of a running replay.
type cast struct {
	history *History
	setup   Cast
	carrier *carrier
	nodes   map[int]*replica // by replica, those that are still needed
	lastUse map[int]int      // replica -> last event that needs it
	seen    [][]uint32       // by event: what it sees, itself included; nil when nobody needs it
	needed  []int            // by event: number of events that still need its seen
	union   *replica         // sees everything
	origins []merge.Origin   // by replica
	file    bytes.Buffer     // scratch
}

// replica is one writer of the history.
type replica struct {
	disk  *memstore.Disk
	node  *node.Node
	space *node.Space
	now   time.Time // its wall clock
	at    []uint32  // what it has seen, by replica
}

// A Cast says how the nodes of a replay are set up. The zero Cast is usable.
type Cast struct {
	// Seed decides how the carrier shuffles and repeats.
	Seed uint64
	// Fresh makes every replica begin with an empty store. Otherwise it begins
	// as people often set up a device: with a copy of another one's store, the
	// fullest that has seen nothing it may not see, under an origin of its own.
	Fresh bool
	// Log, if set, is told how far the replay is.
	Log func(format string, args ...any)
}

// Replay runs the history through one node per replica and returns a node that
// has seen all of it.
func Replay(ctx context.Context, h *History, setup Cast) (*node.Node, error) {
	c := &cast{
		history: h, setup: setup, carrier: newCarrier(setup.Seed),
		nodes: make(map[int]*replica), lastUse: make(map[int]int),
		seen: make([][]uint32, len(h.Events)), needed: make([]int, len(h.Events)),
	}
	defer c.close()
	for _, e := range h.Events {
		c.lastUse[e.Replica] = e.ID
		for _, p := range e.Parents {
			c.lastUse[h.Events[p].Replica] = e.ID
			c.needed[p]++
		}
	}
	for id := range h.Replicas {
		c.origins = append(c.origins, originOf(id))
	}
	var err error
	if c.union, err = c.open(ctx, -1, nil); err != nil {
		return nil, err
	}
	for i := range h.Events {
		if setup.Log != nil && i > 0 && i%5000 == 0 {
			setup.Log("replayed %d of %d events", i, len(h.Events))
		}
		if err := c.play(ctx, &h.Events[i]); err != nil {
			c.union.node.Close()
			return nil, fmt.Errorf("replay: event %d of replica %d: %w", i, h.Events[i].Replica, err)
		}
	}
	return c.union.node, nil
}

func (c *cast) close() {
	for _, r := range c.nodes {
		r.node.Close()
	}
}

// open starts the node of a replica, on a copy of another one's store if that is
// not nil; -1 stands for the node that sees all.
func (c *cast) open(ctx context.Context, id int, from *replica) (*replica, error) {
	r := &replica{disk: &memstore.Disk{}, at: make([]uint32, c.history.Replicas)}
	if from != nil {
		r.disk = from.disk.Clone()
		copy(r.at, from.at)
	}
	st, err := memstore.Open(r.disk)
	if err != nil {
		return nil, err
	}
	n, err := node.Open(ctx, node.Config{
		Store:  st,
		Copied: from != nil,
		// The clocks of a history were never compared with each other: any
		// drift is taken.
		MaxDrift:  200 * 365 * 24 * time.Hour,
		Now:       func() time.Time { return r.now },
		NewOrigin: func() merge.Origin { return originOf(id) },
	})
	if err != nil {
		return nil, err
	}
	r.node, r.space = n, n.Space(SpaceName)
	return r, nil
}

// fullest returns the running replica that has seen most of what the parents of
// e saw and nothing else, nil if there is none.
func (c *cast) fullest(e *Event) *replica {
	if c.setup.Fresh {
		return nil
	}
	may := make([]uint32, c.history.Replicas)
	for _, p := range e.Parents {
		for i, seq := range c.seen[p] {
			may[i] = max(may[i], seq)
		}
	}
	var best *replica
	most := uint64(0)
	for _, id := range slices.Sorted(maps.Keys(c.nodes)) {
		if n, ok := within(c.nodes[id].at, may); ok && n > most {
			best, most = c.nodes[id], n
		}
	}
	return best
}

// within returns the number of changes in a vector, if all are in may.
func within(at, may []uint32) (n uint64, ok bool) {
	for i, seq := range at {
		if seq > may[i] {
			return 0, false
		}
		n += uint64(seq)
	}
	return n, true
}

// originOf returns the origin of a replica: the same in every run.
func originOf(id int) merge.Origin {
	return merge.Origin(uuid.NewSHA1(uuid.NameSpaceOID, binary.BigEndian.AppendUint64([]byte("joinery replay "), uint64(id))))
}

// play brings the event's replica what its parents saw, makes its changes, and
// lets go of the nodes that nobody needs any more.
func (c *cast) play(ctx context.Context, e *Event) error {
	r, ok := c.nodes[e.Replica]
	if !ok {
		var err error
		if r, err = c.open(ctx, e.Replica, c.fullest(e)); err != nil {
			return err
		}
		c.nodes[e.Replica] = r
	}
	r.now = time.Unix(e.Time, 0)
	for _, p := range e.Parents {
		if err := c.bring(ctx, c.nodes[c.history.Events[p].Replica], r, c.seen[p]); err != nil {
			return err
		}
	}
	made, err := r.make(ctx, e)
	if err != nil {
		return err
	}
	r.at[e.Replica] += made
	if c.needed[e.ID] > 0 {
		c.seen[e.ID] = append([]uint32(nil), r.at...)
	}
	return c.release(ctx, e)
}

// release lets go of what e was the last to need.
func (c *cast) release(ctx context.Context, e *Event) error {
	ids := []int{e.Replica}
	for _, p := range e.Parents {
		if c.needed[p]--; c.needed[p] == 0 {
			c.seen[p] = nil
		}
		ids = append(ids, c.history.Events[p].Replica)
	}
	for _, id := range ids {
		r, ok := c.nodes[id]
		if !ok || c.lastUse[id] > e.ID {
			continue
		}
		if err := c.bring(ctx, r, c.union, r.at); err != nil {
			return err
		}
		delete(c.nodes, id)
		if err := r.node.Close(); err != nil {
			return err
		}
	}
	return nil
}

// bring carries from one replica to another what the vector seen contains and
// the other lacks, as a drop file.
func (c *cast) bring(ctx context.Context, from, to *replica, seen []uint32) error {
	if from == to || !to.lacks(seen) {
		return nil
	}
	until := c.vector(seen)
	c.file.Reset()
	if _, err := from.space.Export(ctx, &c.file, node.Cut{Since: to.space.Vector(), Until: until}); err != nil {
		return err
	}
	carried, err := c.carrier.carry(&c.file)
	if err != nil {
		return err
	}
	report, err := to.node.Import(ctx, carried)
	if err != nil {
		return err
	}
	if report.Refused > 0 {
		return fmt.Errorf("%d changes refused: %s", report.Refused, report.Reason)
	}
	for i, seq := range seen {
		to.at[i] = max(to.at[i], seq)
	}
	if want := c.vector(to.at); !to.space.Vector().Equal(want) {
		return fmt.Errorf("the node has seen other changes than the event")
	}
	return nil
}

func (r *replica) lacks(seen []uint32) bool {
	for i, seq := range seen {
		if seq > r.at[i] {
			return true
		}
	}
	return false
}

func (c *cast) vector(seen []uint32) *merge.VersionVector {
	v := &merge.VersionVector{}
	v.Grow(len(seen))
	for id, seq := range seen {
		if seq > 0 {
			v.Raise(merge.Dot{Origin: c.origins[id], Seq: uint64(seq)})
		}
	}
	return v
}

// make writes the event's changes and returns the number of transactions.
func (r *replica) make(ctx context.Context, e *Event) (made uint32, err error) {
	for rest := e.Changes; len(rest) > 0; made++ {
		part := rest[:min(len(rest), maxPaths)]
		rest = rest[len(part):]
		err := r.space.Update(ctx, func(tx *node.Tx) error {
			for _, c := range part {
				if err := write(tx, e.ID, c); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return made, err
		}
	}
	return made, nil
}

// write does to every type what one change of the history means.
func write(tx object.Tx, id int, c PathChange) error {
	path := c.Path()
	if c.Deletes() {
		return firstError(
			twoPhase.Remove(tx, path), addWins.Remove(tx, path), removeWins.Remove(tx, path),
			register(path).Clear(tx), decrements.Add(tx, 1), value.Add(tx, -1),
		)
	}
	removed, err := wasRemoved(tx, path)
	if err == nil && !removed {
		err = twoPhase.Add(tx, path)
	}
	return firstError(
		err, grown.Add(tx, path), addWins.Add(tx, path), removeWins.Add(tx, path),
		register(path).Set(tx, id), increments.Add(tx, 1), value.Add(tx, 1),
	)
}

// wasRemoved reports whether a two-phase set would refuse the path.
func wasRemoved(tx object.Tx, path string) (bool, error) {
	ever, err := grown.Has(tx, path)
	if err != nil || !ever {
		return false, err
	}
	present, err := twoPhase.Has(tx, path)
	return !present, err
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// carrier takes changes from one replica to another and is careless about their
// order and about how often they are there.
type carrier struct {
	rand *rand.Rand
	file bytes.Buffer // scratch
}

func newCarrier(seed uint64) *carrier { return &carrier{rand: rand.New(rand.NewPCG(seed, 0))} }

// The carrier shuffles changes within windows and repeats one in repeatOneIn.
const (
	window      = 64
	repeatOneIn = 16
)

// carry returns the drop file with its changes shuffled and some of them
// repeated. The result is valid until the next call.
func (c *carrier) carry(r io.Reader) (io.Reader, error) {
	c.file.Reset()
	return &c.file, reorder(&c.file, r, func(changes [][]byte) [][]byte { return mix(c.rand, changes) })
}

func mix[M any](r *rand.Rand, changes []M) (mixed []M) {
	for len(changes) > 0 {
		n := min(window, len(changes))
		part := append([]M(nil), changes[:n]...)
		changes = changes[n:]
		for _, m := range part[:n] {
			if r.IntN(repeatOneIn) == 0 {
				part = append(part, m)
			}
		}
		r.Shuffle(len(part), func(i, j int) { part[i], part[j] = part[j], part[i] })
		mixed = append(mixed, part...)
	}
	return mixed
}
