package sync_test

import (
	"fmt"
	"testing"

	"github.com/joinery-crdt/joinery/crdt"
	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/wire"
)

// tally counts what goes in each direction, by type of frame.
type tally struct {
	frames, bytes map[direction]map[wire.Type]int
}

func (n *network) tally() *tally {
	t := &tally{make(map[direction]map[wire.Type]int), make(map[direction]map[wire.Type]int)}
	n.tap = func(d direction, frame []byte) {
		if t.frames[d] == nil {
			t.frames[d], t.bytes[d] = make(map[wire.Type]int), make(map[wire.Type]int)
		}
		t.frames[d][wire.Type(frame[0])]++
		t.bytes[d][wire.Type(frame[0])] += len(frame)
	}
	return t
}

// reconnect returns a network of the same replicas with one connection.
func reconnect(t testing.TB, replicas ...*replica) *network {
	net := newNetwork(t, seeded(1), replicas...)
	net.connect(0, 1)
	return net
}

// acquainted returns a device and a hub that were level before, in a space with
// changes of many origins.
func acquainted(t *testing.T, origins int) (device, hub *replica) {
	device, hub = newReplica(t, 1, "s"), newReplica(t, 2, "s")
	for i := range origins {
		other := newReplica(t, 10+i, "s")
		other.author("s", put(t, i))
		hub.pull("s", other, 1)
	}
	reconnect(t, device, hub).wantLevel("first contact", 3)
	return device, hub
}

// TestResumeIsShort reconnects a device to a hub that it knows, both of which
// have written: one round trip, and what is said beside the changes is small,
// whatever the size of the space.
func TestResumeIsShort(t *testing.T) {
	const away = 200
	for _, origins := range []int{1, 100, 3000} {
		t.Run(fmt.Sprint(origins), func(t *testing.T) {
			device, hub := acquainted(t, origins)
			size := 0
			for i := range away {
				size += len(hub.author("s", put(t, fmt.Sprintf("written at the hub, %d", i))).Bytes())
			}
			for i := range 3 {
				device.author("s", put(t, fmt.Sprintf("written offline, %d", i)))
			}
			net := reconnect(t, device, hub)
			count := net.tally()
			net.settle()
			up, down := direction{0, 1}, direction{1, 0}
			request := count.bytes[up][wire.TypeResume]
			response := count.bytes[down][wire.TypeResume] + count.bytes[down][wire.TypeSubscribed] + count.bytes[down][wire.TypeChanges]
			t.Logf("request %d bytes, response %d bytes for %d of changes (%.4f)", request, response, size, float64(response)/float64(size))
			if request == 0 || request > 32 || count.frames[up][wire.TypeResume] != 1 || count.frames[up][wire.TypeSubscribe] != 0 {
				t.Errorf("the device said %v, %v bytes; want one RESUME of at most 32", count.frames[up], count.bytes[up])
			}
			if float64(response) > 1.03*float64(size) || len(net.sent[down]) != away {
				t.Errorf("the hub sent %d changes in %d bytes, want %d in at most 1.03 x %d", len(net.sent[down]), response, away, size)
			}
			if len(net.sent[up]) != 3 {
				t.Errorf("the device sent %d changes, want its 3", len(net.sent[up]))
			}
			net.wantLevel("resumed", 1)
		})
	}
}

// TestResumeWithNothingNew costs one frame and its answer in each direction.
func TestResumeWithNothingNew(t *testing.T) {
	device, hub := acquainted(t, 50)
	net := reconnect(t, device, hub)
	count := net.tally()
	net.settle()
	for d, bytes := range count.bytes {
		if got := bytes[wire.TypeResume] + bytes[wire.TypeSubscribed]; got > 40 || count.frames[d][wire.TypeSubscribe] != 0 {
			t.Errorf("%v: %v bytes, want at most 40 to resume and no vector", d, bytes)
		}
	}
	if net.wantLevel("nothing new", 2); len(net.sent[direction{0, 1}])+len(net.sent[direction{1, 0}]) != 0 {
		t.Error("changes were sent that both have")
	}
}

// TestPositionReachedAgain: the hub was restored from a backup and has
// come to the same number of changes with others.
func TestPositionReachedAgain(t *testing.T) {
	device, hub := newReplica(t, 1, "s"), newReplica(t, 2, "s")
	restored := newReplica(t, 2, "s") // under the same origin, as if nobody had noticed
	for i := range 5 {
		device.author("s", put(t, i))
	}
	restored.pull("s", device, 3)
	reconnect(t, device, hub).wantLevel("before", 3)
	third := newReplica(t, 3, "s")
	for i := range 2 {
		third.author("s", put(t, 100+i))
		restored.pull("s", third, 1)
	}
	if got, want := restored.Summary("s").Changes, hub.Summary("s").Changes; got != want {
		t.Fatalf("the restored hub has %d changes, want %d", got, want)
	}
	net := reconnect(t, device, restored)
	count := net.tally()
	net.settle()
	if count.frames[direction{0, 1}][wire.TypeResume] != 1 || count.frames[direction{1, 0}][wire.TypeRewind] != 1 {
		t.Errorf("%v; want a RESUME that is answered REWIND", count.frames)
	}
	net.wantLevel("after", 1)
}

// TestResumeOrVector: a device that has since got much from somebody else says
// what it has, instead of being sent it again.
func TestResumeOrVector(t *testing.T) {
	device, hub := acquainted(t, 2)
	for i := range 50 {
		hub.author("s", put(t, i))
	}
	other := newReplica(t, 3, "s")
	other.pull("s", hub, 1000)
	device.pull("s", other, 1000)
	net := reconnect(t, device, hub)
	count := net.tally()
	net.wantLevel("vector", 2)
	if up := count.frames[direction{0, 1}]; up[wire.TypeSubscribe] == 0 || up[wire.TypeResume] != 0 || len(net.sent[direction{1, 0}]) != 0 {
		t.Errorf("the device said %v and was sent %d changes; want a vector and none", up, len(net.sent[direction{1, 0}]))
	}
}

// TestLostRemoveIsRepaired: the frame that carries a removal is lost, once.
func TestLostRemoveIsRepaired(t *testing.T) {
	a, b := newReplica(t, 1, "s"), newReplica(t, 2, "s")
	key := crdtsync.CellKey{Object: "o", Kind: "orset", Element: element(t, "x")}
	added := a.author("s", crdtsync.CellOp{Cell: key, Op: crdt.Op{Put: true}})
	net := reconnect(t, a, b)
	net.wantLevel("before", 3)
	net.write(0, "s", crdtsync.CellOp{Cell: key, Op: crdt.Op{Seen: dots([]*crdtsync.Change{added})}})
	net.pump()
	clear(net.queues)
	if net.settle(); len(b.space("s").cells) != 1 {
		t.Fatal("the removal was not lost")
	}
	net.wantLevel("repaired", 8)
	if len(b.space("s").cells) != 0 {
		t.Error("what was removed is still there")
	}
}
