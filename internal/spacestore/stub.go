package spacestore

import (
	"encoding/binary"
	"slices"
	"strings"

	"github.com/joinery-crdt/joinery/internal/varint"
	"github.com/joinery-crdt/joinery/merge"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// A stub says what a change that has left the log wrote to.
//
//	stub = byte 0, uvarint n, n times cell, ascending
//	cell = uvarint number of its op, less that of the one before and 1,
//	       uvarint number of bytes shared with the key before, string rest of the key,
//	       uvarint m, m times: uvarint origin, uvarint seq, uvarint number of an op
//
// The ops at the end wrote to the cell before and were superseded. Their origin
// is 0 for that of the change itself, and seq is then the distance from it; 1 for
// one that follows here in 16 bytes; 2 and more for those that followed before.
// Stubs of old are uvarint n > 0, n strings: keys without anything else.
type stub struct {
	of    merge.Dot
	cells []stubCell
	old   bool // ops have no numbers
}

// A stubCell is a cell that a change wrote to.
type stubCell struct {
	op     uint64
	key    string
	before []crdtsync.OpName // the latest first
}

// maxBefore is how many ops a stub remembers of a cell at most. A peer that has
// applied none of the last ones gets the key.
const maxBefore = 4

// The numbers of origins in a stub.
const (
	originOwn = iota
	originNew
	originKnown
)

// append appends the stored form.
func (s *stub) append(b []byte) []byte {
	if s.old {
		b = binary.AppendUvarint(b, uint64(len(s.cells)))
		for _, c := range s.cells {
			b = varint.AppendString(b, c.key)
		}
		return b
	}
	b = binary.AppendUvarint(append(b, 0), uint64(len(s.cells)))
	var origins []merge.Origin
	next, last := uint64(0), ""
	for _, c := range s.cells {
		b = binary.AppendUvarint(b, c.op-next)
		shared := sharedPrefix(last, c.key)
		b = varint.AppendString(binary.AppendUvarint(b, uint64(shared)), c.key[shared:])
		b = binary.AppendUvarint(b, uint64(len(c.before)))
		for _, n := range c.before {
			b, origins = s.appendName(b, origins, n)
		}
		next, last = c.op+1, c.key
	}
	return b
}

func (s *stub) appendName(b []byte, origins []merge.Origin, n crdtsync.OpName) ([]byte, []merge.Origin) {
	at := slices.Index(origins, n.Dot.Origin)
	switch {
	case n.Dot.Origin == s.of.Origin:
		b = binary.AppendUvarint(append(b, originOwn), s.of.Seq-n.Dot.Seq)
	case at < 0:
		origins = append(origins, n.Dot.Origin)
		b = append(append(b, originNew), n.Dot.Origin[:]...)
		b = binary.AppendUvarint(b, n.Dot.Seq)
	default:
		b = binary.AppendUvarint(b, uint64(originKnown+at))
		b = binary.AppendUvarint(b, n.Dot.Seq)
	}
	return binary.AppendUvarint(b, n.Op), origins
}

func sharedPrefix(a, b string) (n int) {
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// readStub reads the stored form of the stub of a change.
func readStub(of merge.Dot, b []byte) (*stub, error) {
	r := varint.NewReader("stub", b)
	if s := (&stub{of: of, old: true}); len(b) > 0 && b[0] != 0 {
		s.cells = make([]stubCell, r.Count(1))
		for i := range s.cells {
			s.cells[i].key = string(r.Bytes())
		}
		return s, r.Done()
	}
	r.Byte()
	s := &stub{of: of, cells: make([]stubCell, r.Count(4))}
	var origins []merge.Origin
	next, last := uint64(0), ""
	for i := range s.cells {
		c := &s.cells[i]
		c.op = next + r.Uvarint()
		shared := r.Uvarint()
		if shared > uint64(len(last)) || c.op > crdtsync.MaxChange {
			r.Fail("a key or a number that cannot be")
			return nil, r.Err()
		}
		c.key = last[:shared] + string(r.Bytes())
		c.before = make([]crdtsync.OpName, r.Count(3))
		for j := range c.before {
			c.before[j], origins = s.readName(r, origins)
		}
		next, last = c.op+1, c.key
	}
	return s, r.Done()
}

func (s *stub) readName(r *varint.Reader, origins []merge.Origin) (n crdtsync.OpName, _ []merge.Origin) {
	switch at := r.Uvarint(); {
	case at == originOwn:
		n.Dot = merge.Dot{Origin: s.of.Origin, Seq: s.of.Seq - r.Uvarint()}
	case at == originNew:
		copy(n.Dot.Origin[:], r.Fixed(len(n.Dot.Origin)))
		origins = append(origins, n.Dot.Origin)
		n.Dot.Seq = r.Uvarint()
	case at-originKnown < uint64(len(origins)):
		n.Dot = merge.Dot{Origin: origins[at-originKnown], Seq: r.Uvarint()}
	}
	if n.Dot.Seq == 0 || n.Dot.Seq > merge.MaxSeq {
		r.Fail("an op of no change")
	}
	n.Op = r.Uvarint()
	return n, origins
}

// find returns the index of the cell with the key, and whether there is one.
func (s *stub) find(key string) (at int, ok bool) {
	if s.old {
		at = slices.IndexFunc(s.cells, func(c stubCell) bool { return c.key == key })
		return at, at >= 0
	}
	return slices.BinarySearchFunc(s.cells, key, func(c stubCell, key string) int { return strings.Compare(c.key, key) })
}

// keyOf returns the key of the cell that an op wrote to, and whether the stub
// still knows.
func (s *stub) keyOf(op uint64) (string, bool) {
	i := slices.IndexFunc(s.cells, func(c stubCell) bool { return c.op == op && !s.old })
	if i < 0 {
		return "", false
	}
	return s.cells[i].key, true
}

// take takes the cell with the key off the stub and returns the ops that are
// known to have written to it up to the stub's change, the latest first.
func (s *stub) take(key string) (before []crdtsync.OpName, ok bool) {
	i, ok := s.find(key)
	if !ok {
		return nil, false
	}
	if c := s.cells[i]; !s.old {
		before = append([]crdtsync.OpName{{Dot: s.of, Op: c.op}}, c.before...)
	}
	s.cells = slices.Delete(s.cells, i, i+1)
	return before, true
}
