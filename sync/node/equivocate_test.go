package node_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store/memstore"
	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/node"
)

// A liar has one origin and tells different peers different things under it.
type liar struct {
	t       *testing.T
	origin  merge.Origin
	element int // the next one that it adds
}

// branch returns changes of the liar, each of which adds an element: count of
// them after a common past, nil for none.
func (l *liar) branch(past []*crdtsync.Change, count int) []*crdtsync.Change {
	l.t.Helper()
	chain := slices.Clone(past)
	for range count {
		var prev crdtsync.Hash
		if n := len(chain); n > 0 {
			prev = chain[n-1].Hash()
		}
		dot := merge.Dot{Origin: l.origin, Seq: uint64(len(chain)) + 1}
		chain = append(chain, forge(l.t, dot, time.Duration(len(chain)+1)*time.Millisecond, prev, nil, adding(l.t, l.element)))
		l.element++
	}
	return chain
}

// tell tells changes to a node and falls silent.
func (l *liar) tell(n *node.Node, changes []*crdtsync.Change) {
	l.t.Helper()
	stranger(l.t, n, l.origin).tell(changes...)
	synctest.Wait()
}

// checkForked demands that nodes say which origin has forked, where, and what to
// do, and that they do not say so of others.
func checkForked(t *testing.T, at merge.Dot, nodes ...*node.Node) {
	t.Helper()
	for i, n := range nodes {
		var said []node.Problem
		for _, p := range n.Status().Problems {
			if p.Code == "origin_forked" {
				said = append(said, p)
			}
		}
		if len(said) != 1 || !strings.Contains(said[0].Cause, at.String()) || !strings.Contains(said[0].Action, "find the device") {
			t.Errorf("node %d: problems = %+v, want origin_forked once, that names %s", i, n.Status().Problems, at)
		}
	}
}

// checkAlike demands that nodes hold the elements given, the same changes and the
// same bytes, that their accounts are sound, that nothing waits and that nothing
// differs.
func checkAlike(t *testing.T, want []int, nodes ...*node.Node) {
	t.Helper()
	slices.Sort(want)
	for i, n := range nodes {
		if got := idsOf(t, n.Space("s")); !slices.Equal(got, want) {
			t.Errorf("node %d has %v, want %v", i, got, want)
		}
		for _, code := range []string{"waiting", "diverged", "disputed", "quarantined"} {
			if got := causeOf(n, code); got != "" {
				t.Errorf("node %d: %s: %s", i, code, got)
			}
		}
		if got, want := n.Space("s").Summary().Chains, nodes[0].Space("s").Summary().Chains; got != want {
			t.Errorf("node %d has other changes under the same numbers", i)
		}
		checkSound(t, n, "s")
	}
	checkEqual(t, "s", nodes...)
}

// TestEquivocate has one origin tell different nodes different changes under one
// dot, and then fall silent, or not. All honest nodes find out, name it, keep what
// either branch wrote, and lose nothing that others built on it.
func TestEquivocate(t *testing.T) {
	for name, play := range map[string]func(t *testing.T, l *liar){
		"silent":              silentLiar,
		"silent, three":       silentLiarOverAnother,
		"chain of four":       chainOfFour,
		"dependants":          dependants,
		"one branch extended": oneExtended,
		"both extended":       bothExtended,
		"three branches":      threeBranches,
		"earlier fork later":  earlierFork,
		"after a restart":     restarted,
		"newcomer":            newcomer,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { play(t, &liar{t, merge.Origin{9}, 100}) })
		})
	}
}

func silentLiar(t *testing.T, l *liar) {
	b, c := open(t), open(t)
	l.tell(b, l.branch(nil, 1))
	l.tell(c, l.branch(nil, 1))
	mustUpdate(t, b.Space("s"), add(1))
	mustUpdate(t, c.Space("s"), add(2))
	keep(t, b, c)
	time.Sleep(10 * beat)
	checkForked(t, merge.Dot{Origin: l.origin, Seq: 1}, b, c)
	checkAlike(t, []int{1, 2, 100, 101}, b, c)
	mustUpdate(t, b.Space("s"), add(3))
	mustUpdate(t, c.Space("s"), add(4))
	time.Sleep(10 * beat)
	checkAlike(t, []int{1, 2, 3, 4, 100, 101}, b, c)
}

// silentLiarOverAnother lets two who were lied to meet only over a third, after a
// long common past.
func silentLiarOverAnother(t *testing.T, l *liar) {
	b, c, hub := open(t), open(t), open(t)
	past := l.branch(nil, 40)
	l.tell(b, l.branch(past, 1))
	l.tell(c, l.branch(past, 1))
	keep(t, b, hub)
	time.Sleep(2 * beat)
	keep(t, c, hub)
	time.Sleep(20 * beat)
	checkForked(t, merge.Dot{Origin: l.origin, Seq: 41}, b, c, hub)
	checkAlike(t, numbers(100, 142), b, c, hub)
}

func numbers(from, end int) (list []int) {
	for i := from; i < end; i++ {
		list = append(list, i)
	}
	return list
}

func chainOfFour(t *testing.T, l *liar) {
	nodes := []*node.Node{open(t), open(t), open(t), open(t)}
	past := l.branch(nil, 3)
	l.tell(nodes[0], l.branch(past, 2))
	l.tell(nodes[3], l.branch(past, 5))
	for i, n := range nodes {
		mustUpdate(t, n.Space("s"), add(i))
		if i > 0 {
			keep(t, nodes[i-1], n)
		}
	}
	time.Sleep(40 * beat)
	checkForked(t, merge.Dot{Origin: l.origin, Seq: 4}, nodes...)
	checkAlike(t, append(numbers(0, 4), numbers(100, 110)...), nodes...)
}

// dependants has honest nodes build on either branch, one of them on a change that
// the other branch does not have.
func dependants(t *testing.T, l *liar) {
	b, c := open(t), open(t)
	past := l.branch(nil, 1)
	l.tell(b, l.branch(past, 3))
	l.tell(c, l.branch(past, 1))
	for i, n := range []*node.Node{b, c} {
		mustUpdate(t, n.Space("s"), add(i))
		mustUpdate(t, n.Space("s"), func(tx *node.Tx) error { return ids.Remove(tx, 100) })
	}
	third := open(t)
	keep(t, third, c)
	time.Sleep(2 * beat)
	mustUpdate(t, third.Space("s"), add(7))
	keep(t, b, third)
	time.Sleep(20 * beat)
	checkForked(t, merge.Dot{Origin: l.origin, Seq: 2}, b, c, third)
	checkAlike(t, append([]int{0, 1, 7}, numbers(101, 105)...), b, c, third)
}

func oneExtended(t *testing.T, l *liar) {
	b, c, third := open(t), open(t), open(t)
	one := l.branch(nil, 1)
	l.tell(b, one)
	l.tell(c, l.branch(nil, 1))
	keep(t, b, c)
	keep(t, c, third)
	time.Sleep(10 * beat)
	more := l.branch(one, 1)
	l.tell(b, more[1:])
	mustUpdate(t, b.Space("s"), add(1))
	time.Sleep(10 * beat)
	checkForked(t, merge.Dot{Origin: l.origin, Seq: 1}, b, c, third)
	if q := b.Quarantine(); len(q) != 1 || q[0].Code != "forked" || q[0].Dot != more[1].Dot.String() {
		t.Errorf("quarantine = %+v, want what the liar said after it was found out", q)
	}
	if err := b.DropQuarantined(t.Context(), "s", more[1].Dot); err != nil {
		t.Error(err)
	}
	checkAlike(t, []int{1, 100, 101}, b, c, third)
}

// bothExtended has both branches go on while one half does not know yet: what
// anybody took before it knew is everywhere in the end, and nothing in quarantine
// that is applied.
func bothExtended(t *testing.T, l *liar) {
	b, c, d, e := open(t), open(t), open(t), open(t)
	one, other := l.branch(nil, 2), l.branch(nil, 2)
	l.tell(b, one)
	l.tell(c, other)
	l.tell(d, one)
	l.tell(e, other)
	keep(t, b, c)
	time.Sleep(10 * beat)
	one, other = l.branch(one, 2), l.branch(other, 1)
	l.tell(d, one[2:])
	l.tell(e, other[2:])
	l.tell(b, one[2:])
	l.tell(c, other[2:])
	time.Sleep(2 * beat)
	keep(t, d, c)
	keep(t, e, b)
	time.Sleep(20 * beat)
	checkForked(t, merge.Dot{Origin: l.origin, Seq: 1}, b, c, d, e)
	checkAlike(t, numbers(100, 107), b, c, d, e)
}

func threeBranches(t *testing.T, l *liar) {
	nodes := []*node.Node{open(t), open(t), open(t)}
	past := l.branch(nil, 2)
	for _, n := range nodes {
		l.tell(n, l.branch(past, 2))
	}
	keep(t, nodes[0], nodes[1])
	time.Sleep(10 * beat)
	keep(t, nodes[1], nodes[2])
	time.Sleep(20 * beat)
	checkForked(t, merge.Dot{Origin: l.origin, Seq: 3}, nodes...)
	checkAlike(t, numbers(100, 108), nodes...)
}

// earlierFork finds a fork that lies before the one that is known.
func earlierFork(t *testing.T, l *liar) {
	nodes := []*node.Node{open(t), open(t), open(t)}
	past := l.branch(nil, 4)
	l.tell(nodes[0], l.branch(past, 1))
	l.tell(nodes[1], l.branch(past, 1))
	keep(t, nodes[0], nodes[1])
	time.Sleep(10 * beat)
	checkForked(t, merge.Dot{Origin: l.origin, Seq: 5}, nodes[:2]...)
	l.tell(nodes[2], l.branch(past[:1], 3))
	keep(t, nodes[1], nodes[2])
	time.Sleep(20 * beat)
	checkForked(t, merge.Dot{Origin: l.origin, Seq: 2}, nodes...)
	checkAlike(t, numbers(100, 109), nodes...)
}

// restarted restarts a node that knows of a fork: it still does, and refuses the
// origin.
func restarted(t *testing.T, l *liar) {
	disk := new(memstore.Disk)
	b, c := openOn(t, disk), open(t)
	one := l.branch(nil, 1)
	l.tell(b, one)
	l.tell(c, l.branch(nil, 1))
	keep(t, b, c)
	time.Sleep(10 * beat)
	mustClose(t, b)
	b = openOn(t, disk.Clone())
	keep(t, b, c)
	l.tell(b, one)
	time.Sleep(10 * beat)
	checkForked(t, merge.Dot{Origin: l.origin, Seq: 1}, b, c)
	checkAlike(t, []int{100, 101}, b, c)
}

// newcomer joins a node that knows of a fork, by its log or by a snapshot, and
// then hears from the liar.
func newcomer(t *testing.T, l *liar) {
	b, c := open(t), open(t)
	past := l.branch(nil, 2)
	one := l.branch(past, 1)
	l.tell(b, one)
	l.tell(c, l.branch(past, 1))
	keep(t, b, c)
	time.Sleep(10 * beat)
	mustUpdate(t, b.Space("s"), add(1))
	if err := b.Space("s").Truncate(t.Context(), node.Horizon{Log: b.Space("s").Vector(), Stubs: b.Space("s").Vector()}); err != nil {
		t.Fatal(err)
	}
	late := open(t)
	keep(t, late, b)
	time.Sleep(10 * beat)
	l.tell(late, one)
	time.Sleep(10 * beat)
	checkForked(t, merge.Dot{Origin: l.origin, Seq: 3}, b, c, late)
	checkAlike(t, append([]int{1}, numbers(100, 104)...), b, c, late)
}
