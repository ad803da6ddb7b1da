package simnet

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"strconv"

	"github.com/joinery-crdt/joinery/merge"
)

// epoch is the Unix millisecond at which every run begins.
const epoch = 1_750_000_000_000

// A world is the state of one run.
type world struct {
	damaged bool // cells of a node, so that nodes may differ for a while
	seed    uint64
	knobs   Knobs
	bugs    bugs

	now       int64 // ms since the beginning
	nodes     []*node
	pipes     []pipe     // by pipeIndex
	dials     int        // connections ever made, which numbers them
	links     [][2]*node // pairs that connect, the dialler first
	spaces    []string
	histories []*history
	labels    map[merge.Origin]string

	upgraded bool       // every node knows everything
	longs    uint64     // frames that went in pieces
	room     int        // for frames in flight in one direction
	fate     *rand.Rand // of frames after healing
	steps    int        // executed
	coverage Coverage
	hash     fnv
	trace    *trace // nil unless the run is to be told
	failure  *Failure
	only     []Oracle // that count, nil for all

	forked  []fork
	healed  bool
	settled bool // and at rest
	// blurred says that a change was applied on top of another than its author had
	// seen: what it removed may come back, and what it means cannot be said.
	blurred bool
}

// newWorld returns the world of a seed, with nothing in it yet.
func newWorld(seed uint64, k Knobs, b bugs, t *trace) *world {
	w := &world{seed: seed, knobs: k, bugs: b, trace: t, room: k.Room, hash: fnvOffset, labels: make(map[merge.Origin]string)}
	for i := range k.Spaces {
		name := fmt.Sprintf("s%d", i)
		w.spaces = append(w.spaces, name)
		w.histories = append(w.histories, newHistory(name))
	}
	w.pipes = make([]pipe, k.Nodes*k.Nodes)
	r := w.random("machines", 0)
	for i := range w.pipes {
		w.pipes[i].slow = r.IntN(100) < k.Slow
	}
	for i := range k.Nodes {
		n := newNode(w, i)
		if k.Skew > 0 {
			n.offset = r.Int64N(2*k.Skew+1) - k.Skew
		}
		w.nodes = append(w.nodes, n)
	}
	w.links = w.pairs()
	return w
}

// begin starts the nodes and connects them.
func (w *world) begin() {
	for _, n := range w.nodes {
		if !w.knobs.Late || n.id < w.knobs.Nodes-1 {
			n.start()
		}
	}
	for _, p := range w.links {
		w.connect(p[0], p[1])
	}
}

// random returns a generator of its own for one purpose.
func (w *world) random(purpose string, n uint64) *rand.Rand {
	h := fnvOffset
	h.write([]byte(purpose))
	return rand.New(rand.NewPCG(w.seed, uint64(h)+n))
}

// pairs returns the pairs of nodes that connect, the dialler first.
func (w *world) pairs() (pairs [][2]*node) {
	for a := range w.nodes {
		for b := a + 1; b < len(w.nodes); b++ {
			if w.knobs.Shape.joins(a, b, len(w.nodes)) {
				pairs = append(pairs, [2]*node{w.nodes[a], w.nodes[b]})
			}
		}
	}
	return pairs
}

func (w *world) spaceIndex(name string) int { return slices.Index(w.spaces, name) }

// do executes one step and turns a panic of the code under test into a failure.
func (w *world) do(s Step) {
	defer func() {
		if p := recover(); p != nil {
			w.violate(NoPanic, "%v\n%s", p, debug.Stack())
		}
	}()
	w.now += s.Wait
	w.steps++
	w.hash.number(uint64(s.Do)<<32 | uint64(s.Node)<<16 | uint64(s.Peer))
	if s.Node >= len(w.nodes) || s.Peer >= len(w.nodes) {
		return
	}
	w.act(s, w.nodes[s.Node], w.nodes[s.Peer])
	w.mend()
}

// mend lets nodes mend what they have found, sooner or later.
func (w *world) mend() {
	for _, n := range w.nodes {
		if len(n.mends) > 0 && w.steps%3 > 0 {
			n.mendAll(w.mendingCrash())
		}
	}
}

// mendingCrash is where in a mending the node crashes, now and then.
func (w *world) mendingCrash() CrashPoint {
	if w.knobs.CrashInside == 0 || w.healed || w.steps%5 > 1 {
		return NoCrash
	}
	return BeforeCommit + CrashPoint(w.steps%5)
}

func (w *world) act(s Step, n, peer *node) {
	switch s.Do {
	case Write:
		n.write(s, n.name())
	case Call:
		n.serve(s)
	case Deliver, Repeat, Drop:
		n.receive(peer, s)
	case Tick:
		n.tick()
	case Connect:
		w.connect(n, peer)
	case Reset:
		w.reset(n, peer)
	case SendAway:
		w.sendAway(w.nodes[s.Node], w.nodes[s.Peer])
	case HalfOpen:
		w.halfOpen(n, peer)
	case Clone:
		n.copyFrom(peer)
	case Dismiss, Readmit:
		n.turn(peer, s.Do == Dismiss)
	case Block, Unblock:
		w.block(n, peer, s.Do == Block)
	default:
		w.actOnMachine(s, n)
	}
}

func (w *world) actOnMachine(s Step, n *node) {
	switch s.Do {
	case Crash:
		n.crash("")
	case Restart:
		n.start()
	case Pause, Resume:
		n.pause(s.Do == Pause)
	case Jump:
		n.jump(s.Amount)
	case Fill, Free:
		n.fill(s.Do == Fill)
	case Backup:
		n.backUp()
	case Restore:
		n.restore()
	case Rollback:
		n.rollBack()
	case Retire:
		n.retire()
	case Trim:
		n.trim(s)
	case Truncate:
		n.truncate(s)
	}
}

// A Failure is the first oracle that a run violated.
type Failure struct {
	Oracle Oracle
	Step   int // number of the step
	Text   string
}

// Error says what is wrong.
func (f *Failure) Error() string {
	return fmt.Sprintf("simnet: %s violated at step %d: %s", f.Oracle, f.Step, f.Text)
}

// violate notes a violation; the first one of an oracle that counts stays.
func (w *world) violate(o Oracle, format string, args ...any) {
	if w.failure != nil || w.only != nil && !slices.Contains(w.only, o) {
		return
	}
	w.failure = &Failure{o, w.steps, fmt.Sprintf(format, args...)}
	w.tell(nil, "VIOLATION of %s: %s", o, w.failure.Text)
	if w.trace != nil {
		w.trace.ended = true
	}
}

// label names a dot for people: the node's letter, a prime for each origin it
// had before, and the number.
func (w *world) label(d merge.Dot) string {
	if l, ok := w.labels[d.Origin]; ok {
		return l + strconv.FormatUint(d.Seq, 10)
	}
	return d.String()
}

// An fnv is a running hash of what happened: FNV-1a over words of eight bytes,
// turned so that high bits reach low ones.
type fnv uint64

const (
	fnvOffset fnv = 14695981039346656037
	fnvPrime  fnv = 1099511628211
)

func (h *fnv) write(b []byte) {
	for ; len(b) >= 8; b = b[8:] {
		h.number(binary.LittleEndian.Uint64(b))
	}
	for _, c := range b {
		h.number(uint64(c))
	}
}

func (h *fnv) number(n uint64) {
	*h = fnv(bits.RotateLeft64(uint64((*h^fnv(n))*fnvPrime), 29))
}
