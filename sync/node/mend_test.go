package node_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store/memstore"
	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/node"
)

// keep connects two nodes for as long as the test runs, again and again.
func keep(t *testing.T, from, to *node.Node) {
	t.Helper()
	go from.Sync(t.Context(), &dialer{to: to, ctx: t.Context()})
}

// checkRenewed demands that a node says that it goes on under a new origin.
func checkRenewed(t *testing.T, n *node.Node, before merge.Origin) {
	t.Helper()
	if n.Origin() == before {
		t.Errorf("the node writes under the origin it had")
	}
	st := n.Status()
	i := slices.IndexFunc(st.Problems, func(p node.Problem) bool { return p.Code == "new_origin" })
	if i < 0 || !strings.Contains(st.Problems[i].Cause, "restored from a backup or copied") || !strings.Contains(st.Problems[i].Cause, n.Origin().String()) {
		t.Errorf("problems = %+v, want new_origin", st.Problems)
	}
}

// TestRestoredNodeGoesOn restores a node from a backup in a way that its store
// does not notice: its peer knows more of it than it does. It takes a new origin,
// and nothing is lost.
func TestRestoredNodeGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := new(memstore.Disk)
		a, b := openOn(t, disk), open(t)
		join(t, a, b)
		mustUpdate(t, a.Space("s"), add(1))
		backup := disk.Clone()
		mustUpdate(t, a.Space("s"), add(2))
		synctest.Wait()
		before := a.Origin()
		a.Close()
		restored := openOn(t, backup)
		keep(t, restored, b)
		time.Sleep(10 * time.Second)
		checkRenewed(t, restored, before)
		for i := range 3 {
			mustUpdate(t, restored.Space("s"), add(10+i))
		}
		time.Sleep(10 * time.Second)
		checkHas(t, []int{1, 2, 10, 11, 12}, restored, b)
		if got := problems(b); len(got) != 0 {
			t.Errorf("problems = %v at the peer, want none", got)
		}
	})
}

// TestRestoredNodeThatWrote writes before it meets a peer: its changes have dots
// that name others there. They are found, taken back and issued again, counters
// included.
func TestRestoredNodeThatWrote(t *testing.T) {
	for _, common := range []int{0, 1, 5, 40} {
		t.Run(fmt.Sprint("common=", common), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { restoreAndWrite(t, common) })
		})
	}
}

func restoreAndWrite(t *testing.T, common int) {
	write := func(n *node.Node, e int) {
		mustUpdate(t, n.Space("s"), func(tx *node.Tx) error {
			if err := likes.Add(tx, 1); err != nil {
				return err
			}
			if err := title.Set(tx, fmt.Sprint("of ", e)); err != nil {
				return err
			}
			return ids.Add(tx, e)
		})
	}
	disk := new(memstore.Disk)
	a, b := openOn(t, disk), open(t)
	mustUpdate(t, b.Space("s"), add(-1))
	join(t, a, b)
	synctest.Wait()
	want := []int{-1}
	for i := range common {
		write(a, i)
		want = append(want, i)
	}
	backup := disk.Clone()
	for i := range 3 {
		write(a, 100+i)
		want = append(want, 100+i)
	}
	synctest.Wait()
	before := a.Origin()
	a.Close()
	restored := openOn(t, backup)
	for i := range 5 {
		write(restored, 200+i)
		if i < 4 {
			want = append(want, 200+i)
		}
	}
	mustUpdate(t, restored.Space("s"), func(tx *node.Tx) error { return ids.Remove(tx, 204) })
	keep(t, restored, b)
	time.Sleep(20 * time.Second)
	checkRenewed(t, restored, before)
	checkHas(t, want, restored, b)
	for _, n := range []*node.Node{restored, b} {
		mustView(t, n.Space("s"), func(v *node.View) error {
			if got, err := likes.Value(v); got != int64(common+8) || err != nil {
				t.Errorf("count = %d, %v, want %d", got, err, common+8)
			}
			if got, _, err := title.Get(v); got != "of 204" || err != nil {
				t.Errorf("title = %q, %v", got, err)
			}
			return nil
		})
	}
	if got := problems(b); len(got) != 0 {
		t.Errorf("problems = %v at the peer, want none", got)
	}
	restored.Close()
	again := openOn(t, backup)
	if again.Origin() == before || !again.Space("s").Vector().Equal(b.Space("s").Vector()) {
		t.Error("after a restart the node is not what it became")
	}
	keep(t, again, b)
	write(again, 300)
	time.Sleep(10 * time.Second)
	checkHas(t, append(want, 300), again, b)
}

// TestClonesMeet lets a copy and its original, which have both written, meet a
// hub, or only each other.
func TestClonesMeet(t *testing.T) {
	for _, hubbed := range []bool{true, false} {
		t.Run(fmt.Sprint("hub=", hubbed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				disk := new(memstore.Disk)
				a := openOn(t, disk)
				mustUpdate(t, a.Space("s"), add(1))
				clone, hub := openOn(t, disk.Clone()), open(t)
				mustUpdate(t, a.Space("s"), add(2))
				mustUpdate(t, clone.Space("s"), add(3))
				mustUpdate(t, clone.Space("s"), add(4))
				mustUpdate(t, clone.Space("only the clone's"), add(5))
				if hubbed {
					keep(t, a, hub)
					time.Sleep(time.Second)
					keep(t, clone, hub)
				} else {
					keep(t, clone, a)
					hub = a
				}
				time.Sleep(30 * time.Second)
				if clone.Origin() == a.Origin() {
					t.Error("both write under one origin")
				}
				mustUpdate(t, a.Space("s"), add(6))
				mustUpdate(t, clone.Space("s"), add(7))
				time.Sleep(30 * time.Second)
				checkHas(t, []int{1, 2, 3, 4, 6, 7}, a, clone, hub)
				checkEqual(t, "only the clone's", clone, hub)
				if got := problems(hub); hubbed && len(got) != 0 {
					t.Errorf("problems = %v at the hub, want none", got)
				}
			})
		})
	}
}

// TestCloneSplitInTwoSpaces forks in two spaces, of which the peers know one
// each: the second is mended under the origin that the first brought. Meanwhile
// the first peer got a branch that was taken back, and says so.
func TestCloneSplitInTwoSpaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := new(memstore.Disk)
		a, first, second := openOn(t, disk), open(t), open(t)
		mustUpdate(t, a.Space("s"), add(1))
		mustUpdate(t, a.Space("t"), add(1))
		backup := disk.Clone()
		mustUpdate(t, a.Space("s"), add(2))
		mustUpdate(t, a.Space("t"), add(2))
		mustImport(t, first, export(t, a.Space("s"), node.Cut{}))
		mustImport(t, second, export(t, a.Space("t"), node.Cut{}))
		a.Close()
		restored := openOn(t, backup)
		mustUpdate(t, restored.Space("s"), add(3))
		mustUpdate(t, restored.Space("t"), add(3))
		keep(t, restored, first)
		time.Sleep(10 * time.Second)
		origin := restored.Origin()
		keep(t, restored, second)
		time.Sleep(20 * time.Second)
		if restored.Origin() != origin {
			t.Error("the second fork of the old origin brought another new one")
		}
		checkHas(t, []int{1, 2, 3}, restored, first)
		checkEqual(t, "t", restored, second)
		if got := idsOf(t, second.Space("t")); !slices.Equal(got, []int{1, 2, 3}) {
			t.Errorf("ids = %v, want all", got)
		}
		if got := problems(first); len(got) == 0 {
			t.Error("who was sent the branch that was taken back says nothing")
		}
	})
}

// TestImportShowsRestore finds out from a file.
func TestImportShowsRestore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := new(memstore.Disk)
		a := openOn(t, disk)
		mustUpdate(t, a.Space("s"), add(1))
		backup := disk.Clone()
		mustUpdate(t, a.Space("s"), add(2))
		file := export(t, a.Space("s"), node.Cut{})
		before := a.Origin()
		a.Close()
		restored := openOn(t, backup)
		if report, err := restored.Import(t.Context(), strings.NewReader(string(file))); err == nil && report.Refused == 0 {
			t.Errorf("Import = %+v, want it refused at first", report)
		}
		synctest.Wait()
		checkRenewed(t, restored, before)
		mustImport(t, restored, file)
		checkHas(t, []int{1, 2}, restored)
	})
}

// TestRestoredHub restores a hub that is one hundredth behind: it is offered what
// it lost, for at most a twentieth of what everything costs.
func TestRestoredHub(t *testing.T) {
	const devices, each = 4, 500
	synctest.Test(t, func(t *testing.T) {
		disk := new(memstore.Disk)
		hub := openOn(t, disk)
		var fleet []*node.Node
		for d := range devices {
			n := open(t)
			for i := range each {
				mustUpdate(t, n.Space("s"), add(d*each+i))
			}
			fleet = append(fleet, n)
		}
		counted := &counter{}
		for _, n := range fleet {
			go n.Sync(t.Context(), &dialer{to: hub, ctx: t.Context(), wrap: counted.wrap})
		}
		time.Sleep(5 * time.Second)
		full := counted.bytes.Load()
		backup := disk.Clone()
		for d, n := range fleet {
			for i := range each / 100 {
				mustUpdate(t, n.Space("s"), add(10_000+d*each+i))
			}
		}
		time.Sleep(5 * time.Second)
		lost := hub.Space("s").Vector()
		hub.Close()
		restored := openOn(t, backup)
		again := &counter{}
		for _, n := range fleet {
			go n.Sync(t.Context(), &dialer{to: restored, ctx: t.Context(), wrap: again.wrap})
		}
		time.Sleep(5 * time.Second)
		if !restored.Space("s").Vector().Equal(lost) {
			t.Error("the hub did not get back what it lost")
		}
		cost := again.bytes.Load()
		t.Logf("everything cost %d bytes, the repair of 1%% %d: %.1f%%", full, cost, 100*float64(cost)/float64(full))
		if 20*cost > full {
			t.Errorf("the repair cost %d bytes of %d", cost, full)
		}
	})
}

// TestFormerOriginsAreTold reads the hello of a node that has given one up.
func TestFormerOriginsAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := open(t)
		before := n.Origin()
		mustUpdate(t, n.Space("s"), add(1))
		p := attach(t, n)
		p.send(hello(merge.Origin{9}))
		hear[*crdtsync.Welcome](p)
		known := crdtsync.Known{Dot: merge.Dot{Origin: before, Seq: 7}, Hash: crdtsync.Hash{1}}
		p.send(&crdtsync.Subscribed{Space: "s", Known: []crdtsync.Known{known}})
		if got := hear[*crdtsync.Goaway](p); got.Code != "renewed" {
			t.Errorf("goaway %+v, want renewed", got)
		}
		h := hear[*crdtsync.Hello](attach(t, n))
		if h.Origin == before || h.Origin != n.Origin() || !slices.Equal(h.Former, []merge.Origin{before}) {
			t.Errorf("hello %+v, want a new origin and the former %v", h, before)
		}
		features := slices.DeleteFunc(slices.Clone(h.Features), func(f string) bool { return f == crdtsync.FeatureSigned })
		if !slices.Equal(features, crdtsync.Features()) || len(features) == len(h.Features) || h.Nonce == (crdtsync.Nonce{}) || h.Clock == 0 {
			t.Errorf("hello %+v, want features, a clock and a nonce", h)
		}
	})
}

// meetFork connects a puppet that knows all features and says that it has known
// of the node's origin.
func meetFork(t *testing.T, n *node.Node, space string, known crdtsync.Known) *puppet {
	t.Helper()
	p := attach(t, n)
	h := hello(merge.Origin{9})
	h.Features = crdtsync.Features()
	p.send(h)
	hear[*crdtsync.Subscribe](p)
	p.send(&crdtsync.Subscribe{Space: space, Vector: &merge.VersionVector{}, Known: []crdtsync.Known{known}})
	return p
}

// updateAtOnce makes many changes in one commit.
func updateAtOnce(t *testing.T, n *node.Node, m *meddler, changes int) {
	t.Helper()
	busy := make(chan struct{})
	m.set(hooks{commit: func() error { <-busy; return nil }})
	var wg sync.WaitGroup
	for i := range changes {
		wg.Go(func() { mustUpdate(t, n.Space("s"), add(i)) })
	}
	synctest.Wait()
	m.set(hooks{})
	close(busy)
	wg.Wait()
}

// TestTakenBackIsForgotten lets a node take back what its links were about to
// send: so many changes at once that they are sent without a look into the log.
func TestTakenBackIsForgotten(t *testing.T) {
	const branch = 40
	synctest.Test(t, func(t *testing.T) {
		m := meddle(on(t, new(memstore.Disk)))
		n := openConfig(t, node.Config{Store: m})
		before := n.Origin()
		updateAtOnce(t, n, m, 1+branch)
		other := forge(t, merge.Dot{Origin: before, Seq: 1}, 0, crdtsync.Hash{}, nil, adding(t, -1)) // whichever is the first here
		p := meetFork(t, n, "s", crdtsync.Known{Dot: other.Dot, Hash: other.Hash()})
		hear[*crdtsync.Goaway](p)
		synctest.Wait()

		third := attach(t, n)
		third.send(hello(merge.Origin{8}))
		hear[*crdtsync.Subscribe](third)
		third.send(&crdtsync.Subscribe{Space: "s", Vector: merge.VectorOf(other.Dot)})
		sent := func() (dots []merge.Dot) {
			for _, raw := range hear[*crdtsync.Changes](third).Changes {
				h, err := crdtsync.ReadHeader(raw)
				if err != nil {
					t.Fatal(err)
				}
				dots = append(dots, h.Dot)
			}
			return dots
		}
		if got := sent(); len(got) != 1+branch || got[0].Origin == before {
			t.Errorf("sent %v, want what was issued again", got)
		}
		mustUpdate(t, n.Space("s"), add(3))
		if got, want := sent(), []merge.Dot{{Origin: n.Origin(), Seq: 1}}; !slices.Equal(got, want) {
			t.Errorf("sent %v, want %v", got, want)
		}
	})
}

// TestWritesOnTopOfAFork forks in two spaces, of which the peers know one each.
// Between the two the node writes in the second space under the origin that the
// first brought, on top of changes that it will take back and whose dots will then
// name nothing.
func TestWritesOnTopOfAFork(t *testing.T) {
	for _, crash := range []bool{false, true} {
		t.Run(fmt.Sprint("crash=", crash), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				disk := new(memstore.Disk)
				a, first, second := openOn(t, disk), open(t), open(t)
				mustUpdate(t, a.Space("s"), add(1))
				mustUpdate(t, a.Space("t"), add(1))
				backup := disk.Clone()
				mustUpdate(t, a.Space("s"), add(2))
				mustUpdate(t, a.Space("t"), add(2))
				mustImport(t, first, export(t, a.Space("s"), node.Cut{}))
				mustImport(t, second, export(t, a.Space("t"), node.Cut{}))
				a.Close()
				restored := openOn(t, backup)
				for _, e := range []int{3, 4, 5} {
					mustUpdate(t, restored.Space("s"), add(e))
					mustUpdate(t, restored.Space("t"), add(e))
				}
				keep(t, restored, first)
				time.Sleep(10 * time.Second)
				mustUpdate(t, restored.Space("t"), add(6))
				if crash {
					restored.Close()
					restored = openOn(t, backup)
				}
				keep(t, restored, second)
				time.Sleep(60 * time.Second)
				checkEqual(t, "t", restored, second)
				if got := idsOf(t, second.Space("t")); !slices.Equal(got, []int{1, 2, 3, 4, 5, 6}) {
					t.Errorf("ids = %v, want all", got)
				}
			})
		})
	}
}
