package sync_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/hlc"
	"github.com/joinery-crdt/joinery/merge"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// chain returns n changes of one replica, each putting its number into a set.
func chain(t testing.TB, r *replica, n int) (changes []*crdtsync.Change) {
	t.Helper()
	for i := range n {
		changes = append(changes, r.author("s", put(t, fmt.Sprintf("%v/%d", r.origin, i))))
	}
	return changes
}

// craft makes a change that no stage has checked.
func craft(t testing.TB, dot merge.Dot, at hlc.Timestamp, prev crdtsync.Hash, deps []merge.Dot, ops ...crdtsync.CellOp) *crdtsync.Change {
	t.Helper()
	c, err := crdtsync.NewChange(dot, at, prev, deps, ops)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func wantEarly(t *testing.T, what string, err error, want crdtsync.EarlyError) {
	t.Helper()
	kind, other := crdtsync.ErrEarly, crdtsync.ErrFull
	if !want.Kept {
		kind, other = other, kind
	}
	e, ok := errors.AsType[*crdtsync.EarlyError](err)
	if !ok || *e != want || !errors.Is(err, kind) || errors.Is(err, other) {
		t.Errorf("%s: %v, want %+v", what, err, want)
	}
}

func wantRefused(t *testing.T, what string, err, kind error, dot merge.Dot) {
	t.Helper()
	e, ok := errors.AsType[*crdtsync.RefusedError](err)
	if !ok || e.Dot != dot || e.Kind != kind || !errors.Is(err, kind) || e.Reason == "" {
		t.Errorf("%s: %v, want %v of %v", what, err, kind, dot)
	}
}

func TestFIFO(t *testing.T) {
	changes := chain(t, newReplica(t, 1, "s"), 3)
	b := newReplica(t, 2, "s")
	st := b.space("s").Stage(b.space("s"), 0)
	wantEarly(t, "the third first", st.Offer(changes[2]), crdtsync.EarlyError{Dot: dotOf(1, 3), Missing: dotOf(1, 2), Kept: true})
	wantEarly(t, "then the second", st.Offer(changes[1]), crdtsync.EarlyError{Dot: dotOf(1, 2), Missing: dotOf(1, 1), Kept: true})
	wantEarly(t, "the second again", st.Offer(changes[1]), crdtsync.EarlyError{Dot: dotOf(1, 2), Missing: dotOf(1, 1), Kept: true})
	if err := st.Offer(changes[0]); err != nil {
		t.Errorf("the first: %v", err)
	}
	b.space("s").commit(st)
	if got := dots(b.space("s").log); !slices.Equal(got, []merge.Dot{dotOf(1, 1), dotOf(1, 2), dotOf(1, 3)}) {
		t.Errorf("applied %v, want all three in order", got)
	}
}

func dots(changes []*crdtsync.Change) (out []merge.Dot) {
	for _, c := range changes {
		out = append(out, c.Dot)
	}
	return out
}

func TestDuplicates(t *testing.T) {
	a, b := newReplica(t, 1, "s"), newReplica(t, 2, "s")
	changes := chain(t, a, 3)
	s := b.space("s")
	st := s.Stage(s, 0)
	for range 2 {
		for i, c := range changes {
			if err := st.Offer(c); i > 0 && err != nil && !errors.Is(err, crdtsync.ErrDuplicate) {
				t.Errorf("Offer(%v) = %v", c.Dot, err)
			}
		}
	}
	s.commit(st)
	st = s.Stage(s, 0)
	for _, c := range changes {
		if err := st.Offer(copyOf(t, c)); !errors.Is(err, crdtsync.ErrDuplicate) {
			t.Errorf("Offer(%v) again = %v, want ErrDuplicate", c.Dot, err)
		}
	}
	if !st.Persist().Empty() {
		t.Error("duplicates left something to make durable")
	}
	wantSame(t, "after duplicates", s, a.space("s"))
}

func TestCausalOrderAcrossOrigins(t *testing.T) {
	a, b, c := newReplica(t, 1, "s"), newReplica(t, 2, "s"), newReplica(t, 3, "s")
	first := a.author("s", put(t, "cause"))
	b.pull("s", a, 1)
	second := b.author("s", put(t, "effect"))
	s := c.space("s")
	st := s.Stage(s, 0)
	wantEarly(t, "the effect first", st.Offer(second), crdtsync.EarlyError{Dot: dotOf(2, 1), Missing: dotOf(1, 1), Kept: true})
	s.commit(st)
	if n, missing := s.Waiting(); n != 1 || missing != first.Dot {
		t.Errorf("Waiting = %d, %v; want one that waits for %v", n, missing, first.Dot)
	}
	c.offer("s", first)
	wantSame(t, "after both", s, b.space("s"))
}

// TestWaitingRoomIsBounded fills the waiting room by count and by bytes. What
// does not fit is refused, everything in order still applies, and what was
// dropped can come again.
func TestWaitingRoomIsBounded(t *testing.T) {
	a, other := newReplica(t, 1, "s"), newReplica(t, 2, "s")
	changes := chain(t, a, 8)
	size := len(changes[1].Bytes())
	for name, cfg := range map[string]crdtsync.SpaceConfig{
		"count": {MaxWaiting: 3},
		"bytes": {MaxWaitingBytes: 3*size + size/2},
	} {
		b := newReplica(t, 3)
		cfg.Name, cfg.Self, cfg.Kinds = "s", b.origin, b.kinds
		s := b.space("s")
		s.Space = crdtsync.NewSpace(cfg)
		st := s.Stage(s, 0)
		for i, c := range changes[1:] {
			wantEarly(t, name, st.Offer(c), crdtsync.EarlyError{Dot: c.Dot, Missing: dotOf(1, c.Dot.Seq-1), Kept: i < 3})
		}
		s.commit(st)
		b.offer("s", chain(t, other, 1)...)
		if n, _ := s.Waiting(); n != 3 {
			t.Errorf("%s: %d changes wait, want 3", name, n)
		}
		b.offer("s", changes[0])
		if got := s.Head(originOf(1)).Seq; got != 4 {
			t.Errorf("%s: applied up to %d, want the first and the three that waited", name, got)
		}
		b.offer("s", changes[7], changes[6], changes[5])
		if n, _ := s.Waiting(); n != 3 {
			t.Errorf("%s: when it is free again %d changes wait, want 3", name, n)
		}
		b.offer("s", changes[4:]...)
		if n, _ := s.Waiting(); n != 0 || s.Head(originOf(1)).Seq != 8 {
			t.Errorf("%s: %d wait and %d are applied at the end, want 0 and 8", name, n, s.Head(originOf(1)).Seq)
		}
	}
}

// TestFarSeq offers changes that wait for ever. Others flow.
func TestFarSeq(t *testing.T) {
	a, b := newReplica(t, 1, "s"), newReplica(t, 2, "s")
	s := b.space("s")
	st := s.Stage(s, 0)
	for i := range uint64(5000) {
		far := craft(t, merge.Dot{Origin: originOf(9), Seq: merge.MaxSeq - i}, 1, crdtsync.Hash{1}, nil, put(t, i))
		if err := st.Offer(far); errors.Is(err, crdtsync.ErrEarly) != (i < 4096) {
			t.Fatalf("change %d from far ahead: %v", i, err)
		}
	}
	s.commit(st)
	chain(t, a, 10)
	b.pull("s", a, 10)
	if got := s.Head(originOf(1)).Seq; got != 10 {
		t.Errorf("applied %d changes of another origin, want 10", got)
	}
}

// TestRejectedOpIsAtomic offers changes with one op that no writer makes, at
// each place among good ones. Nothing of them may be applied.
func TestRejectedOpIsAtomic(t *testing.T) {
	bad := crdtsync.CellOp{Cell: crdtsync.CellKey{Object: "m", Kind: "orset", Element: "\x61x"}, Op: crdt.Op{Put: true, Payload: []byte("?")}}
	for _, object := range []string{"a", "m", "z"} {
		a, b := newReplica(t, 1, "s"), newReplica(t, 2, "s")
		good := put(t, "good")
		good.Cell.Object = object
		if object == "m" {
			good.Cell.Element = element(t, "other")
		}
		s := b.space("s")
		st := s.Stage(s, 0)
		c := craft(t, dotOf(1, 1), 5, crdtsync.Hash{}, nil, good, bad, put(t, "more"))
		wantRefused(t, "a bad op", st.Offer(c), crdtsync.ErrRejected, dotOf(1, 1))
		if p := st.Persist(); !p.Empty() || len(p.Cells) != 0 || p.Summary != (crdtsync.Summary{}) {
			t.Errorf("a rejected change left %+v", p)
		}
		b.offer("s", chain(t, a, 1)...)
		wantSame(t, "after the good change under the same dot", s, a.space("s"))
	}
}

// TestRefusedDoesNotBlock offers a refused change, what depends on it, and what
// does not.
func TestRefusedDoesNotBlock(t *testing.T) {
	bad := craft(t, dotOf(1, 1), 5, crdtsync.Hash{}, nil, crdtsync.CellOp{Cell: crdtsync.CellKey{Object: "o", Kind: "orset", Element: "\x61x"}, Op: crdt.Op{Put: true, Payload: []byte("?")}})
	next := craft(t, dotOf(1, 2), 6, bad.Hash(), nil, put(t, "its successor"))
	dependant := craft(t, dotOf(2, 1), 7, crdtsync.Hash{}, []merge.Dot{bad.Dot}, put(t, "dependant"))
	other := newReplica(t, 3, "s")
	b := newReplica(t, 4, "s")
	heads, refused := b.offer("s", append([]*crdtsync.Change{dependant, next, bad}, chain(t, other, 3)...)...)
	if !slices.Equal(heads, []merge.Dot{dotOf(3, 3)}) || len(refused) != 1 {
		t.Errorf("applied %v and refused %v; want only the independent changes applied and one refused", heads, refused)
	}
	if n, missing := b.space("s").Waiting(); n != 2 || missing != bad.Dot {
		t.Errorf("%d wait for %v, want the two dependants for %v", n, missing, bad.Dot)
	}
}

func TestForks(t *testing.T) {
	a, twin, b := newReplica(t, 1, "s"), newReplica(t, 1, "s"), newReplica(t, 2, "s")
	first := a.author("s", put(t, "shared"))
	twin.space("s").log = nil
	st := twin.space("s").Stage(twin.space("s"), 0)
	if _, err := st.Author(first.Time, first.Ops); err != nil {
		t.Fatal(err)
	}
	twin.space("s").commit(st) // the same first change: a copied data directory
	mine, theirs := a.author("s", put(t, "mine")), twin.author("s", put(t, "theirs"))
	after := twin.author("s", put(t, "after theirs"))
	b.offer("s", first, mine)

	s := b.space("s")
	st = s.Stage(s, 0)
	wantRefused(t, "another change under an applied dot", st.Offer(theirs), crdtsync.ErrForked, dotOf(1, 2))
	wantRefused(t, "the successor of another change", st.Offer(after), crdtsync.ErrForked, dotOf(1, 3))
	if !st.Persist().Empty() {
		t.Error("a fork left something to make durable")
	}
	b.offer("s", chain(t, newReplica(t, 3, "s"), 2)...)
	if got := s.Head(originOf(3)).Seq; got != 2 {
		t.Errorf("beside a fork %d of 2 changes of others applied", got)
	}

	back := a.space("s").Stage(a.space("s"), 0)
	wantRefused(t, "a change of one's own that one does not know", back.Offer(after), crdtsync.ErrForked, dotOf(1, 3))
	if err := back.Offer(copyOf(t, mine)); !errors.Is(err, crdtsync.ErrDuplicate) {
		t.Errorf("a change of one's own that comes back: %v, want ErrDuplicate", err)
	}
}

// TestRestoredFromBackup brings to a node its own changes that it does not know.
func TestRestoredFromBackup(t *testing.T) {
	before, restored, peer := newReplica(t, 1, "s"), newReplica(t, 1, "s"), newReplica(t, 2, "s")
	for _, c := range chain(t, before, 3) {
		peer.offer("s", copyOf(t, c))
	}
	_, refused := restored.offer("s", peer.space("s").log...)
	if len(refused) != 3 {
		t.Fatalf("refused %v, want all three changes", refused)
	}
	wantRefused(t, "one's own next change, from a peer", refused[0], crdtsync.ErrForked, dotOf(1, 1))
	if !strings.Contains(refused[0].Error(), "backup") {
		t.Errorf("%v does not name the cause", refused[0])
	}
}

// TestWaitingFork lets the successor of a forked change wait. It is dropped when
// the other branch applies.
func TestWaitingFork(t *testing.T) {
	a := newReplica(t, 1, "s")
	first := a.author("s", put(t, "first"))
	stray := craft(t, dotOf(1, 2), 90, crdtsync.Hash{1}, nil, put(t, "stray"))
	b := newReplica(t, 2, "s")
	b.offer("s", stray, first)
	if n, _ := b.space("s").Waiting(); n != 0 {
		t.Errorf("%d changes wait, want the stray one dropped", n)
	}
	b.offer("s", chain(t, a, 2)...)
	wantSame(t, "after the stray change", b.space("s"), a.space("s"))
}

func TestFuture(t *testing.T) {
	a, b := newReplica(t, 1, "s"), newReplica(t, 2, "s")
	b.limit = hlc.New(1000, 0)
	good := craft(t, dotOf(1, 1), b.limit, crdtsync.Hash{}, nil, put(t, "in time"))
	ahead := craft(t, dotOf(1, 2), b.limit+1, good.Hash(), nil, put(t, "ahead"))
	after := craft(t, dotOf(1, 3), b.limit+2, ahead.Hash(), nil, put(t, "after it"))
	heads, refused := b.offer("s", append([]*crdtsync.Change{good, ahead, after}, chain(t, newReplica(t, 3, "s"), 1)...)...)
	if !slices.Equal(heads, []merge.Dot{dotOf(1, 1), dotOf(3, 1)}) || len(refused) != 1 {
		t.Fatalf("applied %v and refused %v; want one change refused", heads, refused)
	}
	wantRefused(t, "a change from the future", refused[0], crdtsync.ErrFuture, dotOf(1, 2))
	if !strings.Contains(refused[0].Error(), "clock") {
		t.Errorf("%v does not say to check the clocks", refused[0])
	}
	if got := b.space("s").Summary().LastTime; got != b.limit {
		t.Errorf("LastTime = %v after a refused change, want %v", got, b.limit)
	}
	a.space("s")
	b.limit = 0
	b.offer("s", copyOf(t, ahead))
	if got := b.space("s").Head(originOf(1)).Seq; got != 3 {
		t.Errorf("once its time has come %d of 3 changes are applied", got)
	}
}

func TestTimeMustAdvance(t *testing.T) {
	first := craft(t, dotOf(1, 1), 50, crdtsync.Hash{}, nil, put(t, 1))
	for _, at := range []hlc.Timestamp{0, 49, 50} {
		b := newReplica(t, 2, "s")
		second := craft(t, dotOf(1, 2), at, first.Hash(), nil, put(t, 2))
		_, refused := b.offer("s", first, second)
		if len(refused) != 1 {
			t.Errorf("a change stamped %v after one at 50: refused %v", at, refused)
			continue
		}
		wantRefused(t, "a stamp that goes back", refused[0], crdtsync.ErrRejected, dotOf(1, 2))
	}
}

// TestDroppedStage drops stages that held all kinds of changes, and repeats them.
func TestDroppedStage(t *testing.T) {
	rng := seeded(7)
	want := history(t, rng, 3, 30)
	b := newReplica(t, 9, "s")
	s := b.space("s")
	b.offer("s", copyOf(t, want.log[0]), copyOf(t, want.log[5]))
	before, waiting := s.Summary(), waitingOf(s)
	for range 20 {
		st := s.Stage(s, 0)
		for _, c := range shuffled(t, rng, want.log)[:20] {
			_ = st.Offer(c)
		}
		if _, err := st.Author(1<<40, []crdtsync.CellOp{put(t, "dropped")}); err != nil {
			t.Fatal(err)
		}
		st.Persist()
		if s.Summary() != before || waitingOf(s) != waiting || s.Vector().Len() != 1 || len(s.log) != 1 {
			t.Fatalf("a dropped stage left a trace: %+v, %s", s.Summary(), waitingOf(s))
		}
	}
	if c := b.author("s", put(t, "kept")); !slices.Equal(c.Deps, []merge.Dot{want.log[0].Dot}) {
		t.Errorf("after dropped stages a change depends on %v, want what is applied: %v", c.Deps, want.log[0].Dot)
	}
	full := newReplica(t, 8, "s")
	full.offer("s", append(shuffled(t, rng, want.log), b.space("s").log...)...)
	b.offer("s", shuffled(t, rng, want.log)...)
	wantSame(t, "after dropped stages", s, full.space("s"))
}

func waitingOf(s *replicaSpace) string {
	n, missing := s.Waiting()
	return fmt.Sprint(n, missing)
}

// TestUnreadKinds relays what it cannot read.
func TestUnreadKinds(t *testing.T) {
	a, b, c := newReplica(t, 1, "s"), newReplica(t, 2, "s"), newReplica(t, 3, "s")
	rng := seeded(11)
	for range 10 {
		a.author("s", a.randomOps(rng, a.space("s"), 4)...)
	}
	unread := uint64(0)
	for _, change := range a.space("s").log {
		for _, op := range change.Ops {
			if op.Cell.Kind == "orset" || op.Cell.Kind == "lww" || op.Cell.Kind == "ormap" { // of orsets
				unread++
			}
		}
	}
	maps.DeleteFunc(b.kinds, func(name string, _ crdt.Kind) bool { return name == "orset" || name == "lww" })
	b.pull("s", a, 10)
	got, want := b.space("s").Summary(), a.space("s").Summary()
	if unread == 0 || got.Unread != unread || got.Applied != want.Applied || got.Changes != want.Changes {
		t.Errorf("%+v; want the account %+v with %d unread", got, want, unread)
	}
	for key := range b.space("s").cells {
		if k, err := crdtsync.ParseCellKey([]byte(key)); err != nil || k.Kind == "orset" || k.Kind == "lww" {
			t.Errorf("a cell of an unknown kind: %v, %v", k, err)
		}
	}
	c.pull("s", b, 10)
	wantSame(t, "behind the one that cannot read", c.space("s"), a.space("s"))
}
