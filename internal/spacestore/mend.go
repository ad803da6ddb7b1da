package spacestore

import (
	"errors"
	"slices"
	"time"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// An Identity is who a node is: the origin under which it writes, and those that
// it gave up, oldest first. It is replaced as a whole and not modified.
type Identity struct {
	Origin merge.Origin
	Former []merge.Origin
}

// Has reports whether o is or was the node's.
func (i *Identity) Has(o merge.Origin) bool { return o == i.Origin || slices.Contains(i.Former, o) }

// Told returns the former origins as a Hello names them, in a slice of the
// caller's own.
func (i *Identity) Told() []merge.Origin {
	last := slices.Clone(i.Former[max(0, len(i.Former)-crdtsync.MaxFormer):])
	slices.SortFunc(last, merge.Origin.Compare)
	return last
}

// Mendable reports whether what a node wrote under an origin in a space is its
// own to take back: it has not done so before, and nothing of others came on top.
// The space is nil if the node does not have it; given is what it keeps of the
// origins that were given up.
func (i *Identity) Mendable(s *crdtsync.Space, given map[merge.Origin]Given, o merge.Origin) bool {
	if o == i.Origin {
		return true
	}
	if s == nil || !i.Has(o) {
		return false
	}
	g, ok := given[o]
	return ok && g.Taken.Dot.Seq == 0 && g.Own == s.Head(o).Seq
}

// TookBack refuses the first change of a branch that was taken back, with a
// [*crdtsync.RefusedError]; given is as in [Identity.Mendable].
func TookBack(given map[merge.Origin]Given, c *crdtsync.Change) error {
	g, ok := given[c.Dot.Origin]
	if !ok || g.Taken.Dot != c.Dot || g.Taken.Hash != c.Hash() {
		return nil
	}
	return &crdtsync.RefusedError{Dot: c.Dot, Kind: crdtsync.ErrForked, Reason: "the device that wrote it has taken it back and issued it again under another origin"}
}

// A Mending is what a node does about a fork. If the origin is its own, it goes on
// under a new one, and what it wrote under dots that name other changes elsewhere
// is written again. If a split proves the fork, the origin is severed.
type Mending struct {
	Fork   crdtsync.Fork
	Split  *crdtsync.Split // nil if only this node is concerned
	Is     *Identity
	Spaces []*crdtsync.Space // all that the node has
	Space  *crdtsync.Space   // in which something is taken back, nil for none
	Kinds  crdt.Kinds
	Held   map[merge.Dot]Held // what is in quarantine there
	// NewOrigin makes an origin that nobody has used.
	NewOrigin func() merge.Origin
	At        time.Time // by the wall clock
}

// A Mended is what a mending came to. The driver commits Stage and shows the rest
// when that is durable, lets all spaces write under Is.Origin and ends all links.
type Mended struct {
	Is      *Identity        // from now on
	Split   *crdtsync.Split  // what severs the origin, nil if it is not
	Given   map[string]Given // by space: what is kept of the origin that forked
	Fork    crdtsync.Fork    // as deep as it could be mended
	Stage   *crdtsync.Stage  // nil if nothing was taken back, like Persist
	Persist *crdtsync.Persist
	Kept    []Held      // changes that could not be written again: they are in quarantine
	Unkept  []merge.Dot // leave quarantine
	Deeper  uint64      // first change that may have to be taken back and is no longer in the log
}

// Run writes the outcome. Nothing that is in memory has changed when it returns.
func (m *Mending) Run(tx store.Tx) (*Mended, error) {
	out := &Mended{Is: m.Is, Split: m.Split, Given: make(map[string]Given), Fork: m.Fork}
	if m.Fork.Origin == m.Is.Origin {
		out.Is = &Identity{m.NewOrigin(), append(slices.Clone(m.Is.Former), m.Is.Origin)}
		if err := errors.Join(SetOrigin(tx, out.Is.Origin), SetFormer(tx, out.Is.Former), m.giveUp(tx, out)); err != nil {
			return nil, err
		}
	}
	if m.Space == nil {
		return out, nil
	}
	m.reach(out)
	if err := m.takeBack(tx, out); err != nil {
		return nil, err
	}
	return out, m.reissue(tx, out)
}

// giveUp notes, in each space, what the node wrote under the origin it gives up.
func (m *Mending) giveUp(tx store.Tx, out *Mended) error {
	for _, s := range m.Spaces {
		if head := s.Head(m.Fork.Origin).Seq; head > 0 {
			if err := m.give(tx, out, s.Name(), Given{Own: head}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *Mending) give(tx store.Tx, out *Mended, space string, g Given) error {
	out.Given[space] = g
	return SetGiven(tx, space, m.Fork.Origin, g)
}

// reach makes an own fork begin where the log does, if it lies deeper: what is
// taken out of a log was acknowledged by all that are waited for.
func (m *Mending) reach(out *Mended) {
	floor := m.Space.Floor(m.Fork.Origin)
	if m.Split == nil && m.Fork.Common < floor {
		out.Fork.Unsure = max(m.Fork.Unsure, floor)
		out.Fork.Common, out.Deeper = floor, m.Fork.Common+1
	}
}

// first returns the first change that is taken back, if the node has it.
func (out *Mended) first() merge.Dot {
	return merge.Dot{Origin: out.Fork.Origin, Seq: out.Fork.Common + 1}
}

// takeBack notes the first change that is taken back, lest it come again from
// somebody to whom it was sent. If something was built on the branch, the node severs
// its own origin: what depends on dots that may name nothing any more could be
// applied nowhere else.
func (m *Mending) takeBack(tx store.Tx, out *Mended) error {
	first := out.first()
	if m.Split != nil || first.Seq > m.Space.Head(first.Origin).Seq {
		return nil // which refuses it from now on, or nothing is taken back
	}
	raw, err := Change(tx, m.Space.Name(), first)
	if err != nil {
		return err
	}
	c, err := crdtsync.DecodeChange(slices.Clone(raw))
	if err != nil {
		return err
	}
	built, err := builtOn(tx, m.Space.Name(), c)
	if err != nil {
		return err
	}
	if split, ok := crdtsync.Disown(m.Space.Name(), c); ok && built {
		out.Split = &split
	}
	return m.give(tx, out, m.Space.Name(), Given{Own: out.Fork.Common, Taken: crdtsync.Known{Dot: first, Hash: c.Hash()}})
}

// reissue writes a branch again under the origin that belongs to it. What cannot
// be is kept in quarantine, where people see it.
func (m *Mending) reissue(tx store.Tx, out *Mended) error {
	name := m.Space.Name()
	out.Stage = m.Space.Stage(Cells{Reader: tx, Space: name}, 0)
	if out.Split != nil {
		out.Stage.Sever(out.Split.Dot)
		if err := SetSplit(tx, *out.Split); err != nil {
			return err
		}
	}
	left, err := TakeBack(tx, m.Space, out.Stage, out.first())
	if err != nil {
		return err
	}
	for _, l := range left {
		h := Held{Dot: l.Change.Dot, Code: "unrepeatable", Reason: l.Reason, From: "this node", At: m.At, Raw: l.Change.Bytes()}
		if err := Hold(tx, name, h); err != nil {
			return err
		}
		out.Kept = append(out.Kept, h)
	}
	if err := m.setApart(tx, out); err != nil {
		return err
	}
	out.Persist = out.Stage.Persist()
	return Save(tx, name, out.Persist)
}

// setApart writes again what is known of the branches that were not applied: the
// changes that prove the fork, and what follows them in quarantine.
func (m *Mending) setApart(tx store.Tx, out *Mended) error {
	if out.Split == nil {
		return nil
	}
	for _, raw := range out.Split.Changes {
		branch, err := m.branch(raw)
		if err != nil {
			return err
		}
		done, err := SetApart(tx, m.Space, out.Stage, m.Kinds, branch)
		if err != nil {
			return err
		}
		for _, c := range branch[:done] {
			if h, ok := m.Held[c.Dot]; ok && string(h.Raw) == string(c.Bytes()) {
				out.Unkept = append(out.Unkept, c.Dot)
				if err := Unhold(tx, m.Space.Name(), c.Dot); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// branch returns the change and those in quarantine that follow it.
func (m *Mending) branch(raw []byte) ([]*crdtsync.Change, error) {
	c, err := crdtsync.DecodeChange(slices.Clone(raw))
	if err != nil {
		return nil, err
	}
	branch := []*crdtsync.Change{c}
	for {
		h, ok := m.Held[merge.Dot{Origin: c.Dot.Origin, Seq: c.Dot.Seq + 1}]
		if !ok {
			return branch, nil
		}
		next, err := crdtsync.DecodeChange(slices.Clone(h.Raw))
		if err != nil || next.Prev != c.Hash() {
			return branch, nil
		}
		branch, c = append(branch, next), next
	}
}
