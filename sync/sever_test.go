package sync_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/merge"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// fieldCount returns the op that counts one up in a field of a map.
func (r *replica) fieldCount(s *replicaSpace) crdtsync.CellOp {
	r.t.Helper()
	kind := r.kinds["ormap"].(*crdt.MapKind)
	field, err := crdt.AppendField(nil, "n", "gcounter")
	if err != nil {
		r.t.Fatal(err)
	}
	key := crdtsync.CellKey{Object: "fields", Kind: "ormap", Element: string(field) + string(r.origin[:])}
	stored, _ := key.AppendBinary(nil)
	cell := s.cells[string(stored)]
	state, err := kind.State([]byte(key.Element), cell)
	if err != nil {
		r.t.Fatal(err)
	}
	total, err := crdt.DecodeTotal(state)
	if err != nil {
		r.t.Fatal(err)
	}
	w := crdt.Write{Element: []byte(key.Element), Op: crdt.Op{Put: true, Payload: binary.AppendUvarint(nil, uint64(total)+1)}}
	op, err := kind.InField(w, cell, cell)
	if err != nil {
		r.t.Fatal(err)
	}
	return crdtsync.CellOp{Cell: key, Op: op}
}

// scribble returns the ops of a change, in a field of a map too now and then.
func (r *replica) scribble(rng *rand.Rand) []crdtsync.CellOp {
	ops := r.randomOps(rng, r.space("s"), 3)
	if rng.IntN(2) == 0 {
		ops = append(ops, r.fieldCount(r.space("s")))
	}
	return ops
}

// before returns what an origin wrote last to a cell before a dot, as the log has
// it.
func (s *replicaSpace) before(d merge.Dot) func(crdtsync.CellKey) ([]byte, error) {
	return func(key crdtsync.CellKey) (payload []byte, _ error) {
		for seq := uint64(1); seq < d.Seq; seq++ {
			for _, op := range s.at[merge.Dot{Origin: d.Origin, Seq: seq}].Ops {
				if op.Cell == key && op.Put {
					payload = op.Payload
				}
			}
		}
		return payload, nil
	}
}

// branchFrom returns the changes of an origin from d on.
func (s *replicaSpace) branchFrom(d merge.Dot) *crdtsync.Branch {
	b := &crdtsync.Branch{Base: s.before(d)}
	for ; d.Seq <= s.Head(d.Origin).Seq; d.Seq++ {
		b.Changes = append(b.Changes, s.at[d])
	}
	return b
}

// sever severs an origin at d, as a driver does.
func (r *replica) sever(d merge.Dot) {
	r.t.Helper()
	s := r.space("s")
	st := s.Stage(s, 0)
	st.Sever(d)
	b := s.branchFrom(d)
	if len(b.Changes) > 0 {
		before := crdtsync.Head{}
		if prev := (merge.Dot{Origin: d.Origin, Seq: d.Seq - 1}); prev.Seq > 0 {
			before = crdtsync.Head{Seq: prev.Seq, Hash: s.at[prev].Hash(), Time: s.at[prev].Time}
		}
		left, err := st.TakeBack(b, before)
		if err != nil || len(left) > 0 {
			r.t.Fatalf("TakeBack = %v, %v", left, err)
		}
	}
	for _, c := range b.Changes {
		delete(s.at, c.Dot)
	}
	s.log = slices.DeleteFunc(s.log, func(c *crdtsync.Change) bool { return c.Dot.Origin == d.Origin && c.Dot.Seq >= d.Seq })
	s.commit(st)
}

// aFork is a past that two share, two branches after it, and honest replicas that
// have built on one each.
type aFork struct {
	at   merge.Dot
	x, y *replica // that write under one origin
	b, c *replica
}

func newFork(t *testing.T, rng *rand.Rand, common, nx, ny int) *aFork {
	f := &aFork{merge.Dot{Origin: originOf(1), Seq: uint64(common) + 1}, newReplica(t, 1, "s"), newReplica(t, 1, "s"), newReplica(t, 2, "s"), newReplica(t, 3, "s")}
	for range common {
		ops := f.x.scribble(rng)
		f.x.author("s", slices.Clone(ops)...)
		f.y.author("s", slices.Clone(ops)...)
		f.b.pull("s", f.x, 100)
		f.b.author("s", f.b.scribble(rng)...)
		for _, r := range []*replica{f.x, f.y, f.c} {
			r.pull("s", f.b, 100)
		}
	}
	f.grow(rng, f.x, f.b, "x", nx)
	f.grow(rng, f.y, f.c, "y", ny)
	return f
}

// grow lets a branch, which differs from the other by its name, grow, and an honest replica build on it.
func (f *aFork) grow(rng *rand.Rand, branch, honest *replica, name string, n int) {
	for range n {
		branch.author("s", append(branch.scribble(rng), put(f.x.t, "branch "+name))...)
		honest.pull("s", branch, 100)
		honest.author("s", honest.scribble(rng)...)
		if rng.IntN(2) == 0 {
			branch.pull("s", honest, 100)
		}
	}
}

// TestBranchesConverge severs an origin at two honest replicas that hold a branch
// each, before or after they hear what was built on the other, and at one that holds
// none: all end in the same state, whatever the order, and nothing waits.
func TestBranchesConverge(t *testing.T) {
	for seed := range uint64(60) {
		rng := seeded(seed)
		f := newFork(t, rng, rng.IntN(4), 1+rng.IntN(5), 1+rng.IntN(5))
		late := newReplica(t, 4, "s")
		all := []*replica{f.b, f.c, late}
		for _, i := range rng.Perm(len(all)) {
			if rng.IntN(2) == 0 && i < 2 { // what depends on the other branch waits, or is met by this one
				honest := all[1-i].space("s").log
				for _, c := range honest {
					if c.Dot.Origin != f.at.Origin && rng.IntN(2) == 0 {
						all[i].offer("s", copyOf(t, c))
					}
				}
			}
			all[i].sever(f.at)
		}
		var log []*crdtsync.Change
		for _, r := range all {
			log = append(log, r.space("s").log...)
		}
		for _, r := range all {
			for range 2 {
				r.offer("s", shuffled(t, rng, log)...)
			}
		}
		for i, r := range all {
			wantSame(t, fmt.Sprintf("seed %d: replica %d", seed, i), r.space("s"), late.space("s"))
			if got := r.space("s").Head(f.at.Origin).Seq; got != f.at.Seq-1 {
				t.Fatalf("seed %d: replica %d has %d changes of the origin, want %d", seed, i, got, f.at.Seq-1)
			}
			checkSums(t, r.space("s"))
		}
	}
}

// checkSums recomputes the fingerprints of a space.
func checkSums(t *testing.T, s *replicaSpace) {
	t.Helper()
	scan := crdtsync.NewScan(s.Summary())
	for _, key := range s.keys() {
		scan.Add([]byte(key), s.cells[key])
	}
	again := crdtsync.NewSpace(crdtsync.SpaceConfig{Heads: heads(s)})
	if scan.Damage() != (crdtsync.Fingerprint{}) || again.Summary().Chains != s.Summary().Chains {
		t.Fatal("the fingerprints are not those of the cells and the heads")
	}
}

func heads(s *replicaSpace) map[merge.Origin]crdtsync.Head {
	m := make(map[merge.Origin]crdtsync.Head)
	for d := range s.Heads() {
		m[d.Origin] = s.Head(d.Origin)
	}
	return m
}

// TestReissueIsTheSameEverywhere writes a branch again where others have gone
// different ways, and less of it: the same bytes come out, and a prefix.
func TestReissueIsTheSameEverywhere(t *testing.T) {
	for seed := range uint64(40) {
		rng := seeded(1000 + seed)
		f := newFork(t, rng, 1+rng.IntN(3), 2+rng.IntN(4), 1)
		kinds := crdt.Builtin()
		want, left := crdtsync.Reissue(kinds, f.x.space("s").branchFrom(f.at))
		if len(left) > 0 || len(want) == 0 {
			t.Fatalf("seed %d: %d written again, left %v", seed, len(want), left)
		}
		f.b.author("s", f.b.scribble(rng)...)
		other := f.b.space("s").branchFrom(f.at)
		other.Changes = other.Changes[:1+rng.IntN(len(other.Changes))]
		got, _ := crdtsync.Reissue(kinds, other)
		for i, c := range got {
			if !bytes.Equal(c.Bytes(), want[i].Bytes()) {
				t.Fatalf("seed %d: change %d of the branch came out differently", seed, i)
			}
		}
		if first := want[0]; first.Dot.Origin != crdtsync.BranchOrigin(other.Changes[0].Hash()) || first.Dot.Seq != 1 || !slices.Contains(first.Deps, merge.Dot{Origin: f.at.Origin, Seq: f.at.Seq - 1}) {
			t.Fatalf("seed %d: the branch begins with %v after %v", seed, first.Dot, first.Deps)
		}
	}
}

// TestReissueEndsWhereItCannotKnow leaves a type and a base unknown: what follows is
// left, so that nobody makes other changes of it than who knows.
func TestReissueEndsWhereItCannotKnow(t *testing.T) {
	r := newReplica(t, 1, "s")
	counter := crdtsync.CellKey{Object: "c", Kind: "gcounter", Element: string(r.origin[:])}
	r.author("s", put(t, 1))
	r.author("s", crdtsync.CellOp{Cell: counter, Op: crdt.Op{Put: true, Payload: []byte{5}}})
	r.author("s", put(t, 2))
	branch := r.space("s").branchFrom(dotOf(1, 1))
	for name, test := range map[string]struct {
		kinds crdt.Kinds
		base  error
	}{
		"a type": {crdt.NewKinds(crdt.GSetKind), nil},
		"a base": {crdt.Builtin(), crdtsync.ErrNoBase},
	} {
		branch.Base = func(crdtsync.CellKey) ([]byte, error) { return nil, test.base }
		again, left := crdtsync.Reissue(test.kinds, branch)
		if len(again) != 1 || len(left) != 2 || left[0].Change.Dot != dotOf(1, 2) || left[0].Reason == "" {
			t.Errorf("%s: %d written again, left %v; want the first and the others", name, len(again), left)
		}
	}
}

// TestSeveredOriginIsRefused offers more of it, in changes and in a snapshot.
func TestSeveredOriginIsRefused(t *testing.T) {
	f := newFork(t, seeded(7), 2, 2, 2)
	f.b.sever(f.at)
	for _, c := range f.y.space("s").log {
		if c.Dot.Origin == f.at.Origin && c.Dot.Seq >= f.at.Seq {
			_, refused := f.b.offer("s", copyOf(t, c))
			if len(refused) != 1 {
				t.Fatalf("%v was taken", c.Dot)
			}
			wantRefused(t, "a branch", refused[0], crdtsync.ErrForked, c.Dot)
		}
	}
	s := f.b.space("s")
	st := s.Stage(s, 0)
	err := st.Merge(&crdtsync.Snapshot{Heads: heads(f.y.space("s")), Cells: func(func(crdtsync.StoredCell, error) bool) {}})
	wantRefused(t, "a snapshot", err, crdtsync.ErrForked, merge.Dot{Origin: f.at.Origin, Seq: f.y.space("s").Head(f.at.Origin).Seq})
}

// TestTakeBackRefusesOthers takes back what is not the end of an origin.
func TestTakeBackRefusesOthers(t *testing.T) {
	f := newFork(t, seeded(8), 2, 3, 1)
	s := f.b.space("s")
	b := s.branchFrom(f.at)
	b.Changes = b.Changes[:len(b.Changes)-1]
	if _, err := s.Stage(s, 0).TakeBack(b, crdtsync.Head{Seq: f.at.Seq - 1}); !errors.Is(err, crdtsync.ErrSevered) {
		t.Errorf("TakeBack = %v, want ErrSevered", err)
	}
	if _, err := s.Stage(s, 0).TakeBack(s.branchFrom(f.at), crdtsync.Head{}); !errors.Is(err, crdtsync.ErrSevered) {
		t.Errorf("TakeBack after another change = %v, want ErrSevered", err)
	}
}

// TestSplitProves takes only two different changes with one dot and one
// predecessor, in either order.
func TestSplitProves(t *testing.T) {
	one := craft(t, dotOf(1, 2), 5, crdtsync.Hash{1}, nil, put(t, 1))
	two := craft(t, dotOf(1, 2), 6, crdtsync.Hash{1}, nil, put(t, 2))
	s, ok := crdtsync.NewSplit("s", one.Bytes(), two.Bytes())
	again, okAgain := crdtsync.NewSplit("s", two.Bytes(), one.Bytes())
	if !ok || !okAgain || s.Dot != dotOf(1, 2) || !bytes.Equal(s.Changes[0], again.Changes[0]) {
		t.Errorf("NewSplit = %v, %v and %v, %v; want the same proof", s, ok, again, okAgain)
	}
	void, ok := crdtsync.Disown("s", one)
	if !ok || !void.Disowned() || void.Dot != one.Dot || s.Disowned() {
		t.Errorf("Disown = %v, %v; want a split that is disowned, unlike %v", void, ok, s)
	}
	for name, other := range map[string][]byte{
		"the same":            one.Bytes(),
		"another predecessor": craft(t, dotOf(1, 2), 6, crdtsync.Hash{2}, nil, put(t, 2)).Bytes(),
		"another number":      craft(t, dotOf(1, 3), 6, crdtsync.Hash{1}, nil, put(t, 2)).Bytes(),
		"another origin":      craft(t, dotOf(2, 2), 6, crdtsync.Hash{1}, nil, put(t, 2)).Bytes(),
		"no change":           []byte("x"),
	} {
		if _, ok := crdtsync.NewSplit("s", one.Bytes(), other); ok {
			t.Errorf("%s proves a fork", name)
		}
	}
}

// TestReissueNamesTheBranch writes a branch again of which the author had seen what
// others made of it, and of which a write had been superseded by somebody else: what
// comes out does not depend on itself, and the later write supersedes the earlier.
func TestReissueNamesTheBranch(t *testing.T) {
	adds := func(seen ...merge.Dot) crdtsync.CellOp {
		return crdtsync.CellOp{Cell: crdtsync.CellKey{Object: "k", Kind: "orset", Element: "\x61x"}, Op: crdt.Op{Put: true, Seen: seen}}
	}
	first := craft(t, dotOf(1, 1), 5, crdtsync.Hash{}, nil, adds())
	to := crdtsync.BranchOrigin(first.Hash())
	deps := []merge.Dot{dotOf(2, 1), {Origin: to, Seq: 1}}
	second := craft(t, dotOf(1, 2), 7, first.Hash(), deps, adds(dotOf(2, 1)))
	again, left := crdtsync.Reissue(crdt.Builtin(), &crdtsync.Branch{Changes: []*crdtsync.Change{first, second}})
	if len(again) != 2 || len(left) > 0 {
		t.Fatalf("%d written again, left %v", len(again), left)
	}
	if got := again[1].Deps; !slices.Equal(got, []merge.Dot{dotOf(2, 1)}) {
		t.Errorf("it depends on %v, want only the change of the other origin", got)
	}
	want := []merge.Dot{dotOf(2, 1), {Origin: to, Seq: 1}}
	slices.SortFunc(want, merge.Dot.Compare)
	if got := again[1].Ops[0].Seen; !slices.Equal(got, want) {
		t.Errorf("it supersedes %v, want %v", got, want)
	}
}
