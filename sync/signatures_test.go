package sync_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"slices"
	"testing"

	"github.com/joinery-crdt/joinery/hlc"
	"github.com/joinery-crdt/joinery/merge"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

func keyOf(b byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{b}, ed25519.SeedSize))
}

// signedAs returns a head of the origin of a key: change seq, with a hash.
func signedAs(b byte, seq uint64, hash byte) crdtsync.SignedHead {
	key := keyOf(b)
	o := crdtsync.OriginOf(key.Public().(ed25519.PublicKey))
	return crdtsync.SignHead("s", crdtsync.Known{Dot: merge.Dot{Origin: o, Seq: seq}, Hash: crdtsync.Hash{hash}}, key)
}

// TestVerify changes everything that is signed, and who signed it.
func TestVerify(t *testing.T) {
	good := signedAs(1, 7, 1)
	if err := good.Verify("s"); err != nil {
		t.Fatal(err)
	}
	if err := good.Verify("t"); !errors.Is(err, crdtsync.ErrSignature) {
		t.Errorf("in another space: %v", err)
	}
	stranger := crdtsync.SignHead("s", good.Known, keyOf(2))
	for what, change := range map[string]func(h *crdtsync.SignedHead){
		"number":             func(h *crdtsync.SignedHead) { h.Dot.Seq++ },
		"hash":               func(h *crdtsync.SignedHead) { h.Hash[31] ^= 1 },
		"origin":             func(h *crdtsync.SignedHead) { h.Dot.Origin[0] ^= 1 },
		"key":                func(h *crdtsync.SignedHead) { h.Key = stranger.Key },
		"signature":          func(h *crdtsync.SignedHead) { h.Signature[0] ^= 1 },
		"signed by stranger": func(h *crdtsync.SignedHead) { *h = stranger },
	} {
		h := good
		if change(&h); !errors.Is(h.Verify("s"), crdtsync.ErrSignature) {
			t.Errorf("%s: Verify = %v, want ErrSignature", what, h.Verify("s"))
		}
	}
}

func has(h crdtsync.SignedHead) crdtsync.Standing {
	return crdtsync.Standing{Head: h.Dot.Seq, Hash: h.Hash, Known: true}
}

// tellAll returns what is told over a link to a peer that knows nothing, in order.
func tellAll(s *crdtsync.Signatures, nonce crdtsync.Nonce) (heads []crdtsync.SignedHead) {
	var link crdtsync.Telling
	for range 100 {
		if f := s.Tell(&link, nonce); f != nil {
			heads = append(heads, f.Heads...)
		}
	}
	slices.SortFunc(heads, func(a, b crdtsync.SignedHead) int { return a.Known.Compare(b.Known) })
	return heads
}

// checkTold compares what is told to a stranger.
func checkTold(t *testing.T, s *crdtsync.Signatures, want ...crdtsync.SignedHead) {
	t.Helper()
	got := tellAll(s, crdtsync.Nonce{99})
	slices.SortFunc(want, func(a, b crdtsync.SignedHead) int { return a.Known.Compare(b.Known) })
	if !slices.Equal(got, want) {
		t.Errorf("told %v, want %v", got, want)
	}
}

// TestSignaturesGrow takes heads of a chain: the last one that is met counts.
func TestSignaturesGrow(t *testing.T) {
	var s crdtsync.Signatures
	three, five := signedAs(1, 3, 3), signedAs(1, 5, 5)
	o := three.Dot.Origin
	if !s.Wants(&five) || !s.Take(crdtsync.Nonce{1}, five, has(five)) || s.Wants(&five) {
		t.Error("a head that is met is not taken, or wanted again")
	}
	if s.Take(crdtsync.Nonce{1}, three, crdtsync.Standing{Head: 5, Hash: three.Hash, Known: true}) {
		t.Error("an earlier head is news")
	}
	checkTold(t, &s, five)
	if got := tellAll(&s, crdtsync.Nonce{1}); len(got) != 0 {
		t.Errorf("%v is told to who told it", got)
	}
	if s.Last(o) != five {
		t.Errorf("Last = %v, want 5", s.Last(o).Dot)
	}
	var fresh crdtsync.Signatures
	seven := signedAs(1, 7, 7)
	s.Take(crdtsync.Nonce{1}, seven, has(seven))
	fresh.Take(crdtsync.Nonce{1}, seven, has(seven))
	if s.Print() != fresh.Print() {
		t.Error("what was replaced is in the print")
	}
	for head, want := range map[uint64]uint64{9: 7, 4: 4} {
		if got := s.Covered(func(merge.Origin) uint64 { return head }); got != want {
			t.Errorf("%d of %d changes are covered, want %d", got, head, want)
		}
	}
}

// TestSignaturesWait takes a head before the change that it names is applied.
func TestSignaturesWait(t *testing.T) {
	var s crdtsync.Signatures
	five := signedAs(1, 5, 5)
	if s.Take(crdtsync.Nonce{1}, five, crdtsync.Standing{Head: 4}) || s.Wants(&five) {
		t.Error("a head that is ahead is told on, or wanted again")
	}
	at := crdtsync.Standing{Head: 4}
	if got := s.Strays(); !slices.Equal(got, []crdtsync.Known{five.Known}) || s.Again(five.Known, at) {
		t.Errorf("strays = %v, or one is news before the change is applied", got)
	}
	if !s.Again(five.Known, has(five)) || s.Again(five.Known, has(five)) || len(s.Strays()) != 0 {
		t.Error("a head is not news, or twice, when the change is applied")
	}
	checkTold(t, &s, five)
}

// TestSignaturesDiffer takes heads that name something else than what is applied.
func TestSignaturesDiffer(t *testing.T) {
	var s crdtsync.Signatures
	theirs, mine := signedAs(1, 5, 5), signedAs(1, 5, 6)
	at := has(mine)
	s.Take(crdtsync.Nonce{1}, theirs, at)
	if got := s.Against(); !slices.Equal(got, []crdtsync.SignedHead{theirs}) || s.Wants(&theirs) {
		t.Errorf("Against = %v, want the head, once", got)
	}
	checkTold(t, &s)
	s.Spoke(theirs.Dot.Origin)
	if got := s.Against(); len(got) != 0 {
		t.Errorf("Against = %v though the device is there", got)
	}
	if s.Wants(&theirs) || !slices.Equal(s.Strays(), []crdtsync.Known{theirs.Known}) {
		t.Error("what the device has spoken of is forgotten, or wanted again")
	}
	s.Take(crdtsync.Nonce{1}, theirs, at)
	if s.Again(theirs.Known, at) || len(s.Strays()) != 1 {
		t.Error("a head that names something else is taken")
	}
	if !s.Again(theirs.Known, has(theirs)) || len(s.Against()) != 0 {
		t.Errorf("against %v, when the change has come", s.Against())
	}
}

// TestSignaturesOfBranches takes heads that name the first change of a branch, a
// later one of it, and one before it.
func TestSignaturesOfBranches(t *testing.T) {
	var s crdtsync.Signatures
	key := keyOf(1)
	o := crdtsync.OriginOf(key.Public().(ed25519.PublicKey))
	one, other := emptyChange(t, o, 2, 10), emptyChange(t, o, 2, 11)
	fork, ok := crdtsync.NewSplit("s", one.Bytes(), other.Bytes())
	if !ok {
		t.Fatal("no fork")
	}
	sign := func(seq uint64, hash crdtsync.Hash) crdtsync.SignedHead {
		return crdtsync.SignHead("s", crdtsync.Known{Dot: merge.Dot{Origin: o, Seq: seq}, Hash: hash}, key)
	}
	first, later, before, third := sign(2, one.Hash()), sign(3, crdtsync.Hash{3}), sign(1, one.Prev), sign(2, crdtsync.Hash{9})
	at := crdtsync.Standing{Head: 1, Fork: &fork}
	for _, h := range []crdtsync.SignedHead{later, third} {
		if s.Take(crdtsync.Nonce{1}, h, at) || len(s.Against()) != 0 || !s.Wants(&h) {
			t.Errorf("%v, which names neither branch's first change, is taken", h.Dot)
		}
	}
	met := at
	met.Hash, met.Known = before.Hash, true
	if !s.Take(crdtsync.Nonce{1}, first, at) || s.Take(crdtsync.Nonce{1}, first, at) || !s.Take(crdtsync.Nonce{1}, before, met) {
		t.Error("the first change of a branch, or one before the fork, is not news, or twice")
	}
	checkTold(t, &s, before, first)
	var branch crdtsync.Signatures
	branch.Take(crdtsync.Nonce{1}, first, at)
	if got := branch.Covered(func(merge.Origin) uint64 { return 1 }); got != 1 {
		t.Errorf("%d changes are covered before a signed branch, want 1", got)
	}
	signed := s.Signs(&fork)
	if signed[0] == signed[1] {
		t.Errorf("signed = %v, want one of the branches", signed)
	}
	s.Cover(crdtsync.Nonce{}, crdtsync.Known{Dot: fork.Dot, Hash: other.Hash()}, later)
	if signed = s.Signs(&fork); signed != [2]bool{true, true} {
		t.Errorf("signed = %v, want both", signed)
	}
	var early crdtsync.Signatures
	early.Take(crdtsync.Nonce{1}, first, crdtsync.Standing{Head: 1})
	if !early.Again(first.Known, at) {
		t.Error("a head is no news when the fork is known")
	}
	checkTold(t, &s, before, first) // nobody else could tell what the later one covers
	exact := sign(2, other.Hash())
	if !s.Wants(&exact) || !s.Take(crdtsync.Nonce{1}, exact, at) || s.Take(crdtsync.Nonce{1}, exact, at) {
		t.Error("the first change of a branch is not news where a later one was known")
	}
	checkTold(t, &s, before, first, exact)
}

// TestSignaturesBounded offers heads of many origins that are not applied.
func TestSignaturesBounded(t *testing.T) {
	var s crdtsync.Signatures
	var told []crdtsync.SignedHead
	const many = 1500
	for i := range many {
		h := crdtsync.SignedHead{Known: crdtsync.Known{Dot: merge.Dot{Origin: merge.Origin{1, byte(i), byte(i >> 8)}, Seq: 5}, Hash: crdtsync.Hash{7}}}
		s.Take(crdtsync.Nonce{1}, h, crdtsync.Standing{})
		h.Dot.Origin[0] = 2
		s.Take(crdtsync.Nonce{1}, h, crdtsync.Standing{Head: 5, Hash: crdtsync.Hash{1}, Known: true})
		h.Dot.Origin[0] = 3
		s.Take(crdtsync.Nonce{1}, h, has(h))
		told = append(told, h)
	}
	if strays, against := len(s.Strays()), len(s.Against()); strays != 1024+64 || against != 64 {
		t.Errorf("%d strays, %d of them against what is here, want 1,024 and 64 more", strays, against)
	}
	got := tellAll(&s, crdtsync.Nonce{2})
	for _, h := range told {
		if !slices.Contains(got, h) {
			t.Fatalf("%v is not told", h.Dot)
		}
	}
}

// TestAheadIsNotFilled fills what is kept of what is not applied yet: neither an origin
// that is there nor a new one is kept out.
func TestAheadIsNotFilled(t *testing.T) {
	var s crdtsync.Signatures
	for i := range 1024 {
		h := crdtsync.SignedHead{Known: crdtsync.Known{Dot: merge.Dot{Origin: merge.Origin{1, byte(i), byte(i >> 8)}, Seq: 5}}}
		s.Take(crdtsync.Nonce{6}, h, crdtsync.Standing{})
	}
	for _, h := range []crdtsync.SignedHead{signedAs(2, 1, 1), signedAs(2, 2, 2)} {
		if s.Take(crdtsync.Nonce{1}, h, crdtsync.Standing{}); s.Wants(&h) {
			t.Errorf("%v is not kept", h.Dot)
		}
	}
}

// TestSignaturesRewind takes changes back that were signed.
func TestSignaturesRewind(t *testing.T) {
	var s crdtsync.Signatures
	five := signedAs(1, 5, 5)
	s.Take(crdtsync.Nonce{1}, five, has(five))
	print := s.Print()
	six := five.Dot
	six.Seq++
	if s.Rewind(six); s.Last(five.Dot.Origin) != five || s.Print() != print {
		t.Error("a head of what stays is forgotten")
	}
	four := signedAs(1, 4, 4)
	if s.Rewind(five.Dot); s.Last(five.Dot.Origin).Dot.Seq != 0 || s.Print() != 0 {
		t.Error("a head of what was taken back stays, or in the print")
	}
	if !s.Take(crdtsync.Nonce{1}, four, has(four)) {
		t.Error("a head of what stays is not news")
	}
}

// TestTelling lets two nodes that know many heads meet, of which one has news: that
// is told first, and then nothing more.
func TestTelling(t *testing.T) {
	var a, b crdtsync.Signatures
	for i := range 200 {
		h := crdtsync.SignedHead{Known: crdtsync.Known{Dot: merge.Dot{Origin: merge.Origin{1, byte(i)}, Seq: 5}, Hash: crdtsync.Hash{byte(i), 1}}}
		a.Take(crdtsync.Nonce{}, h, has(h))
		b.Take(crdtsync.Nonce{}, h, has(h))
	}
	meet := func(least, most int) {
		t.Helper()
		told, frames := 0, 0
		var atA, atB crdtsync.Telling
		say := func(from, to *crdtsync.Signatures, link, other *crdtsync.Telling, own, peer crdtsync.Nonce) {
			f := from.Tell(link, peer)
			if f == nil {
				return
			}
			frames++
			other.Hear(f.Print)
			for _, h := range f.Heads {
				told++
				to.Take(own, h, has(h))
			}
		}
		for range 20 {
			say(&a, &b, &atA, &atB, crdtsync.Nonce{1}, crdtsync.Nonce{2})
			say(&b, &a, &atB, &atA, crdtsync.Nonce{2}, crdtsync.Nonce{1})
		}
		if told < least || told > most || a.Print() != b.Print() {
			t.Errorf("%d heads are told, prints %x and %x, want %d to %d", told, a.Print(), b.Print(), least, most)
		}
		if most == 0 && frames != 2 {
			t.Errorf("%d frames between two that know the same, want 2", frames)
		}
	}
	meet(0, 0)
	news := signedAs(1, 3, 3)
	a.Take(crdtsync.Nonce{}, news, has(news))
	meet(1, 16+16) // of either side some, as neither knows who has the news
	meet(0, 0)
	b = crdtsync.Signatures{}
	meet(201, 201)
}

// emptyChange returns a change without writes.
func emptyChange(t *testing.T, o merge.Origin, seq uint64, at hlc.Timestamp) *crdtsync.Change {
	t.Helper()
	c, err := crdtsync.NewChange(merge.Dot{Origin: o, Seq: seq}, at, crdtsync.Hash{1}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// BenchmarkSigned is the cost of a signed head to its device and to everybody else.
func BenchmarkSigned(b *testing.B) {
	key := keyOf(1)
	h := signedAs(1, 5, 5)
	b.Run("sign", func(b *testing.B) {
		for b.Loop() {
			crdtsync.SignHead("s", h.Known, key)
		}
	})
	b.Run("verify", func(b *testing.B) {
		for b.Loop() {
			if err := h.Verify("s"); err != nil {
				b.Fatal(err)
			}
		}
	})
}
