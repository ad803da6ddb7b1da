package sync

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"

	"github.com/joinery-crdt/joinery/internal/varint"
	"github.com/joinery-crdt/joinery/merge"
)

// An OpName names a cell by what wrote to it: the op with the number Op, counted
// from 0, of the change Dot. A change is the same at all nodes, so whoever has
// applied it and still knows what it wrote to can tell which cell that is. In a
// list it takes a few bytes, whatever the cell's key takes.
type OpName struct {
	Dot merge.Dot
	Op  uint64
}

// Compare orders names by dot, then by number.
func (n OpName) Compare(o OpName) int { return cmp.Or(n.Dot.Compare(o.Dot), cmp.Compare(n.Op, o.Op)) }

// A NamedCell is a cell that is there, under a name.
type NamedCell struct {
	OpName
	State []byte
}

// A Touch is a cell that a change has written to.
type Touch struct {
	Key string // stored form
	// Name is an op that wrote to the cell before, zero if none is known.
	Name OpName
}

// Named reports whether the touch has a name.
func (t Touch) Named() bool { return t.Name.Dot.Seq != 0 }

// MaxNames is how many cells one frame may name by ops.
const MaxNames = 1024

// CheckKeys returns what a frame says of the keys of the cells that it names, in
// their order: 16 bytes of a hash, by which a receiver sees that it means the
// same cells.
func CheckKeys(keys []string) Digest {
	h := sha256.New()
	for _, k := range keys {
		h.Write(varint.AppendString(nil, k))
	}
	return Digest(h.Sum(nil)[:16])
}

// AppendNames appends the form in which a frame names cells: those that are
// absent, those that are there, and their states. Names ascend in both lists.
func AppendNames(dst []byte, gone []OpName, held []NamedCell) []byte {
	names := make([]OpName, len(held))
	for i, c := range held {
		names[i] = c.OpName
	}
	dst = appendOpNames(appendOpNames(dst, gone), names)
	for _, c := range held {
		dst = varint.AppendBytes(dst, c.State)
	}
	return dst
}

// appendOpNames appends, per origin, the distances of names from the ones before
// them: twice that of the sequence numbers, plus 1 if the number of the op
// follows, which it does unless it is 0 or there is no distance.
func appendOpNames(dst []byte, names []OpName) []byte {
	runs := runsOf(names)
	dst = binary.AppendUvarint(dst, uint64(len(runs)))
	for _, run := range runs {
		dst = append(dst, run[0].Dot.Origin[:]...)
		dst = binary.AppendUvarint(dst, uint64(len(run)))
		last := OpName{}
		for _, n := range run {
			gap := n.Dot.Seq - last.Dot.Seq
			if first := last.firstOp(gap); n.Op < first {
				dst = binary.AppendUvarint(dst, 2*gap)
			} else {
				dst = binary.AppendUvarint(dst, 2*gap+1)
				dst = binary.AppendUvarint(dst, n.Op-first)
			}
			last = n
		}
	}
	return dst
}

// firstOp returns the smallest number of an op that is written out in the name
// that comes gap sequence numbers after n.
func (n OpName) firstOp(gap uint64) uint64 {
	if gap == 0 {
		return n.Op + 1
	}
	return 1
}

// runsOf cuts names where the origin changes.
func runsOf(names []OpName) (runs [][]OpName) {
	from := 0
	for i := range names {
		if i+1 == len(names) || names[i+1].Dot.Origin != names[i].Dot.Origin {
			runs, from = append(runs, names[from:i+1]), i+1
		}
	}
	return runs
}

// DecodeNames reads what AppendNames writes; other bytes, no names, more than
// [MaxNames] and states of more than [MaxChunk] are a [*varint.FormatError].
// States alias b.
func DecodeNames(b []byte) (gone []OpName, held []NamedCell, err error) {
	r := varint.NewReader("sync: names of cells", b)
	gone = readOpNames(r, MaxNames)
	names := readOpNames(r, MaxNames-len(gone))
	if len(gone)+len(names) == 0 {
		r.Fail("no names")
	}
	held = make([]NamedCell, len(names))
	room := MaxChunk
	for i, n := range names {
		held[i] = NamedCell{n, r.Bytes()}
		if held[i].State == nil {
			held[i].State = []byte{}
		}
		if room -= len(held[i].State); room < 0 {
			r.Fail("more than a chunk may hold")
		}
	}
	if err := r.Done(); err != nil {
		return nil, nil, err
	}
	return gone, held, nil
}

func readOpNames(r *varint.Reader, most int) []OpName {
	var names []OpName
	var last merge.Origin
	for i := range r.Count(len(last) + 2) {
		var o merge.Origin
		copy(o[:], r.Fixed(len(o)))
		if i > 0 && o.Compare(last) <= 0 {
			r.Fail("origins out of order")
		}
		n := r.Count(1)
		if n == 0 || n > most-len(names) {
			r.Fail("no names of an origin, or too many")
		}
		last = o
		name := OpName{Dot: merge.Dot{Origin: o}}
		for range n {
			if name = readOpName(r, name); r.Err() != nil {
				return nil
			}
			names = append(names, name)
		}
	}
	return names
}

// readOpName reads the name that follows last.
func readOpName(r *varint.Reader, last OpName) OpName {
	x := r.Uvarint()
	gap, written := x/2, x%2 == 1
	if gap > merge.MaxSeq-last.Dot.Seq || gap == 0 && (!written || last.Dot.Seq == 0) {
		r.Fail("a name out of order or range")
		return last
	}
	op := uint64(0)
	if written {
		op = r.Uvarint()
		if op > MaxChange {
			r.Fail("a number that no op has")
			return last
		}
		op += last.firstOp(gap)
	}
	if op > MaxChange {
		r.Fail("a number that no op has")
	}
	last.Dot.Seq, last.Op = last.Dot.Seq+gap, op
	return last
}
