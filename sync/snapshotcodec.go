package sync

import (
	"encoding/binary"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/joinery-crdt/joinery/hlc"
	"github.com/joinery-crdt/joinery/internal/varint"
	"github.com/joinery-crdt/joinery/merge"
)

// A CellPart is a cell, or a part of a large one, as a chunk of a snapshot
// carries it.
type CellPart struct {
	Key   string // stored form
	State []byte // nil if the cell is absent
	More  bool   // the rest of the state comes in the chunk that follows
}

// MaxChunk is the largest sum of the keys and states in a chunk, in bytes. Keys
// that share their beginnings take less on the wire.
const MaxChunk = 256 << 10

const (
	partAbsent  = 0
	partPresent = 1
	partMore    = 2
)

// AppendParts appends the form in which a chunk carries cells, whose keys
// ascend: of each the length of what its key shares with the one before it, the
// rest of the key, and what it holds.
func AppendParts(dst []byte, parts []CellPart) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(parts)))
	last := ""
	for _, p := range parts {
		shared := sharedPrefix(last, p.Key)
		dst = varint.AppendString(binary.AppendUvarint(dst, uint64(shared)), p.Key[shared:])
		switch last = p.Key; {
		case p.State == nil:
			dst = append(dst, partAbsent)
		case p.More:
			dst = varint.AppendBytes(append(dst, partMore), p.State)
		default:
			dst = varint.AppendBytes(append(dst, partPresent), p.State)
		}
	}
	return dst
}

func sharedPrefix(a, b string) (n int) {
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// DecodeParts reads what AppendParts writes; other bytes, and more than
// [MaxChunk], are a [*varint.FormatError]. States alias b.
func DecodeParts(b []byte) ([]CellPart, error) {
	r := varint.NewReader("sync: cells of a chunk", b)
	parts := make([]CellPart, r.Count(3))
	last, room := "", MaxChunk
	for i := range parts {
		parts[i] = readPart(r, last)
		p := &parts[i]
		if room -= len(p.Key) + len(p.State); room < 0 {
			r.Fail("more than a chunk may hold")
		}
		if i > 0 && p.Key <= last || p.More && i < len(parts)-1 {
			r.Fail("cells out of order")
		}
		if r.Err() != nil {
			return nil, r.Err()
		}
		last = p.Key
	}
	return parts, r.Done()
}

func readPart(r *varint.Reader, last string) (p CellPart) {
	shared, rest := r.Uvarint(), r.Bytes()
	if shared > uint64(len(last)) {
		r.Fail("a key that shares more than there is")
		return p
	}
	p.Key = last[:shared] + string(rest)
	if uint64(sharedPrefix(last, p.Key)) != shared {
		r.Fail("a key that shares more than it says")
	}
	switch what := r.Byte(); what {
	case partAbsent:
	case partPresent, partMore:
		p.State, p.More = r.Bytes(), what == partMore
		if p.State == nil {
			p.State = []byte{}
		}
	default:
		r.Fail("neither a cell nor none")
	}
	return p
}

// An OriginHead is the last change of an origin.
type OriginHead struct {
	Origin merge.Origin
	Head
}

// headSize is the size of an encoded head at most.
const headSize = 16 + 10 + 8 + 1 + 32

// AppendHeads appends the form in which a chunk carries heads, ascending by
// origin.
func AppendHeads(dst []byte, heads []OriginHead) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(heads)))
	for _, h := range heads {
		dst = append(dst, h.Origin[:]...)
		dst = binary.AppendUvarint(dst, h.Seq)
		dst = binary.BigEndian.AppendUint64(dst, uint64(h.Time))
		tip := byte(0)
		if h.Tip {
			tip = 1
		}
		dst = append(append(dst, tip), h.Hash[:]...)
	}
	return dst
}

// DecodeHeads reads what AppendHeads writes; other bytes are a
// [*varint.FormatError].
func DecodeHeads(b []byte) ([]OriginHead, error) {
	r := varint.NewReader("sync: heads of a chunk", b)
	heads := make([]OriginHead, r.Count(headSize-9))
	for i := range heads {
		h := &heads[i]
		copy(h.Origin[:], r.Fixed(len(h.Origin)))
		h.Seq = r.Uvarint()
		if t := r.Fixed(8); t != nil {
			h.Time = hlc.Timestamp(binary.BigEndian.Uint64(t))
		}
		tip := r.Byte()
		h.Tip = tip == 1
		copy(h.Hash[:], r.Fixed(len(h.Hash)))
		if h.Seq == 0 || h.Seq > merge.MaxSeq || tip > 1 || i > 0 && h.Origin.Compare(heads[i-1].Origin) <= 0 {
			r.Fail("heads out of order or range")
		}
	}
	if err := r.Done(); err != nil {
		return nil, err
	}
	return heads, nil
}

// sortedHeads returns heads by origin.
func sortedHeads(heads map[merge.Origin]Head) []OriginHead {
	out := make([]OriginHead, 0, len(heads))
	for _, o := range slices.SortedFunc(maps.Keys(heads), merge.Origin.Compare) {
		out = append(out, OriginHead{o, heads[o]})
	}
	return out
}

// pieces cuts a large state into parts of at most size bytes.
func pieces(c StoredCell, size int) iter.Seq[CellPart] {
	return func(yield func(CellPart) bool) {
		key := strings.Clone(c.Key)
		for len(c.State) > size {
			if !yield(CellPart{key, c.State[:size], true}) {
				return
			}
			c.State = c.State[size:]
		}
		yield(CellPart{key, c.State, false})
	}
}
