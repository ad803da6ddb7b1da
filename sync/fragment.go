package sync

import (
	"cmp"
	"crypto/sha256"
	"iter"
	"slices"

	"github.com/joinery-crdt/joinery/merge"
)

// A Fragment carries a part of a change that is larger than [MaxWhole].
type Fragment struct {
	Space  string
	Dot    merge.Dot // of the change
	Size   uint64    // of the change in bytes, at most MaxChange
	Hash   Hash      // of the change
	Offset uint64    // of Bytes in the change
	Bytes  []byte    // at least one, and none beyond Size
}

// A Partial says how much of a change in fragments the sender has: go on there.
type Partial struct {
	Space  string
	Dot    merge.Dot
	Hash   Hash   // of the whole change
	Offset uint64 // how much it has, Size for all
}

// A Piece carries a part of a frame that is longer than a frame may be.
type Piece struct {
	Number uint64 // of the long frame
	Size   uint64 // of the long frame in bytes, at most MaxLong
	Hash   Hash   // of the long frame: SHA-256
	Offset uint64 // of Bytes in it
	Bytes  []byte // at least one, and none beyond Size
}

func (*Fragment) frame() {}
func (*Partial) frame()  {}
func (*Piece) frame()    {}

// MaxLong is the largest frame that goes in pieces, in bytes.
const MaxLong = 4 << 20

// Bytes of a part, unless a test wants others.
const (
	fragmentBytes = maxFrameBytes
	pieceBytes    = 192 << 10
)

// Pieces yields the pieces of a long frame, of at most size bytes each, 0 for
// what fits a frame. They share its memory.
func Pieces(number uint64, frame []byte, size int) iter.Seq[*Piece] {
	if size == 0 {
		size = pieceBytes
	}
	return func(yield func(*Piece) bool) {
		hash, offset := sha256.Sum256(frame), 0
		for b := range slices.Chunk(frame, size) {
			if !yield(&Piece{number, uint64(len(frame)), hash, uint64(offset), b}) {
				return
			}
			offset += len(b)
		}
	}
}

// Fragments yields the fragments of a change, of at most size bytes each, 0 for
// as many as links send. They share its memory.
func Fragments(space string, d merge.Dot, raw []byte, size int) iter.Seq[*Fragment] {
	if size == 0 {
		size = fragmentBytes
	}
	return func(yield func(*Fragment) bool) {
		hash, offset := sha256.Sum256(raw), 0
		for b := range slices.Chunk(raw, size) {
			if !yield(&Fragment{space, d, uint64(len(raw)), hash, uint64(offset), b}) {
				return
			}
			offset += len(b)
		}
	}
}

// Bounds of what has come in parts and is not whole.
const (
	maxPartialBytes  = 4 * MaxChange
	maxPartials      = 64
	maxPartialsOfOne = 4 // peer
	// restAfter is how many parts of others come before something to which
	// nothing was added makes room, and staleAfter for another change of its peer.
	restAfter  = 64
	staleAfter = 1024
)

// Partials keeps what has come of changes, and of frames, in parts: for all links
// of a node together, so that their bounds are those of the node, and that a link
// goes on where the last one to the same peer ended. What does not fit is
// forgotten, and asked for again. The zero value is empty.
//
// Parts are taken in order only; what a peer has sent is never mixed with what
// another has, so that it is known who lies about a hash.
type Partials struct {
	list  []*partial // longest untouched first
	bytes int        // of memory
	parts uint64     // that ever came
}

// partialKey says what parts belong together.
type partialKey struct {
	peer  merge.Origin
	space string    // of a change; empty for a frame
	dot   merge.Dot // of a change; the number in Seq for a frame
	hash  Hash      // of the whole
	size  uint64    // of the whole
}

type partial struct {
	partialKey
	buf   []byte
	last  uint64 // Partials.parts when it grew last
	begun uint64 // and when it began
	by    Nonce  // of the link that began it
	mixed bool   // another one went on
}

// arrival is what became of a part.
type arrival struct {
	have  uint64
	took  bool   // the part
	whole []byte // when the last part came, which is then forgotten
	// lied: what came is not what the hash says. If it came over one link, its
	// peer has lied.
	lied, mixed bool
}

// Bytes returns the memory that is in use.
func (p *Partials) Bytes() int { return p.bytes }

// Len returns the number of changes and frames of which parts are kept.
func (p *Partials) Len() int { return len(p.list) }

// add takes a part from a link.
func (p *Partials) add(k partialKey, by Nonce, offset uint64, b []byte) (a arrival) {
	p.parts++
	e := p.find(k)
	if e == nil {
		if offset != 0 || !p.begin(k, by) {
			return a
		}
		e = p.find(k)
	}
	if offset != uint64(len(e.buf)) || !p.grow(e, len(b)) {
		a.have = uint64(len(e.buf))
		return a
	}
	e.buf = append(e.buf, b...)
	e.mixed = e.mixed || e.by != by
	p.touch(e)
	a.took = true
	if a.have = uint64(len(e.buf)); a.have < k.size {
		return a
	}
	p.drop(e)
	a.mixed = e.mixed
	if a.lied = sha256.Sum256(e.buf) != k.hash; !a.lied {
		a.whole = e.buf
	}
	return a
}

func (p *Partials) find(k partialKey) *partial {
	for _, e := range p.list {
		if e.partialKey == k {
			return e
		}
	}
	return nil
}

// of yields the changes of a space of which a peer has sent parts.
func (p *Partials) of(peer merge.Origin, space string) iter.Seq[*partial] {
	return func(yield func(*partial) bool) {
		for _, e := range p.list {
			if e.peer == peer && e.space == space && !yield(e) {
				return
			}
		}
	}
}

// begin makes an entry, unless there is no room for one. Of the changes of a peer the
// one that began last makes room: those that began first are needed first, and would
// never be whole if each made room for the next.
func (p *Partials) begin(k partialKey, by Nonce) bool {
	if others := p.sentBy(k.peer); len(others) >= maxPartialsOfOne {
		victim := slices.MaxFunc(others, func(a, b *partial) int { return cmp.Compare(a.begun, b.begun) })
		if p.parts-others[0].last >= staleAfter {
			victim = others[0]
		}
		p.drop(victim)
	}
	for len(p.list) >= maxPartials {
		if !p.evict(nil) {
			return false
		}
	}
	p.list = append(p.list, &partial{partialKey: k, by: by, last: p.parts, begun: p.parts})
	return true
}

// sentBy returns what a peer has sent parts of, longest untouched first.
func (p *Partials) sentBy(peer merge.Origin) (list []*partial) {
	for _, e := range p.list {
		if e.peer == peer {
			list = append(list, e)
		}
	}
	return list
}

// grow makes room for n more bytes, unless too many others grow too. Memory at
// most doubles, whatever size is claimed.
func (p *Partials) grow(e *partial, n int) bool {
	need := len(e.buf) + n
	if need <= cap(e.buf) {
		return true
	}
	want := min(max(need, 2*cap(e.buf)), max(int(e.size), need))
	for p.bytes+want-cap(e.buf) > maxPartialBytes {
		if !p.evict(e) {
			return false
		}
	}
	p.bytes += want - cap(e.buf)
	e.buf = append(make([]byte, 0, want), e.buf...)
	return true
}

// evict forgets what nothing was added to for longest, and reports false if
// something was lately. It leaves keep.
func (p *Partials) evict(keep *partial) bool {
	for _, e := range p.list {
		if e != keep && p.parts-e.last >= restAfter {
			p.drop(e)
			return true
		}
	}
	return false
}

func (p *Partials) touch(e *partial) {
	e.last = p.parts
	at := slices.Index(p.list, e)
	p.list = append(slices.Delete(p.list, at, at+1), e)
}

func (p *Partials) drop(e *partial) {
	p.list = slices.DeleteFunc(p.list, func(o *partial) bool { return o == e })
	p.bytes -= cap(e.buf)
}

// forget drops what has come of a change.
func (p *Partials) forget(k partialKey) {
	if e := p.find(k); e != nil {
		p.drop(e)
	}
}
