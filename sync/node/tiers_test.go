package node_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store/memstore"
	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/node"
	"github.com/joinery-crdt/joinery/sync/wire"
)

// named starts a node with a name on a disk.
func named(t *testing.T, name string, disk *memstore.Disk) *node.Node {
	t.Helper()
	return openConfig(t, node.Config{Store: on(t, disk), Name: name, Hub: name == "hub"})
}

// addDot adds an element and returns the change as a vector.
func addDot(t *testing.T, s *node.Space, e int) (v *merge.VersionVector) {
	t.Helper()
	mustUpdate(t, s, func(tx *node.Tx) error {
		v = merge.VectorOf(tx.Dot())
		return ids.Add(tx, e)
	})
	return v
}

// cable is a connection between two nodes that a test can pull.
func cable(t *testing.T, a, b *node.Node) (pull func()) {
	t.Helper()
	x, y := wire.Pipe()
	go a.Serve(t.Context(), x)
	go b.Serve(t.Context(), y)
	return func() {
		x.Close("pulled")
		synctest.Wait()
	}
}

// TestTiers follows a change through a device, a hub and two more devices.
func TestTiers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var disks [4]memstore.Disk
		var nodes []*node.Node
		for i, name := range []string{"a", "hub", "b", "c"} {
			nodes = append(nodes, named(t, name, &disks[i]))
		}
		a, hub, b, c := nodes[0], nodes[1], nodes[2], nodes[3]
		mustUpdate(t, a.Space("s"), add(0))
		pullA, pullB, pullC := cable(t, a, hub), cable(t, b, hub), cable(t, c, hub)
		time.Sleep(20 * time.Second) // all get to know each other
		for _, pull := range []func(){pullA, pullB, pullC} {
			pull()
		}

		v := addDot(t, a.Space("s"), 1)
		want := func(what string, want node.Reach) {
			t.Helper()
			if got := a.Space("s").Reach(v); got != want {
				t.Errorf("%s: %+v, want %+v", what, got, want)
			}
		}
		want("alone", node.Reach{Local: true})
		wait := func(tier node.Tier) <-chan error {
			done := make(chan error, 1)
			go func() { done <- a.Space("s").WaitFor(t.Context(), v, tier) }()
			synctest.Wait()
			return done
		}
		hubbed, replicated, stable := wait(node.Hub), wait(node.Replicated), wait(node.Stable)
		pending := func(what string, chans ...<-chan error) {
			t.Helper()
			synctest.Wait()
			for _, done := range chans {
				select {
				case err := <-done:
					t.Errorf("%s: the wait is over: %v", what, err)
				default:
				}
			}
		}
		over := func(done <-chan error) {
			t.Helper()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		pending("alone", hubbed, replicated, stable)

		cable(t, a, hub)
		over(hubbed)
		want("at the hub", node.Reach{Local: true, Copies: 1, Hub: true})
		pending("at the hub", replicated, stable)
		cable(t, b, hub)
		over(replicated)
		want("at the hub and b", node.Reach{Local: true, Copies: 2, Hub: true})
		pending("at the hub and b", stable)

		mustClose(t, a)
		a = named(t, "a", &disks[0])
		want("after a restart", node.Reach{Local: true, Copies: 2, Hub: true})
		cable(t, a, hub)
		cable(t, c, hub)
		over(wait(node.Stable))
		want("everywhere", node.Reach{Local: true, Copies: 3, Hub: true, Stable: true})
		if err := <-stable; !errors.Is(err, node.ErrClosed) {
			t.Errorf("the wait of a node that was closed: %v, want ErrClosed", err)
		}
		if got := a.Space("s").Frontier(); !got.Equal(a.Space("s").Vector()) {
			t.Errorf("frontier %v, want everything", got.Sorted())
		}
	})
}

func TestWaitForEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := open(t)
		v := addDot(t, n.Space("s"), 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := n.Space("s").WaitFor(ctx, v, node.Replicated); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("WaitFor = %v, want the error of its context", err)
		}
		if err := n.Space("s").WaitFor(t.Context(), v, node.Tier(9)); !errors.Is(err, node.ErrTier) {
			t.Errorf("WaitFor of no tier = %v", err)
		}
		if err := n.Space("s").WaitFor(t.Context(), v, node.Local); err != nil {
			t.Errorf("WaitFor(local) = %v", err)
		}
	})
}

func TestTierNames(t *testing.T) {
	for tier := node.Local; tier <= node.Stable; tier++ {
		if got, err := node.ParseTier(tier.String()); err != nil || got != tier {
			t.Errorf("ParseTier(%q) = %v, %v", tier, got, err)
		}
	}
	if _, err := node.ParseTier("safe"); !errors.Is(err, node.ErrTier) {
		t.Errorf("ParseTier = %v, want ErrTier", err)
	}
}

// TestBlockedByNamed: one silent member holds the frontier back. The others name
// it and say since when, until it is retired, and a device that only knows of it
// by hearsay learns that too. When it comes back all the same it brings what it
// wrote.
func TestBlockedByNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var disks [3]memstore.Disk
		hub, phone, tablet := named(t, "hub", &disks[0]), named(t, "phone", &disks[1]), named(t, "tablet", &disks[2])
		mustUpdate(t, hub.Space("s"), add(1))
		cable(t, phone, hub)
		pull := cable(t, tablet, hub)
		time.Sleep(20 * time.Second)
		for _, n := range []*node.Node{hub, phone, tablet} {
			if st := n.Status().Stability; len(st) != 1 || st[0].Stable != 1 || len(st[0].Blockers) != 0 {
				t.Errorf("%s: %+v, want all stable", n.Name(), st)
			}
		}
		pull()
		gone := time.Now()
		mustUpdate(t, tablet.Space("s"), add(100))
		mustUpdate(t, phone.Space("s"), add(2))
		mustUpdate(t, hub.Space("s"), add(3))
		time.Sleep(26 * time.Hour)
		for _, n := range []*node.Node{hub, phone} {
			st := n.Status()
			if len(st.Stability) != 1 || st.Stability[0].Stable != 1 || len(st.Stability[0].Blockers) != 1 {
				t.Fatalf("%s: %+v, want one change stable and one blocker", n.Name(), st.Stability)
			}
			b := st.Stability[0].Blockers[0]
			if b.Name != "tablet" || b.Missing != 2 || gone.Sub(b.Since) > 2*time.Hour || b.Since.After(gone) {
				t.Errorf("%s: blocked by %+v, want the tablet since %v", n.Name(), b, gone)
			}
			if got := problems(n); !slices.Contains(got, "stability_blocked") {
				t.Errorf("%s: problems %v", n.Name(), got)
			}
		}
		if d, err := hub.Retire("tablet"); err != nil || !d.Retired || d.Origin != tablet.Origin() {
			t.Fatalf("Retire = %+v, %v", d, err)
		}
		time.Sleep(10 * time.Second)
		for _, n := range []*node.Node{hub, phone} {
			st := n.Status()
			if st.Stability[0].Stable != 3 || len(st.Problems) != 0 {
				t.Errorf("%s, tablet retired: %+v, %+v", n.Name(), st.Stability, st.Problems)
			}
			if !n.Space("s").Frontier().Equal(n.Space("s").Vector()) {
				t.Errorf("%s: the frontier is %v", n.Name(), n.Space("s").Frontier().Sorted())
			}
		}
		cable(t, tablet, hub)
		synctest.Wait()
		checkEqual(t, "s", hub, phone, tablet)
		if d, err := phone.Return("tablet"); err != nil || d.Retired {
			t.Errorf("Return = %+v, %v", d, err)
		}
		time.Sleep(10 * time.Second)
		for _, d := range hub.Devices() {
			if d.Retired || !d.Connected || d.Spaces[0].Missing != 0 {
				t.Errorf("the hub lists %+v", d)
			}
		}
	})
}

// TestLapsed: a member that is not heard for longer than the lease is not waited
// for, and not forgotten either.
func TestLapsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := openConfig(t, node.Config{Store: memstore.New(), Name: "a", Lease: 7 * 24 * time.Hour})
		b := openConfig(t, node.Config{Store: memstore.New(), Name: "b"})
		mustUpdate(t, a.Space("s"), add(1))
		pull := cable(t, a, b)
		time.Sleep(10 * time.Second)
		pull()
		mustUpdate(t, a.Space("s"), add(2))
		v := addDot(t, a.Space("s"), 3)
		if a.Space("s").Reach(v).Stable {
			t.Error("stable without b")
		}
		time.Sleep(8 * 24 * time.Hour)
		if !a.Space("s").Reach(v).Stable || len(problems(a)) != 0 {
			t.Errorf("after the lease: %+v, %v", a.Space("s").Reach(v), problems(a))
		}
		if d := a.Devices(); len(d) != 1 || !d[0].Lapsed || d[0].Spaces[0].Missing != 2 {
			t.Errorf("devices %+v, want b, lapsed", d)
		}
		mustUpdate(t, b.Space("s"), add(4))
		cable(t, a, b)
		time.Sleep(10 * time.Second)
		checkEqual(t, "s", a, b)
	})
}

func TestDeviceNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := open(t)
		mustUpdate(t, n.Space("s"), add(1))
		for i := range 2 {
			peer := openConfig(t, node.Config{Store: memstore.New(), Name: "twin"})
			mustUpdate(t, peer.Space("s"), add(10+i))
			join(t, n, peer)
		}
		time.Sleep(10 * time.Second)
		if _, err := n.Retire("nobody"); !errors.Is(err, node.ErrNoDevice) {
			t.Errorf("Retire(nobody) = %v", err)
		}
		if _, err := n.Retire("twin"); !errors.Is(err, node.ErrManyDevices) {
			t.Errorf("Retire(twin) = %v", err)
		}
		first := n.Devices()[0]
		if d, err := n.Retire(first.Origin.String()); err != nil || d.Origin != first.Origin {
			t.Errorf("Retire(%v) = %+v, %v", first.Origin, d, err)
		}
		if got := fmt.Sprint(n.Devices()[0].Retired, n.Devices()[1].Retired); got != "true false" {
			t.Errorf("retired: %s", got)
		}
	})
}

// TestReachOfAFrontierThatCameFirst shows what a peer has that said so before this
// node had it.
func TestReachOfAFrontierThatCameFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from, n := open(t), open(t)
		v := addDot(t, from.Space("s"), 1)
		sum := from.Space("s").Summary()
		p := attach(t, n)
		p.drain()
		p.send(hello(merge.Origin{9}), &crdtsync.Frontier{Space: "s", Applied: sum.Applied, Cells: sum.Cells, Changes: 1})
		synctest.Wait()
		if _, err := n.Import(t.Context(), bytes.NewReader(export(t, from.Space("s"), node.Cut{}))); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Second)
		if got, want := n.Space("s").Reach(v), (node.Reach{Local: true, Copies: 1, Stable: true}); got != want {
			t.Errorf("Reach = %+v, want %+v", got, want)
		}
	})
}
