package sync_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/hlc"
	"github.com/joinery-crdt/joinery/merge"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// replica is a node in memory: spaces with their cells and logs. It is the
// Local of its links.
type replica struct {
	t      testing.TB
	origin merge.Origin
	kinds  crdt.Kinds
	limit  hlc.Timestamp
	spaces map[string]*replicaSpace
	common map[string]map[merge.Origin]crdtsync.Cursor // by space
	parts  crdtsync.Partials
}

// replicaSpace is a space with what its node has made durable.
type replicaSpace struct {
	*crdtsync.Space
	cells map[string][]byte
	log   []*crdtsync.Change // in the order in which they were applied
	at    map[merge.Dot]*crdtsync.Change
	cuts  map[crdtsync.Cursor]bool // it has passed
	// What it remembers for its links, if its node does.
	recent crdtsync.Recent
}

// Cell makes a replicaSpace the Cells of its stages.
func (s *replicaSpace) Cell(key []byte) ([]byte, error) { return s.cells[string(key)], nil }

func originOf(n int) (o merge.Origin) {
	binary.BigEndian.PutUint64(o[:], 0xfeed)
	binary.BigEndian.PutUint64(o[8:], uint64(n))
	return o
}

func dotOf(n int, seq uint64) merge.Dot { return merge.Dot{Origin: originOf(n), Seq: seq} }

func newReplica(t testing.TB, n int, spaces ...string) *replica {
	r := &replica{t: t, origin: originOf(n), kinds: crdt.Builtin(), spaces: make(map[string]*replicaSpace), common: make(map[string]map[merge.Origin]crdtsync.Cursor)}
	for _, name := range spaces {
		r.space(name)
	}
	return r
}

// space returns a space, made if need be.
func (r *replica) space(name string) *replicaSpace {
	s, ok := r.spaces[name]
	if !ok {
		s = &replicaSpace{cells: make(map[string][]byte), at: make(map[merge.Dot]*crdtsync.Change), cuts: make(map[crdtsync.Cursor]bool)}
		s.Space = crdtsync.NewSpace(crdtsync.SpaceConfig{Name: name, Self: r.origin, Kinds: r.kinds})
		r.spaces[name] = s
	}
	return s
}

func (r *replica) Spaces() []string                         { return slices.Sorted(maps.Keys(r.spaces)) }
func (r *replica) Vector(space string) *merge.VersionVector { return r.space(space).Vector() }
func (r *replica) Summary(space string) crdtsync.Summary    { return r.space(space).Summary() }

func (r *replica) Head(space string, o merge.Origin) uint64 { return r.space(space).Head(o).Seq }

func (r *replica) Last(space string, o merge.Origin) crdtsync.Head { return r.space(space).Head(o) }

func (r *replica) Change(space string, d merge.Dot) ([]byte, error) {
	c, ok := r.space(space).at[d]
	if !ok {
		return nil, fmt.Errorf("no change %v in the log", d)
	}
	return c.Bytes(), nil
}

// Partials implements crdtsync.Keeper.
func (r *replica) Partials(fn func(*crdtsync.Partials)) { fn(&r.parts) }

// Recall implements crdtsync.Recaller: replicas of even numbers remember.
func (r *replica) Recall(o *crdtsync.Outbox, count, size int) [][]byte {
	if r.origin[15]%2 != 0 {
		return nil
	}
	return r.space(o.Space()).recent.After(o, count, size)
}

// Cut implements crdtsync.Cuts.
func (r *replica) Cut(space string, c crdtsync.Cursor) *merge.VersionVector {
	s := r.space(space)
	if !s.cuts[c] {
		return nil
	}
	return merge.VectorOf(dots(s.log[:c.Position])...)
}

// Common implements crdtsync.Cuts.
func (r *replica) Common(space string, peer merge.Origin) crdtsync.Cursor {
	return r.common[space][peer]
}

// meet notes the last common cut with a peer.
func (r *replica) meet(space string, peer merge.Origin, c crdtsync.Cursor) {
	if r.common[space] == nil {
		r.common[space] = make(map[merge.Origin]crdtsync.Cursor)
	}
	r.common[space][peer] = c
}

// commit makes a stage durable and commits it. It returns the heads it moved.
func (s *replicaSpace) commit(st *crdtsync.Stage) []merge.Dot {
	p := st.Persist()
	for key, state := range p.Cells {
		if state == nil {
			delete(s.cells, key)
		} else {
			s.cells[key] = state
		}
	}
	for _, c := range p.Log {
		s.log = append(s.log, c)
		s.at[c.Dot] = c
	}
	if len(p.Merged) > 0 || p.Floor != nil {
		s.recent.Reset()
	}
	s.recent.Add(p.Log, p.Summary.Changes)
	if len(p.Log) > 0 {
		s.cuts[p.Summary.Cursor()] = true
	}
	st.Commit()
	return merge.VectorOf(dots(p.Log)...).Sorted()
}

// author writes one change, stamped right after everything applied.
func (r *replica) author(space string, ops ...crdtsync.CellOp) *crdtsync.Change {
	r.t.Helper()
	s := r.space(space)
	st := s.Stage(s, 0)
	c, err := st.Author(st.LastTime()+1, ops)
	if err != nil {
		r.t.Fatalf("Author: %v", err)
	}
	s.commit(st)
	return c
}

// offer offers changes one by one, as received, and commits what came of them.
func (r *replica) offer(space string, changes ...*crdtsync.Change) (heads []merge.Dot, refused []error) {
	r.t.Helper()
	s := r.space(space)
	st := s.Stage(s, r.limit)
	for _, c := range changes {
		err := st.Offer(c)
		if _, ok := errors.AsType[*crdtsync.RefusedError](err); ok {
			refused = append(refused, err)
			continue
		}
		if err != nil && !errors.Is(err, crdtsync.ErrDuplicate) && !errors.Is(err, crdtsync.ErrEarly) && !errors.Is(err, crdtsync.ErrFull) {
			r.t.Fatalf("Offer(%v): %v", c.Dot, err)
		}
	}
	return s.commit(st), refused
}

// copyOf returns the change as another node decodes it.
func copyOf(t testing.TB, c *crdtsync.Change) *crdtsync.Change {
	t.Helper()
	d, err := crdtsync.DecodeChange(slices.Clone(c.Bytes()))
	if err != nil {
		t.Fatalf("DecodeChange(%v): %v", c.Dot, err)
	}
	return d
}

// pull brings to r, in order, at most n of the changes that it lacks of from.
func (r *replica) pull(space string, from *replica, n int) {
	r.t.Helper()
	for _, c := range from.space(space).log {
		if n > 0 && !r.space(space).Contains(c.Dot) {
			r.offer(space, copyOf(r.t, c))
			n--
		}
	}
}

// wantSame fails unless both hold the same cells and the same account of them.
func wantSame(t testing.TB, what string, got, want *replicaSpace) {
	t.Helper()
	if !maps.EqualFunc(got.cells, want.cells, slices.Equal) {
		t.Fatalf("%s: cells differ: %d and %d of them", what, len(got.cells), len(want.cells))
	}
	if got.Summary() != want.Summary() {
		t.Fatalf("%s: summaries differ: %+v and %+v", what, got.Summary(), want.Summary())
	}
	if n, first := got.Waiting(); n != 0 || first.Seq != 0 {
		t.Fatalf("%s: %d changes still wait for %v", what, n, first)
	}
}
