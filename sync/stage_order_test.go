package sync_test

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/big"
	"slices"
	"testing"

	"github.com/joinery-crdt/joinery/merge"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// TestAnyArrivalOrder applies random causal histories in random orders, one
// change or several to a stage, with duplicates.
func TestAnyArrivalOrder(t *testing.T) {
	for seed := range uint64(40) {
		rng := seeded(seed)
		want := history(t, rng, 2+rng.IntN(4), 10+rng.IntN(60))
		causal(t, fmt.Sprintf("seed %d", seed), want.log)
		for round := range 5 {
			late := newReplica(t, 100, "s")
			arrivals := shuffled(t, rng, want.log)
			for len(arrivals) > 0 {
				n := 1 + rng.IntN(min(8, len(arrivals)))
				late.offer("s", arrivals[:n]...)
				late.offer("s", arrivals[rng.IntN(n)])
				arrivals = arrivals[n:]
			}
			what := fmt.Sprintf("seed %d, round %d", seed, round)
			wantSame(t, what, late.space("s"), want)
			causal(t, what, late.space("s").log)
		}
	}
}

// TestSummaryIsTheSum compares the incremental account with one made from
// scratch.
func TestSummaryIsTheSum(t *testing.T) {
	for seed := range uint64(10) {
		s := history(t, seeded(seed), 3, 40)
		var cells, heads [][]byte
		for key, state := range s.cells {
			cells = append(cells, append(append(binary.AppendUvarint(nil, uint64(len(key))), key...), state...))
		}
		for d := range s.Heads() {
			heads = append(heads, binary.BigEndian.AppendUint64(slices.Clone(d.Origin[:]), d.Seq))
		}
		got := s.Summary()
		if got.Cells != naivePrint(cells) {
			t.Errorf("seed %d: Cells = %v, the sum is %v", seed, got.Cells, naivePrint(cells))
		}
		if got.Applied != naivePrint(heads) {
			t.Errorf("seed %d: Applied = %v, the sum is %v", seed, got.Applied, naivePrint(heads))
		}
		if got.Changes != uint64(len(s.log)) || got.Unread != 0 {
			t.Errorf("seed %d: %d changes, %d unread; want %d and 0", seed, got.Changes, got.Unread, len(s.log))
		}
	}
}

// naivePrint adds SHA-256 hashes, as little-endian numbers, modulo 2^256.
func naivePrint(members [][]byte) crdtsync.Fingerprint {
	sum := new(big.Int)
	for _, m := range members {
		h := sha256.Sum256(m)
		slices.Reverse(h[:])
		sum.Add(sum, new(big.Int).SetBytes(h[:]))
	}
	sum.Mod(sum, new(big.Int).Lsh(big.NewInt(1), 256))
	b := sum.FillBytes(make([]byte, 32))
	slices.Reverse(b)
	f, _ := crdtsync.ParseFingerprint(b)
	return f
}

func TestFingerprintForms(t *testing.T) {
	f := crdtsync.Fingerprint{1, 2, 3, 1 << 63}
	if got, ok := crdtsync.ParseFingerprint(f.Bytes()); !ok || got != f {
		t.Errorf("ParseFingerprint(Bytes) = %v, %v; want %v", got, ok, f)
	}
	if got, want := f.String(), fmt.Sprintf("%x", f.Bytes()); got != want {
		t.Errorf("String = %q, want %q", got, want)
	}
	for _, n := range []int{0, 31, 33} {
		if _, ok := crdtsync.ParseFingerprint(make([]byte, n)); ok {
			t.Errorf("ParseFingerprint took %d bytes", n)
		}
	}
}

// TestDepsListWhatChanged counts what a change lists: the heads of others that
// moved since the author's previous change, and no more.
func TestDepsListWhatChanged(t *testing.T) {
	a, b, c := newReplica(t, 1, "s"), newReplica(t, 2, "s"), newReplica(t, 3, "s")
	b.author("s", put(t, "b1"))
	b.author("s", put(t, "b2"))
	c.author("s", put(t, "c1"))
	a.pull("s", b, 2)
	steps := []struct {
		before func()
		want   []merge.Dot
	}{
		{func() {}, []merge.Dot{dotOf(2, 2)}},
		{func() {}, nil},
		{func() { a.pull("s", c, 1) }, []merge.Dot{dotOf(3, 1)}},
		{func() { b.author("s", put(t, "b3")); c.author("s", put(t, "c2")) }, nil},
		{func() { a.pull("s", c, 1); a.pull("s", b, 1) }, []merge.Dot{dotOf(2, 3), dotOf(3, 2)}},
		{func() {}, nil},
	}
	for i, step := range steps {
		step.before()
		got := a.author("s", put(t, fmt.Sprint("a", i)))
		if !slices.Equal(got.Deps, step.want) || got.Dot.Seq != uint64(i+1) {
			t.Errorf("change %d depends on %v, want %v", i+1, got.Deps, step.want)
		}
	}
}

// TestDepsSurviveReopening closes and opens the space before each change.
func TestDepsSurviveReopening(t *testing.T) {
	a, b := newReplica(t, 1, "s"), newReplica(t, 2, "s")
	want := [][]merge.Dot{nil, {dotOf(2, 1)}, nil, {dotOf(2, 2)}}
	for i := range want {
		if i%2 == 1 {
			b.author("s", put(t, i))
			a.pull("s", b, 1)
		}
		a.reopen("s")
		if got := a.author("s", put(t, -i)).Deps; !slices.Equal(got, want[i]) {
			t.Errorf("change %d depends on %v, want %v", i+1, got, want[i])
		}
	}
}

// reopen loads the space from what is durable.
func (r *replica) reopen(name string) {
	s := r.space(name)
	heads := make(map[merge.Origin]crdtsync.Head)
	for d := range s.Heads() {
		heads[d.Origin] = s.Head(d.Origin)
	}
	s.Space = crdtsync.NewSpace(crdtsync.SpaceConfig{
		Name: name, Self: r.origin, Kinds: r.kinds, Heads: heads, Summary: s.Summary(),
	})
}

// TestStageAuthorsTwice puts several changes of its own into one stage, with one
// of another node between them.
func TestStageAuthorsTwice(t *testing.T) {
	a, b := newReplica(t, 1, "s"), newReplica(t, 2, "s")
	theirs := b.author("s", put(t, "theirs"))
	s := a.space("s")
	st := s.Stage(s, 0)
	for i, want := range [][]merge.Dot{nil, {dotOf(2, 1)}, nil} {
		if i == 1 {
			if err := st.Offer(copyOf(t, theirs)); err != nil {
				t.Fatal(err)
			}
		}
		c, err := st.Author(st.LastTime()+1, []crdtsync.CellOp{put(t, i)})
		if err != nil || !slices.Equal(c.Deps, want) {
			t.Errorf("change %d depends on %v, %v; want %v", i+1, c.Deps, err, want)
		}
	}
	s.commit(st)
	b.pull("s", a, 3)
	wantSame(t, "the other node", b.space("s"), s)
}

// TestFalseDeps brings changes that supersede what they do not depend on to two
// nodes in different orders. No correct node writes such changes, but they must
// not make two others differ.
func TestFalseDeps(t *testing.T) {
	for seed := range uint64(20) {
		rng := seeded(seed)
		log := history(t, rng, 3, 30).log
		hashes := make(map[merge.Origin]crdtsync.Hash)
		var bare []*crdtsync.Change // the same changes without their dependencies
		for _, c := range log {
			b := craft(t, c.Dot, c.Time, hashes[c.Dot.Origin], nil, c.Ops...)
			hashes[c.Dot.Origin] = b.Hash()
			bare = append(bare, b)
		}
		a, b := newReplica(t, 10, "s"), newReplica(t, 11, "s")
		a.offer("s", shuffled(t, rng, bare)...)
		b.offer("s", shuffled(t, rng, bare)...)
		wantSame(t, fmt.Sprintf("seed %d", seed), a.space("s"), b.space("s"))
		if got := len(a.space("s").log); got != len(log) {
			t.Errorf("seed %d: %d of %d changes were applied", seed, got, len(log))
		}
	}
}
