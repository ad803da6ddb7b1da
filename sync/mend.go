package sync

import (
	"errors"
	"fmt"
	"slices"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/merge"
)

// A MendCell is a cell that two nodes hold differently, as one of them has it.
type MendCell struct {
	Key   []byte // stored form
	State []byte // nil if it is absent
	// Proved says that the state is what the log of its holder gives, from the
	// first change on.
	Proved bool
	// Withheld says that the holder has it and that it does not fit into a frame:
	// the state is not known.
	Withheld bool
}

func (c *MendCell) known() bool { return c != nil && !c.Withheld }

// A Mending asks the driver to look at cells that a peer holds differently. The
// driver takes a [Proof] of them, opens a stage, lets [Stage.Mend] decide, makes
// the outcome durable and reports with [Link.Mended].
type Mending struct {
	Space   string
	Applied Fingerprint // that both must have for their cells to be comparable
	Keys    [][]byte    // stored keys, ascending
	Theirs  []MendCell  // what the peer holds, ascending; what is not there is not known
	role    mendRole
	last    bool // of several
}

// mendRole is what a mending is part of.
type mendRole uint8

const (
	mendFirst  mendRole = iota // of the side that compares, before it shows its cells
	mendAnswer                 // of the other side, which shows its own then
	mendTake                   // of the side that compares, with what it was shown
	mendNews                   // of the other side, with what came out differently
)

// A Mended is the outcome of a Mending.
type Mended struct {
	Cells    []MendCell // as they are now, in the order of Keys
	Repaired [][]byte   // keys of cells that changed here
	Disputed [][]byte   // keys that the logs of both sides give different states for: an origin has forked
}

// A Proof is what the log of a node gives for some cells.
type Proof struct {
	Applied  Fingerprint // of what the log was read up to
	complete bool
	states   map[string][]byte
}

// Prove evaluates the log of a space, up to what s has applied, for the given
// stored keys. A log that does not go back to the first change, or in which a
// change is not the one that the next or the head names by its hash, proves
// nothing. s must not change meanwhile; log may have moved on.
func Prove(log Local, s *Space, keys [][]byte) *Proof {
	p := &prover{
		Proof: Proof{Applied: s.summary.Applied, states: make(map[string][]byte, len(keys))},
		kinds: s.kinds, chain: make(map[merge.Origin]Hash),
	}
	for _, key := range keys {
		p.states[string(key)] = nil
	}
	out := NewOutbox(s.name, &merge.VersionVector{}, s.Vector())
	out.Fill(log)
	for {
		batch, err := out.Take(log, maxFrameChanges, maxFrameBytes)
		if err != nil || len(batch) == 0 {
			p.complete = err == nil && p.meets(s)
			return &p.Proof
		}
		for _, raw := range batch {
			if !p.apply(raw) {
				return &p.Proof
			}
		}
	}
}

// prover is a proof that is being made.
type prover struct {
	Proof
	kinds crdt.Kinds
	seen  merge.VersionVector
	chain map[merge.Origin]Hash
	key   []byte
}

// apply joins what a change does to the cells concerned, and reports whether
// the change is the one that its predecessor is named by.
func (p *prover) apply(raw []byte) bool {
	c, err := DecodeChange(raw)
	if err != nil || c.Prev != p.chain[c.Dot.Origin] {
		return false
	}
	p.chain[c.Dot.Origin] = c.Hash()
	for i := range c.Ops {
		if err := p.join(c, &c.Ops[i]); err != nil {
			return false
		}
	}
	p.seen.Raise(c.Dot)
	return true
}

func (p *prover) join(c *Change, op *CellOp) error {
	p.key, _ = op.Cell.AppendBinary(p.key[:0])
	state, ok := p.states[string(p.key)]
	kind := p.kinds[op.Cell.Kind]
	if !ok || kind == nil {
		return nil
	}
	w := c.write(op)
	w.Element = []byte(op.Cell.Element)
	after, err := kind.Join(state, &p.seen, w)
	if err == nil {
		p.states[string(p.key)] = after
	}
	return err
}

// meets reports whether the chains end in the heads of the space.
func (p *prover) meets(s *Space) bool {
	for o, h := range s.heads {
		if p.chain[o] != h.Hash {
			return false
		}
	}
	return true
}

// state returns what the log gives for a cell, and whether it does.
func (p *Proof) state(key []byte) (state []byte, ok bool) {
	state, known := p.states[string(key)]
	return state, known && p.complete
}

// ErrMoved: something else was applied since, so that cells cannot be compared.
// Another comparison will find what is left.
var ErrMoved = errors.New("sync: the space has moved on since its cells were compared")

// Correct makes good for what the fingerprint of the cells is off by, because
// cells were changed behind the node's back.
func (st *Stage) Correct(off Fingerprint) {
	st.summary.Cells.add(off)
	st.mended = true
}

// Mend decides what each of the cells should be, the same way on every node, and
// makes it so:
//
//   - what the own log gives, if it is whole;
//   - or else what the peer's log gives, if that is whole;
//   - or else all that either side has: what was removed may come back, and
//     nothing that was kept is lost.
//
// Nothing happens, and the error is [ErrMoved], unless the stage, the proof and
// the mending are of the same changes.
func (st *Stage) Mend(m *Mending, proof *Proof) (*Mended, error) {
	if applied := st.summary.Applied; applied != m.Applied || applied != proof.Applied {
		return nil, ErrMoved
	}
	done := &Mended{}
	theirs := m.Theirs
	for _, key := range m.Keys {
		var other *MendCell
		if len(theirs) > 0 && string(theirs[0].Key) == string(key) {
			other, theirs = &theirs[0], theirs[1:]
		}
		if err := st.mendCell(key, other, proof, done); err != nil {
			return nil, err
		}
	}
	return done, nil
}

func (st *Stage) mendCell(key []byte, theirs *MendCell, proof *Proof, done *Mended) error {
	name, err := ParseCellKey(key)
	if err != nil {
		return err
	}
	kind := st.space.kinds[name.Kind]
	if kind == nil {
		return nil // its ops are counted as unread: nothing is compared then
	}
	c, err := st.cell(name)
	if err != nil {
		return err
	}
	state, proved := proof.state(key)
	switch {
	case proved:
		if theirs.known() && theirs.Proved && !same(state, theirs.State) {
			done.Disputed = append(done.Disputed, key)
		}
	case !theirs.known():
		state = c.after
	case theirs.Proved:
		state = theirs.State
	default:
		state = keepBoth(kind, []byte(name.Element), c.after, theirs.State)
	}
	if !same(state, c.after) {
		if st.record {
			st.effects = append(st.effects, []Effect{{Op: &CellOp{Cell: name}, Before: c.after, After: state}})
		}
		c.after, st.mended = state, true
		done.Repaired = append(done.Repaired, key)
	}
	done.Cells = append(done.Cells, MendCell{Key: key, State: state, Proved: proved})
	return nil
}

// keepBoth joins two states of which nobody knows which is right: every dot that
// either holds stays. A state that is no cell counts for nothing.
func keepBoth(kind crdt.Kind, element, mine, theirs []byte) []byte {
	a, okA := heldAlone(kind, element, mine)
	b, okB := heldAlone(kind, element, theirs)
	switch {
	case !okB:
		return mine
	case !okA:
		return theirs
	}
	state, err := kind.Merge(element, a, b)
	if err != nil {
		return mine
	}
	return state
}

// heldAlone returns a cell whose holder has seen what is in it and nothing else.
func heldAlone(kind crdt.Kind, element, cell []byte) (h crdt.Held, ok bool) {
	live := &liveDots{}
	if _, err := kind.Merge(element, crdt.Held{Seen: noDots{}}, crdt.Held{Cell: cell, Seen: allDots{}}); err != nil {
		return h, false
	}
	_, err := kind.Merge(element, crdt.Held{Cell: cell, Seen: allDots{}}, crdt.Held{Seen: live})
	return crdt.Held{Cell: cell, Seen: live.set()}, err == nil
}

type (
	allDots struct{}
	noDots  struct{}
	// liveDots contains nothing and remembers what it was asked for.
	liveDots struct{ asked []merge.Dot }
)

func (allDots) Contains(merge.Dot) bool { return true }
func (noDots) Contains(merge.Dot) bool  { return false }

func (l *liveDots) Contains(d merge.Dot) bool {
	l.asked = append(l.asked, d)
	return false
}

func (l *liveDots) set() merge.DotSet {
	slices.SortFunc(l.asked, merge.Dot.Compare)
	return slices.Compact(l.asked)
}

// String says what was done.
func (m *Mended) String() string {
	return fmt.Sprintf("%d cells looked at, %d repaired, %d disputed", len(m.Cells), len(m.Repaired), len(m.Disputed))
}
