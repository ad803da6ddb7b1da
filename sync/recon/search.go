package recon

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"slices"
)

// How a search divides.
const (
	fanOut   = 16   // parts of a range
	fewItems = 8    // of ours in a range that is not divided further
	someMore = 512  // of ours in one that differs between two that differ
	maxParts = 1024 // in a question
	maxFirst = 64   // in the first, which the other side made
)

// ErrAnswer: the answer does not fit the question.
var ErrAnswer = errors.New("recon: an answer of another length than its question asks for")

// A Search finds the ranges of keys in which two ordered sets differ. Ask and
// Take alternate until Ask has no more questions, one round trip each: the
// number of both grows with the logarithm of the set. A question that is lost
// can be asked again, since the peer keeps nothing.
//
// Three ranges in a row that differ are taken to differ throughout, once they
// are small, so that a cluster costs what its two ends cost.
type Search struct {
	set   Ordered
	todo  []part // to be divided at this level, ascending
	next  []part // and at the level below
	asked []part
	found []part
}

// part is a range of keys, and of positions of the own set.
type part struct {
	Range
	lo, hi      int
	left, right bool // the neighbour on that side differs too
}

func (p part) len() int { return p.hi - p.lo }

// NewSearch starts a search over the whole of two sets that differ.
func NewSearch(set Ordered) *Search {
	return &Search{set: set, todo: []part{{Range: Range{From: []byte{}}, hi: set.Len()}}}
}

// Begin takes the first question and its answer from the peer, who made both
// out of its own set, in place of asking. It returns how many ranges differ,
// and of how many. The error is that of [WalkRanges], or [ErrAnswer].
func (s *Search) Begin(question, answer []byte) (differ, of int, err error) {
	var asked []part
	err = WalkRanges(question, func(r Range) error {
		lo, hi := Positions(s.set, r)
		own := Range{From: bytes.Clone(r.From)}
		if r.End != nil {
			own.End = bytes.Clone(r.End)
		}
		asked = append(asked, part{Range: own, lo: lo, hi: hi})
		if len(asked) > maxFirst {
			return ErrAnswer
		}
		return nil
	})
	if err != nil || len(asked) == 0 {
		return 0, 0, cmp.Or(err, ErrAnswer)
	}
	s.asked = asked
	if err := s.Take(answer); err != nil {
		s.asked = nil
		return 0, 0, err
	}
	s.todo = nil
	return len(s.next) + len(s.found), len(asked), nil
}

// Narrow returns a question that brings the peer one level further than Begin
// has brought this side: the ranges that differ, divided as far as the own set
// can divide them. With the own answer to it the peer begins in turn.
func (s *Search) Narrow() []byte {
	parts := slices.Concat(s.found, s.next)
	slices.SortFunc(parts, byStart)
	var ranges []Range
	for i, p := range parts {
		pieces := s.split(p)
		if len(ranges)+len(pieces)+len(parts)-i-1 > maxFirst {
			pieces = []part{p}
		}
		for _, piece := range pieces {
			ranges = append(ranges, piece.Range)
		}
	}
	return AppendRanges(nil, ranges)
}

// Ask returns the next question for [Answer], nil when there is none. Asking
// twice gives the same question.
func (s *Search) Ask() []byte {
	if len(s.asked) == 0 {
		s.divide()
	}
	if len(s.asked) == 0 {
		return nil
	}
	ranges := make([]Range, len(s.asked))
	for i, p := range s.asked {
		ranges[i] = p.Range
	}
	return AppendRanges(nil, ranges)
}

// divide takes what the next question is about off todo.
func (s *Search) divide() {
	if len(s.todo) == 0 {
		s.descend()
	}
	for len(s.todo) > 0 && len(s.asked) <= maxParts-fanOut {
		p := s.todo[0]
		s.todo = s.todo[1:]
		if parts := s.split(p); len(parts) > 1 {
			s.asked = append(s.asked, parts...)
		} else {
			s.found = append(s.found, p)
		}
	}
}

// descend goes on to the next level, unless what is left to divide is little
// compared with what is found.
func (s *Search) descend() {
	left, found := 0, 0
	for _, p := range s.next {
		left += p.len()
	}
	for _, p := range s.found {
		found += p.len()
	}
	if left*fanOut <= found {
		s.found, s.next = append(s.found, s.next...), nil
	}
	s.todo, s.next = s.next, nil
}

// split returns the parts of p, of about equal size; only p if it cannot be
// divided.
func (s *Search) split(p part) (parts []part) {
	rest := p
	for i := 1; i < fanOut; i++ {
		at := p.lo + p.len()*i/fanOut
		if at <= rest.lo {
			continue
		}
		cut := separator(s.set.Key(at-1), s.set.Key(at))
		if len(cut) > maxBound || bytes.Compare(cut, rest.From) <= 0 {
			continue
		}
		parts = append(parts, part{Range: Range{rest.From, cut}, lo: rest.lo, hi: at, left: rest.left})
		rest.From, rest.lo, rest.left = cut, at, false
	}
	return append(parts, rest)
}

// separator returns the shortest key that is above one and not above the next.
func separator(below, key []byte) []byte { return key[:common(below, key)+1] }

// Answer answers a question of a peer about the own set: 8 bytes a range, its
// sum little-endian.
func Answer(set Ordered, question []byte) ([]byte, error) {
	var dst []byte
	err := WalkRanges(question, func(r Range) error {
		lo, hi := Positions(set, r)
		dst = binary.LittleEndian.AppendUint64(dst, set.Sum(lo, hi))
		return nil
	})
	return dst, err
}

// Positions returns the positions of the items in a range, end exclusive.
func Positions(set Ordered, r Range) (from, end int) {
	from, end = set.Find(r.From), set.Len()
	if r.End != nil {
		end = set.Find(r.End)
	}
	return from, end
}

// Take takes the answer to the last question. The error is [ErrAnswer], and the
// question stands.
func (s *Search) Take(answer []byte) error {
	if len(s.asked) == 0 || len(answer) != 8*len(s.asked) {
		return ErrAnswer
	}
	differ := s.asked[:0]
	for i, p := range s.asked {
		if s.set.Sum(p.lo, p.hi) != binary.LittleEndian.Uint64(answer[8*i:]) {
			differ = append(differ, p)
		}
	}
	s.asked = nil
	meet(differ)
	for _, p := range differ {
		if p.len() <= fewItems || p.len() <= someMore && p.left && p.right {
			s.found = append(s.found, p)
		} else {
			s.next = append(s.next, p)
		}
	}
	return nil
}

// meet notes which of the parts touch.
func meet(parts []part) {
	for i := 1; i < len(parts); i++ {
		if bytes.Equal(parts[i-1].End, parts[i].From) {
			parts[i-1].right, parts[i].left = true, true
		}
	}
}

func byStart(a, b part) int { return bytes.Compare(a.From, b.From) }

// Found returns the ranges that are known to differ, ascending and apart, with
// all that were not divided yet: the sets are equal everywhere else. Their
// items are to be exchanged. The bounds may be parts of the set's keys.
func (s *Search) Found() []Range {
	parts := slices.Concat(s.found, s.next, s.asked, s.todo)
	slices.SortFunc(parts, byStart)
	var ranges []Range
	for _, p := range parts {
		if n := len(ranges); n > 0 && bytes.Equal(ranges[n-1].End, p.From) {
			ranges[n-1].End = p.End
		} else {
			ranges = append(ranges, p.Range)
		}
	}
	return ranges
}
