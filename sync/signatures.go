package sync

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"github.com/joinery-crdt/joinery/merge"
)

// Signatures is what a node knows of signed heads of a space: of each origin the
// last that names what is applied here, and what is known to be signed of the
// branches of forks. The zero value knows nothing.
type Signatures struct {
	last     map[merge.Origin]signature
	branches map[Known]signature        // by the change with which the branch begins
	ahead    map[merge.Origin]signature // the changes that they name are not applied yet
	against  map[merge.Origin]contrary  // other changes than these are
	news     uint64                     // number of the last one worth telling
	print    uint64                     // of last: see Print
}

type signature struct {
	SignedHead
	from Nonce // of the link that brought it, zero for none
	news uint64
}

// contrary is a head that names another change than what is applied.
type contrary struct {
	SignedHead
	spoke bool // the device is there itself, and has given up what is there
}

// Bounds of the origins of which heads are kept that are ahead of what is applied
// here, or against it.
const (
	maxAhead   = 1024
	maxAgainst = 64
)

// A Standing is what a node has where a signed head points.
type Standing struct {
	Head  uint64 // number of the last change of the origin that is applied
	Hash  Hash   // of the change with the dot of the signed head
	Known bool   // Hash is known
	Fork  *Split // of the origin, nil for none
}

// begins reports whether a branch of the fork begins with the change k.
func (at *Standing) begins(k Known) bool {
	return at.Fork != nil && at.Fork.Dot == k.Dot && slices.Contains(at.Fork.hashes(), k.Hash)
}

// severed reports whether the change k is on a branch.
func (at *Standing) severed(k Known) bool { return at.Fork != nil && at.Fork.Dot.Seq <= k.Dot.Seq }

func (s *Split) hashes() []Hash {
	return []Hash{sha256.Sum256(s.Changes[0]), sha256.Sum256(s.Changes[1])}
}

// Wants reports whether a head may be news. It costs less than to verify it.
func (s *Signatures) Wants(h *SignedHead) bool {
	o := h.Dot.Origin
	return s.branches[h.Known].Known != h.Known && s.last[o].Known != h.Known && s.ahead[o].Known != h.Known && s.against[o].Known != h.Known
}

// Take takes a verified head that came over the link of a nonce, zero for none, and
// reports whether it is one to keep and to tell on.
func (s *Signatures) Take(from Nonce, h SignedHead, at Standing) bool {
	o := h.Dot.Origin
	switch {
	case at.begins(h.Known):
		return s.Cover(from, h.Known, h)
	case at.severed(h.Known):
		return false
	case at.Known && at.Hash != h.Hash:
		makeRoom(s.against, o, maxAgainst)
		set(&s.against, o, contrary{SignedHead: h})
		return false
	case at.Known && h.Dot.Seq > s.last[o].Dot.Seq:
		s.setLast(h, from)
		return true
	case h.Dot.Seq > max(at.Head, s.ahead[o].Dot.Seq):
		makeRoom(s.ahead, o, maxAhead)
		set(&s.ahead, o, signature{SignedHead: h, from: from})
	}
	return false
}

// setLast replaces the last head of an origin.
func (s *Signatures) setLast(h SignedHead, from Nonce) {
	s.news++
	s.print += h.short() - s.last[h.Dot.Origin].short()
	set(&s.last, h.Dot.Origin, signature{h, from, s.news})
}

// short returns what a head adds to the print.
func (k Known) short() uint64 { return binary.LittleEndian.Uint64(k.Hash[:8]) }

// Print is the sum modulo 2^64 of the first 8 bytes, little-endian, of the hashes in
// the last heads of all origins: nodes that know the same of them have the same.
func (s *Signatures) Print() uint64 { return s.print }

// Rewind notes that the change first and those that follow it in its chain are not
// applied any more.
func (s *Signatures) Rewind(first merge.Dot) {
	if e := s.last[first.Origin]; e.Dot.Seq >= first.Seq {
		s.print -= e.short()
		delete(s.last, first.Origin)
	}
}

// Cover notes that the origin has signed the branch that begins with the change
// first: with h, which names that change or one that follows it. The former takes the
// place of the latter: others can tell what it is of. It reports whether h was news.
func (s *Signatures) Cover(from Nonce, first Known, h SignedHead) bool {
	if e, known := s.branches[first]; known && (e.Known == first || h.Known != first) {
		return false
	}
	s.news++
	set(&s.branches, first, signature{h, from, s.news})
	return true
}

// Restore takes a head that was kept: of a branch that begins with the change first,
// or the last of its origin if that is zero.
func (s *Signatures) Restore(first Known, h SignedHead) {
	if first.Dot.Seq > 0 {
		s.Cover(Nonce{}, first, h)
		return
	}
	s.setLast(h, Nonce{})
}

// makeRoom forgets some entry, whichever, if there is no room for a new one: nobody who
// fills a map keeps others out.
func makeRoom[K comparable, V any](m map[K]V, k K, most int) {
	if _, ok := m[k]; ok || len(m) < most {
		return
	}
	for victim := range m {
		delete(m, victim)
		return
	}
}

// set sets an entry of a map that is made with its first one.
func set[K comparable, V any](m *map[K]V, k K, v V) {
	if *m == nil {
		*m = make(map[K]V)
	}
	(*m)[k] = v
}

// Strays returns the names of the heads that are ahead of what was applied, or against
// it, ascending: [Signatures.Again] takes them when that has changed.
func (s *Signatures) Strays() (names []Known) {
	for _, e := range s.ahead {
		names = append(names, e.Known)
	}
	for _, e := range s.against {
		names = append(names, e.Known)
	}
	slices.SortFunc(names, Known.Compare)
	return names
}

// Again takes a stray again, and reports whether it is to be kept and told on now.
func (s *Signatures) Again(name Known, at Standing) bool {
	o := name.Dot.Origin
	if e := s.ahead[o]; e.Known == name && (at.Head >= name.Dot.Seq || at.severed(name)) {
		delete(s.ahead, o)
		return s.Take(e.from, e.SignedHead, at)
	}
	if e := s.against[o]; e.Known == name && (at.severed(name) || at.Hash == e.Hash) {
		delete(s.against, o)
		return s.Take(Nonce{}, e.SignedHead, at)
	}
	return false
}

// Spoke notes that the devices of some origins are there themselves: what they have
// given up under them, and had signed, is nothing to look for.
func (s *Signatures) Spoke(origins ...merge.Origin) {
	for _, o := range origins {
		if e, ok := s.against[o]; ok {
			s.against[o] = contrary{e.SignedHead, true}
		}
	}
}

// Last returns the last head of an origin that names what is applied here, with
// number 0 if there is none.
func (s *Signatures) Last(o merge.Origin) SignedHead { return s.last[o].SignedHead }

// Branch returns the head that covers the branch that begins with the change first,
// false if none is known.
func (s *Signatures) Branch(first Known) (SignedHead, bool) {
	e, ok := s.branches[first]
	return e.SignedHead, ok
}

// Signs reports of which of the two branches of a fork it is known that the origin
// has signed them.
func (s *Signatures) Signs(fork *Split) (signed [2]bool) {
	for i, h := range fork.hashes() {
		_, signed[i] = s.Branch(Known{fork.Dot, h})
	}
	return signed
}

// Covered returns how many changes are signed, or are followed by one that is; head
// returns the number of the last change of an origin.
func (s *Signatures) Covered(head func(merge.Origin) uint64) (n uint64) {
	most := make(map[merge.Origin]uint64, len(s.last))
	for o, e := range s.last {
		most[o] = e.Dot.Seq
	}
	for first := range s.branches { // what comes before a fork is on both branches
		most[first.Dot.Origin] = max(most[first.Dot.Origin], first.Dot.Seq-1)
	}
	for o, seq := range most {
		n += min(seq, head(o))
	}
	return n
}

func byKnown(a, b SignedHead) int { return a.Known.Compare(b.Known) }

// Against returns heads that name other changes than those that are applied here,
// ascending, without those of which the devices have spoken.
func (s *Signatures) Against() (heads []SignedHead) {
	for _, e := range s.against {
		if !e.spoke {
			heads = append(heads, e.SignedHead)
		}
	}
	slices.SortFunc(heads, byKnown)
	return heads
}
