package node_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/joinery-crdt/joinery/hlc"
	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store/memstore"
	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/node"
	"github.com/joinery-crdt/joinery/sync/wire"
)

// adding returns the operations of a change that adds the element to ids.
func adding(t *testing.T, element int) []crdtsync.CellOp {
	t.Helper()
	author := open(t)
	mustUpdate(t, author.Space("s"), add(element))
	c, err := crdtsync.DecodeChange(rawChanges(t, author, "s")[0])
	if err != nil {
		t.Fatal(err)
	}
	return c.Ops
}

// forge returns a change that its author need not be able to stand for, stamped
// now or later.
func forge(t *testing.T, dot merge.Dot, after time.Duration, prev crdtsync.Hash, deps []merge.Dot, ops []crdtsync.CellOp) *crdtsync.Change {
	t.Helper()
	c, err := crdtsync.NewChange(dot, hlc.New(time.Now().Add(after).UnixMilli(), 0), prev, deps, ops)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// stranger connects a puppet that says hello and reads on.
func stranger(t *testing.T, n *node.Node, o merge.Origin) *puppet {
	t.Helper()
	p := attach(t, n)
	p.drain()
	p.send(hello(o))
	return p
}

// tell sends changes in a frame each.
func (p *puppet) tell(changes ...*crdtsync.Change) {
	p.t.Helper()
	for _, c := range changes {
		p.send(&crdtsync.Changes{Space: "s", Changes: [][]byte{c.Bytes()}})
	}
}

// causeOf returns what the status says of a problem, "" if it is not there.
func causeOf(n *node.Node, code string) string {
	for _, p := range n.Status().Problems {
		if p.Code == code {
			return p.Cause
		}
	}
	return ""
}

// heldUp sends a node changes that can never be applied, more than fit, between
// those of another: those are applied as they come, what waits is bounded, what
// the node says to it is too, and a third node never hears of it.
func heldUp(t *testing.T, bad func(i uint64, ops []crdtsync.CellOp) *crdtsync.Change) {
	t.Helper()
	const frames, each, room, chatter = 10, 600, 4096, 1 << 20
	n, friend, good := open(t), open(t), open(t)
	join(t, n, friend)
	for i := range frames {
		mustUpdate(t, good.Space("s"), add(i))
	}
	traffic := new(counter)
	near, far := wire.Pipe()
	p := &puppet{t, traffic.wrap(far), make(chan error, 1)}
	go func() { p.done <- n.Serve(t.Context(), near) }()
	p.drain()
	p.send(hello(merge.Origin{9}), &crdtsync.Subscribe{Space: "s", Vector: merge.VectorOf(merge.Dot{Origin: merge.Origin{9}, Seq: merge.MaxSeq})})
	ops := adding(t, 666)
	sent := 0
	for k, fine := range rawChanges(t, good, "s") {
		frame := &crdtsync.Changes{Space: "s", Changes: [][]byte{fine}}
		for i := range uint64(each) {
			c := bad(uint64(k)*each+i, ops)
			frame.Changes = append(frame.Changes, c.Bytes())
			sent += len(c.Bytes())
		}
		p.send(frame)
	}
	time.Sleep(2 * beat)
	checkEqual(t, "s", n, friend, good)
	if got := n.Status().Spaces[0].Waiting; got == 0 || got > room {
		t.Errorf("%d changes wait, want at most %d", got, room)
	}
	if causeOf(n, "waiting") == "" {
		t.Errorf("problems = %+v, want waiting", n.Status().Problems)
	}
	if got := friend.Status().Spaces[0].Waiting; got != 0 {
		t.Errorf("%d changes wait at a node that the stranger does not know", got)
	}
	if got := traffic.bytes.Load(); got > int64(2*sent+chatter) {
		t.Errorf("%d bytes crossed for %d bytes of changes", got, sent)
	}
	mustUpdate(t, n.Space("s"), add(100))
	synctest.Wait()
	checkEqual(t, "s", n, friend)
}

// TestFarSeq numbers changes, and claims to have some, 2^60 ahead.
func TestFarSeq(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		heldUp(t, func(i uint64, ops []crdtsync.CellOp) *crdtsync.Change {
			return forge(t, merge.Dot{Origin: merge.Origin{9}, Seq: merge.MaxSeq - i}, 0, crdtsync.Hash{1}, nil, ops)
		})
	})
}

// TestFalseDeps sends changes of many origins that depend on what nobody made.
func TestFalseDeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		heldUp(t, func(i uint64, ops []crdtsync.CellOp) *crdtsync.Change {
			deps := []merge.Dot{{Origin: merge.Origin{8, byte(i >> 8), byte(i)}, Seq: merge.MaxSeq}}
			return forge(t, merge.Dot{Origin: merge.Origin{9, byte(i >> 8), byte(i)}, Seq: 1}, 0, crdtsync.Hash{}, deps, ops)
		})
	})
}

// TestPoisonFuture sends a change from a year ahead in one frame with good ones,
// and what its origin made next: the good ones are applied, the clock stays, and
// the origin is held and named.
func TestPoisonFuture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, good := open(t), open(t)
		mustUpdate(t, good.Space("s"), add(1))
		mustUpdate(t, good.Space("s"), add(2))
		fine := rawChanges(t, good, "s")
		const year = 365 * 24 * time.Hour
		poison := forge(t, merge.Dot{Origin: merge.Origin{9}, Seq: 1}, year, crdtsync.Hash{}, nil, adding(t, 666))
		next := forge(t, merge.Dot{Origin: merge.Origin{9}, Seq: 2}, year+time.Second, poison.Hash(), nil, adding(t, 667))
		p := stranger(t, n, merge.Origin{9})
		p.send(&crdtsync.Changes{Space: "s", Changes: [][]byte{fine[0], poison.Bytes(), next.Bytes(), fine[1]}})
		time.Sleep(2 * beat)
		if got := idsOf(t, n.Space("s")); !slices.Equal(got, []int{1, 2}) {
			t.Errorf("ids = %v, want what is not from the future", got)
		}
		if got := causeOf(n, "future_change"); !strings.Contains(got, poison.Dot.Origin.String()) {
			t.Errorf("problems = %+v, want future_change that names %s", n.Status().Problems, poison.Dot.Origin)
		}
		mustUpdate(t, n.Space("s"), func(tx *node.Tx) error {
			if drift := time.Until(tx.Time().Time()); drift > time.Second {
				t.Errorf("the clock was dragged %v ahead", drift)
			}
			return ids.Add(tx, 3)
		})
	})
}

// TestSameTickIds writes from many goroutines while the clock stands still: no
// stamp and no dot is given twice, over a restart too.
func TestSameTickIds(t *testing.T) {
	const writers, each = 8, 50
	disk := new(memstore.Disk)
	stands := time.UnixMilli(1_000_000)
	stamps, made := make(map[hlc.Timestamp]bool), make(map[merge.Dot]bool)
	for range 2 {
		n := openConfig(t, node.Config{Store: on(t, disk), Now: func() time.Time { return stands }})
		events := take(t, n.Space("s"))
		var mu sync.Mutex
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				for i := range each {
					mustUpdate(t, n.Space("s"), func(tx *node.Tx) error {
						mu.Lock()
						defer mu.Unlock()
						if stamps[tx.Time()] {
							t.Errorf("%v was given twice", tx.Time())
						}
						stamps[tx.Time()] = true
						return errors.Join(ids.Add(tx, len(stamps)), title.Set(tx, string(rune('a'+w))+string(rune('a'+i))))
					})
				}
			})
		}
		wg.Wait()
		mustClose(t, n)
		for _, ev := range events() {
			made[ev.Dot] = true
		}
	}
	if want := 2 * writers * each; len(made) != want || len(stamps) != want {
		t.Errorf("%d dots and %d stamps of %d changes", len(made), len(stamps), want)
	}
}

// TestShutdownFlush stops a node while it is written to, with and without a link
// over which to send: what was acknowledged reaches a peer after the restart, and
// nothing else does.
func TestShutdownFlush(t *testing.T) {
	for _, linked := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			disk := new(memstore.Disk)
			n, peer := openOn(t, disk), open(t)
			if linked {
				join(t, n, peer)
			}
			var mu sync.Mutex
			var acknowledged []int
			var wg sync.WaitGroup
			for w := range 4 {
				wg.Go(func() {
					for i := w; ; i += 4 {
						if err := n.Space("s").Update(t.Context(), add(i)); err != nil {
							if !errors.Is(err, node.ErrClosed) {
								t.Errorf("Update = %v, want ErrClosed", err)
							}
							return
						}
						mu.Lock()
						acknowledged = append(acknowledged, i)
						enough := len(acknowledged) == 50
						mu.Unlock()
						if enough {
							go n.Close()
						}
					}
				})
			}
			wg.Wait()
			mustClose(t, n)
			again := openOn(t, disk.Clone())
			join(t, again, peer)
			synctest.Wait()
			slices.Sort(acknowledged)
			checkHas(t, acknowledged, again, peer)
		})
	}
}
