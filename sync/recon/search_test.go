package recon_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/joinery-crdt/joinery/internal/varint"
	"github.com/joinery-crdt/joinery/sync/recon"
)

// cells is a set by key, with a number for what each item holds.
type cells map[string]uint64

func (c cells) keyed() *recon.Keyed {
	x := &recon.Index{}
	for _, k := range slices.Sorted(maps.Keys(c)) {
		h := uint64(14695981039346656037)
		for _, b := range []byte(k) {
			h = (h ^ uint64(b)) * 1099511628211
		}
		x.Append([]byte(k), recon.Print{h, c[k]})
	}
	return x.Under(key)
}

func numbered(n int) cells {
	c := make(cells, n)
	for i := range n {
		c[fmt.Sprintf("tags\x00\x01orset\x00\x01element-%08d", i)] = 0
	}
	return c
}

// search runs a whole search and returns it with what it cost.
func search(t testing.TB, ours, theirs recon.Ordered) (s *recon.Search, rounds, control int) {
	t.Helper()
	s = recon.NewSearch(ours)
	rounds, control = finish(t, s, theirs)
	return s, rounds, control
}

// finish asks the questions of a search.
func finish(t testing.TB, s *recon.Search, theirs recon.Ordered) (rounds, control int) {
	t.Helper()
	for q := s.Ask(); q != nil; q = s.Ask() {
		answer, err := recon.Answer(theirs, q)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Take(answer); err != nil {
			t.Fatal(err)
		}
		rounds++
		control += len(q) + len(answer)
		if rounds > 1000 {
			t.Fatal("the search does not end")
		}
	}
	return rounds, control
}

// outside returns the keys of a set that are in none of the ranges.
func outside(c cells, ranges []recon.Range) cells {
	rest := make(cells)
	for k, v := range c {
		in := slices.ContainsFunc(ranges, func(r recon.Range) bool {
			return k >= string(r.From) && (r.End == nil || k < string(r.End))
		})
		if !in {
			rest[k] = v
		}
	}
	return rest
}

// Whatever the sets are, they are equal outside of what a search finds.
func TestSearchFindsEverything(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 2))
		ours, theirs := make(cells), make(cells)
		for range r.IntN(2000) {
			b := make([]byte, 1+r.IntN(3))
			for i := range b {
				b[i] = byte(r.IntN(12))
			}
			ours[string(b)], theirs[string(b)] = 0, 0
		}
		for k := range ours {
			switch r.IntN(1 + int(seed)*5) {
			case 0:
				delete(ours, k)
			case 1:
				delete(theirs, k)
			case 2:
				theirs[k]++
			}
		}
		s, _, _ := search(t, ours.keyed(), theirs.keyed())
		found := s.Found()
		if a, b := outside(ours, found), outside(theirs, found); !maps.Equal(a, b) {
			t.Fatalf("seed %d: outside of %q remain\n%v and\n%v", seed, found, a, b)
		}
		checkRoundTrip(t, found)
	}
}

// Who answers a first question narrows it down further, and everything outside of
// what is found then is equal still, whatever the sets are.
func TestNarrowFindsEverything(t *testing.T) {
	for seed := range uint64(80) {
		r := rand.New(rand.NewPCG(seed, 3))
		ours, theirs := numbered(r.IntN(3000)), make(cells)
		maps.Copy(theirs, ours)
		at, long := r.IntN(3000), r.IntN(1+int(seed)*10)
		for i := at; i < at+long; i++ {
			k := fmt.Sprintf("tags\x00\x01orset\x00\x01element-%08d", i)
			switch r.IntN(4) {
			case 0:
				delete(ours, k)
			case 1:
				delete(theirs, k)
			case 2:
				theirs[k]++
			}
		}
		a, b := ours.keyed(), theirs.keyed()
		question := recon.NewSearch(a).Ask()
		if question == nil {
			continue
		}
		answer, err := recon.Answer(a, question)
		if err != nil {
			t.Fatal(err)
		}
		peer := recon.NewSearch(b)
		if _, _, err := peer.Begin(question, answer); err != nil {
			t.Fatal(err)
		}
		narrowed := peer.Narrow()
		answer, err = recon.Answer(b, narrowed)
		if err != nil {
			t.Fatal(err)
		}
		s := recon.NewSearch(a)
		if len(narrowed) > 0 {
			if _, of, err := s.Begin(narrowed, answer); err != nil || of > 64 {
				t.Fatalf("seed %d: Begin with %d ranges: %v", seed, of, err)
			}
			finish(t, s, b)
		} else if !maps.Equal(ours, theirs) {
			t.Fatalf("seed %d: nothing is left of sets that differ", seed)
		} else {
			continue
		}
		if x, y := outside(ours, s.Found()), outside(theirs, s.Found()); !maps.Equal(x, y) {
			t.Fatalf("seed %d: outside of %q remain %d and %d cells", seed, s.Found(), len(x), len(y))
		}
	}
}

func checkRoundTrip(t *testing.T, ranges []recon.Range) {
	t.Helper()
	b := recon.AppendRanges(nil, ranges)
	var got []recon.Range
	err := recon.WalkRanges(b, func(r recon.Range) error {
		got = append(got, recon.Range{From: bytes.Clone(r.From), End: bytes.Clone(r.End)})
		return nil
	})
	if err != nil {
		t.Fatalf("WalkRanges(%x) of %q = %v", b, ranges, err)
	}
	if !slices.EqualFunc(got, ranges, sameRange) {
		t.Errorf("WalkRanges reads %q, want %q", got, ranges)
	}
}

func sameRange(a, b recon.Range) bool {
	return bytes.Equal(a.From, b.From) && bytes.Equal(a.End, b.End) && (a.End == nil) == (b.End == nil)
}

// A search that is given up has found all that it has not ruled out.
func TestSearchGivenUp(t *testing.T) {
	ours, theirs := numbered(1000), numbered(1000)
	clear(theirs)
	s := recon.NewSearch(ours.keyed())
	if got := s.Found(); len(got) != 1 || got[0].End != nil || len(got[0].From) != 0 {
		t.Errorf("Found() before anything is asked = %q, want all", got)
	}
	q := s.Ask()
	if again := s.Ask(); !bytes.Equal(q, again) {
		t.Error("asked twice, the question is another one")
	}
	if got := s.Found(); len(got) != 1 || got[0].End != nil {
		t.Errorf("Found() with a question open = %q, want all", got)
	}
	if err := s.Take(nil); !errors.Is(err, recon.ErrAnswer) {
		t.Errorf("Take(nil) = %v, want ErrAnswer", err)
	}
	answer, err := recon.Answer(theirs.keyed(), q)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Take(answer); err != nil {
		t.Fatal(err)
	}
	if err := s.Take(answer); !errors.Is(err, recon.ErrAnswer) {
		t.Errorf("Take of an answer to no question = %v, want ErrAnswer", err)
	}
	if got := s.Found(); len(got) != 1 || got[0].End != nil {
		t.Errorf("Found() after one answer = %q, want all", got)
	}
}

// A set of which one side has nothing is sent whole, without a question.
func TestSearchOfNothing(t *testing.T) {
	s, rounds, _ := search(t, cells{}.keyed(), numbered(100).keyed())
	if got := s.Found(); rounds != 0 || len(got) != 1 || got[0].End != nil {
		t.Errorf("Found() = %q after %d rounds", got, rounds)
	}
}

// Keys that differ only behind a prefix too long for a bound stay together.
func TestSearchAmongLongKeys(t *testing.T) {
	ours, theirs := make(cells), make(cells)
	for i := range 100 {
		k := string(bytes.Repeat([]byte{'x'}, 5000)) + fmt.Sprint(i)
		ours[k], theirs[k] = 0, uint64(i)
	}
	s, _, _ := search(t, ours.keyed(), theirs.keyed())
	if rest := outside(theirs, s.Found()); len(rest) != 0 {
		t.Errorf("%d cells remain outside", len(rest))
	}
}

func TestClusterCostsItsEnds(t *testing.T) {
	const n, from, end = 1_000_000, 437_123, 447_123
	ours, theirs := &recon.Index{}, &recon.Index{}
	for i := range n {
		k := fmt.Appendf(nil, "tags\x00\x01orset\x00\x01element-%08d", i)
		p := recon.Print{uint64(i), 0}
		ours.Append(k, p)
		if i >= from && i < end {
			p[1] = 1
		}
		theirs.Append(k, p)
	}
	a, b := ours.Under(key), theirs.Under(key)
	s, rounds, control := search(t, a, b)
	covered, exact := 0, 0
	for _, r := range s.Found() {
		lo, hi := recon.Positions(a, r)
		covered += hi - lo
		exact += max(0, min(hi, end)-max(lo, from))
	}
	t.Logf("10,000 differences in a row among %d: %d bytes of control, %d round trips and one for the cells; %d cells in the ranges found", n, control, rounds, covered)
	if rounds+1 > 4 || control > 2000 || exact != end-from || covered > 11_000 {
		t.Errorf("%d rounds, %d bytes, %d of %d found in %d cells", rounds+1, control, exact, end-from, covered)
	}
}

func TestWalkRangesRefuses(t *testing.T) {
	for name, b := range map[string][]byte{
		"a group of nothing":           {0},
		"one bound that is no range":   {2, 0, 0},
		"a group after the end":        {3, 0, 0, 3, 0, 1, 'a'},
		"bounds that do not ascend":    {4, 0, 1, 'b', 0, 1, 'a'},
		"an empty range":               {4, 0, 1, 'b', 1, 0},
		"a longer rest than necessary": {4, 0, 1, 'a', 0, 2, 'a', 'b'},
		"more in common than there is": {4, 0, 1, 'a', 2, 1, 'b'},
		"groups that touch":            {4, 0, 1, 'a', 0, 1, 'b', 4, 1, 0, 0, 1, 'c'},
		"a truncated bound":            {4, 0, 1, 'a', 0, 9},
		"a bound that is too long":     append([]byte{3, 0, 0x81, 0x20}, make([]byte, 4097)...),
	} {
		err := recon.WalkRanges(b, func(recon.Range) error { return nil })
		if !errors.Is(err, varint.ErrFormat) {
			t.Errorf("%s: WalkRanges = %v, want a format error", name, err)
		}
	}
	stop := errors.New("stop")
	if err := recon.WalkRanges([]byte{5, 0, 0, 0, 1, 'a'}, func(recon.Range) error { return stop }); err != stop {
		t.Errorf("WalkRanges = %v, want what the function returned", err)
	}
}

func FuzzWalkRanges(f *testing.F) {
	s := recon.NewSearch(numbered(500).keyed())
	f.Add(s.Ask())
	f.Add([]byte{})
	f.Add([]byte{4, 0, 1, 'a', 0, 1, 'c', 3, 0, 1, 'd'})
	f.Fuzz(func(t *testing.T, b []byte) {
		var ranges []recon.Range
		size := 0
		err := recon.WalkRanges(b, func(r recon.Range) error {
			if size += len(r.From) + len(r.End); size < 1<<20 {
				ranges = append(ranges, recon.Range{From: bytes.Clone(r.From), End: bytes.Clone(r.End)})
			}
			return nil
		})
		if err != nil || size >= 1<<20 {
			return
		}
		if got := recon.AppendRanges(nil, ranges); !bytes.Equal(got, b) {
			t.Errorf("%x reads as %q, which is written %x", b, ranges, got)
		}
		if _, err := recon.Answer(numbered(20).keyed(), b); err != nil {
			t.Errorf("Answer(%x) = %v", b, err)
		}
	})
}

func ExampleSearch() {
	ours, theirs := numbered(10_000), numbered(10_000)
	for i := range 20 {
		theirs[fmt.Sprintf("tags\x00\x01orset\x00\x01element-%08d", 5000+i)] = 1
	}
	a, b := ours.keyed(), theirs.keyed()
	s := recon.NewSearch(a)
	for q := s.Ask(); q != nil; q = s.Ask() {
		answer, err := recon.Answer(b, q)
		if err == nil {
			err = s.Take(answer)
		}
		if err != nil {
			fmt.Println(err)
			return
		}
	}
	for _, r := range s.Found() {
		from, end := recon.Positions(a, r)
		fmt.Println(end-from, "cells to exchange")
	}
	// Output: 21 cells to exchange
}
