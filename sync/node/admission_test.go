package node_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store/memstore"
	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/node"
	"github.com/joinery-crdt/joinery/sync/wire"
)

// connected returns how many peers of the node are.
func connected(n *node.Node) (count int) {
	for _, p := range n.Status().Peers {
		if p.State == "connected" {
			count++
		}
	}
	return count
}

// anew is a dialer of whatever node stands in for the hub at the time.
type anew struct {
	hub func() *node.Node
	ctx context.Context
}

func (a *anew) String() string { return "hub" }

func (a *anew) Dial(ctx context.Context) (wire.Conn, error) {
	hub := a.hub()
	if hub == nil {
		return refuse()
	}
	return (&dialer{to: hub, ctx: a.ctx}).Dial(ctx)
}

// TestReconnectStorm restarts a hub to which many are connected: it takes no
// more handshakes than it is allowed, and all are connected again soon.
func TestReconnectStorm(t *testing.T) {
	const devices, rate = 300, 20
	for name, end := range map[string]func(t *testing.T, n *node.Node) error{
		"drained": func(t *testing.T, n *node.Node) error { return errors.Join(n.Drain(t.Context()), n.Close()) },
		"killed":  func(_ *testing.T, n *node.Node) error { return n.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				disk := new(memstore.Disk)
				start := func() *node.Node {
					return openConfig(t, node.Config{Store: on(t, disk), MaxHandshakes: rate})
				}
				hub := start()
				mustUpdate(t, hub.Space("s"), add(1))
				var guard sync.Mutex
				door := &anew{ctx: t.Context(), hub: func() *node.Node {
					guard.Lock()
					defer guard.Unlock()
					return hub
				}}
				for range devices {
					go open(t).Sync(t.Context(), door)
				}
				time.Sleep(time.Minute)
				if got := connected(hub); got != devices {
					t.Fatalf("%d devices connected, want %d", got, devices)
				}
				guard.Lock()
				was := hub
				hub = nil
				guard.Unlock()
				if err := end(t, was); err != nil {
					t.Fatal(err)
				}
				guard.Lock()
				hub = start()
				guard.Unlock()
				for second := 1; second <= 60; second++ {
					time.Sleep(time.Second)
					if got := connected(hub); got > rate*(second+1) {
						t.Fatalf("%d handshakes in %d s, allowed are %d a second", got, second, rate)
					}
				}
				if got := connected(hub); got != devices {
					t.Errorf("%d devices connected again after a minute, want %d", got, devices)
				}
			})
		})
	}
}

// TestDrainSpreadsItsPeers: each is told another time, they flow until then, and
// nobody is let in any more.
func TestDrainSpreadsItsPeers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const peers = 60
		n := openConfig(t, node.Config{Store: memstore.New(), Name: "hub", MaxHandshakes: 10})
		var puppets []*puppet
		for range peers {
			p := attach(t, n)
			p.send(hello(merge.Origin{9}))
			puppets = append(puppets, p)
			time.Sleep(100 * time.Millisecond)
		}
		drained := make(chan error, 1)
		go func() { drained <- n.Drain(t.Context()) }()
		var after []uint64
		for _, p := range puppets {
			g := hear[*crdtsync.Goaway](p)
			if g.Code != "draining" || g.Reason == "" {
				t.Errorf("goaway %+v", g)
			}
			after = append(after, g.After)
		}
		if err := <-drained; err != nil {
			t.Errorf("Drain = %v", err)
		}
		slices.Sort(after)
		if spread := after[peers-1] - after[0]; spread < 6000 || after[peers-1] > 12_000 {
			t.Errorf("told to come again after %v to %v ms, want them spread over 12 s", after[0], after[peers-1])
		}
		late := attach(t, n)
		if g := hear[*crdtsync.Goaway](late); g.Code != "draining" {
			t.Errorf("goaway %+v for a late comer", g)
		}
		if e, ok := errors.AsType[*crdtsync.GoawayError](<-late.done); !ok || e.ByPeer {
			t.Errorf("Serve = %v, want the goaway of this side", e)
		}
		if got := problems(n); !slices.Equal(got, []string{"draining"}) {
			t.Errorf("problems = %v, want draining", got)
		}
		mustUpdate(t, n.Space("s"), add(1))
	})
}

// TestInitialSyncsTakeTurns: with room for one, the second peer is told its
// place, is sent nothing, and is served when the first has all or is gone.
func TestInitialSyncsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := openConfig(t, node.Config{Store: memstore.New(), MaxInitialSyncs: 1})
		const changes = 12_000 // more than a pipe holds
		for i := range changes {
			mustUpdate(t, n.Space("s"), add(i))
		}
		ask := []crdtsync.Frame{hello(merge.Origin{9}), &crdtsync.Subscribe{Space: "s", Vector: &merge.VersionVector{}}}
		slow := attach(t, n)
		slow.send(ask...)
		synctest.Wait()
		next, last := open(t), open(t)
		for _, d := range []*node.Node{next, last} {
			go d.Sync(t.Context(), &dialer{n, t.Context(), nil})
			synctest.Wait()
		}
		time.Sleep(3 * time.Second)
		for i, d := range []*node.Node{next, last} {
			st := d.Status()
			if st.Peers[0].Place != uint64(i+1) || len(st.Problems) != 1 || st.Problems[0].Code != "queued" {
				t.Errorf("device %d: peer %+v, problems %+v; want place %d", i, st.Peers[0], st.Problems, i+1)
			}
			if got := d.Space("s").Summary().Changes; got != 0 {
				t.Errorf("device %d has %d changes out of turn", i, got)
			}
		}
		few := attach(t, n)
		few.send(hello(merge.Origin{8}), &crdtsync.Subscribe{Space: "s", Vector: merge.VectorOf(merge.Dot{Origin: n.Origin(), Seq: changes - 10})})
		if got := hear[*crdtsync.Changes](few); len(got.Changes) != 10 {
			t.Errorf("a peer that lacks 10 got %d at first", len(got.Changes))
		}
		slow.drain()
		time.Sleep(3 * time.Second)
		checkEqual(t, "s", n, next, last)
		for _, d := range []*node.Node{next, last} {
			if st := d.Status(); st.Peers[0].Place != 0 || len(st.Problems) != 0 {
				t.Errorf("peer %+v, problems %+v once served", st.Peers[0], st.Problems)
			}
		}
	})
}

// TestQueueMovesOnWhenALinkEnds.
func TestQueueMovesOnWhenALinkEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := openConfig(t, node.Config{Store: memstore.New(), MaxInitialSyncs: 1})
		for i := range 12_000 {
			mustUpdate(t, n.Space("s"), add(i))
		}
		var line []*puppet
		for i := range 3 {
			p := attach(t, n)
			p.send(hello(merge.Origin{byte(i + 9)}), &crdtsync.Subscribe{Space: "s", Vector: &merge.VersionVector{}})
			synctest.Wait()
			line = append(line, p)
		}
		for i, want := range []uint64{1, 2} {
			if got := hear[*crdtsync.Queued](line[i+1]); got.Place != want {
				t.Errorf("place %d, want %d", got.Place, want)
			}
		}
		line[1].conn.Close("impatient") // from the line
		line[0].conn.Close("enough")    // from inside
		synctest.Wait()
		if got := hear[*crdtsync.Queued](line[2]); got.Place != 0 {
			t.Errorf("place %d when all others have left, want 0", got.Place)
		}
		hear[*crdtsync.Changes](line[2])
		// A place that it was told may have come after the news: a tick says it again.
		if got := hear[*crdtsync.Queued](line[2]); got.Place != 0 {
			t.Errorf("place %d after the next heartbeat, want 0", got.Place)
		}
	})
}
