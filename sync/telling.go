package sync

import (
	"cmp"
	"encoding/binary"
	"slices"
)

// A Telling is what a link has told its peer of signed heads of a space. The zero
// value is that of a new link.
type Telling struct {
	met    bool
	ticks  int
	heard  bool
	theirs uint64 // print that the peer said last
	said   uint64 // print that was said last
	up     uint64 // news up to here was there before the link, or is told
	steps  int    // how often some of that was told
	// Of what was there before the link, this is not told yet: beyond low and up to
	// down, and then beyond pivot and up to high.
	low, down, pivot, high uint64
}

// Hear takes the print that the peer says.
func (t *Telling) Hear(print uint64) { t.heard, t.theirs = true, print }

// Meet begins with a link: what is known by now was there before.
func (s *Signatures) Meet(t *Telling) {
	if !t.met {
		t.met, t.up, t.down = true, s.news, s.news
	}
}

// Tell returns what to say of a space over a link at a tick, nil for nothing: what is
// new, and, while the peer knows other heads, some of what was there before. A peer
// that has not said what it knows by its second tick knows nothing. nonce is that of
// the peer's end.
func (s *Signatures) Tell(t *Telling, nonce Nonce) *Signed {
	s.Meet(t)
	t.ticks++
	differs := t.theirs != s.print && (t.heard || t.ticks > 1)
	if t.heard && t.theirs == s.print {
		t.low, t.down, t.pivot, t.high = 0, 0, 0, 0 // it knows all that there was
	}
	heads := s.fresh(t, nonce)
	if differs {
		heads = append(heads, s.old(t, nonce)...)
	}
	if len(heads) == 0 && s.print == t.said {
		return nil
	}
	t.said = s.print
	slices.SortFunc(heads, byKnown)
	heads = slices.CompactFunc(heads, func(a, b SignedHead) bool { return a.Known == b.Known })
	return &Signed{Heads: heads, Print: s.print}
}

// fresh returns what is news since the last tick, the earliest first.
func (s *Signatures) fresh(t *Telling, nonce Nonce) []SignedHead {
	list := s.between(t.up, s.news)
	if len(list) > MaxSigned/2 {
		list = list[:MaxSigned/2]
		t.up = list[len(list)-1].news
	} else {
		t.up = s.news
	}
	return others(list, nonce)
}

// firstOld is how much of what was there before is told first; more follows.
const firstOld = 16

// old returns some of what was there before the link: first the latest and some of all
// the rest, chosen by the nonce, so that links that do not last tell it all in the end.
func (s *Signatures) old(t *Telling, nonce Nonce) []SignedHead {
	if t.steps++; t.steps > 1 {
		return others(s.some(t, MaxSigned/2), nonce)
	}
	list := s.some(t, firstOld/2)
	if t.high = t.down; t.high > 0 {
		t.pivot = 1 + binary.LittleEndian.Uint64(nonce[:8])%t.high
		t.down = t.pivot
		list = append(list, s.some(t, firstOld/2)...)
	}
	return others(list, nonce)
}

// some returns the next of what is not told, at most a number.
func (s *Signatures) some(t *Telling, most int) []signature {
	list := s.between(t.low, t.down)
	if len(list) > most {
		list = list[len(list)-most:]
		t.down = list[0].news - 1
		return list
	}
	if t.low, t.down, t.high = t.pivot, t.high, 0; t.down == 0 {
		t.low = 0
	}
	return list
}

// between returns what another node can use of the news after one number and up to
// another, the earliest first.
func (s *Signatures) between(after, upTo uint64) (list []signature) {
	if after >= upTo {
		return nil
	}
	for _, e := range s.last {
		if e.news > after && e.news <= upTo {
			list = append(list, e)
		}
	}
	for first, e := range s.branches {
		if e.Known == first && e.news > after && e.news <= upTo { // a later one could not be placed
			list = append(list, e)
		}
	}
	slices.SortFunc(list, func(a, b signature) int { return cmp.Compare(a.news, b.news) })
	return list
}

// others returns the heads that did not come over the link of the nonce.
func others(list []signature, nonce Nonce) (heads []SignedHead) {
	for _, e := range list {
		if e.from != nonce {
			heads = append(heads, e.SignedHead)
		}
	}
	return heads
}
