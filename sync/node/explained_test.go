package node_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/faultstore"
	"github.com/joinery-crdt/joinery/store/memstore"
	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/node"
	"github.com/joinery-crdt/joinery/sync/wire"
)

// beat is the default of Config.Heartbeat.
const beat = 2 * time.Second

// explained lists faults and what the status says of them.
var explained = []struct {
	fault string
	// inject makes the fault happen and returns the node that is asked.
	inject func(t *testing.T) *node.Node
	code   string
	cause  string // part of what it says
}{
	{"address that nobody listens at", unreachableFault, "peer_unreachable", "refused"},
	{"credentials missing", dialFault("needs_auth"), "needs_auth", "needs_auth"},
	{"certificate of an unknown authority", dialFault("untrusted_certificate"), "untrusted_certificate", "certificate"},
	{"proxy that answers 503", dialFault("peer_unavailable"), "peer_unavailable", "unavailable"},
	{"URL of a web page", dialFault("bad_endpoint"), "bad_endpoint", "endpoint"},
	{"partition", partitionFault, "peer_suspect", "no heartbeat for"},
	{"half-open connection", halfOpenFault, "peer_suspect", "no heartbeat"},
	{"peer that never says hello", muteFault, "peer_suspect", "no heartbeat"},
	{"peer that dies", deadFault, "link_lost", "broken"},
	{"reader that stalls", stalledFault, "peer_stalled", "taken nothing"},
	{"garbage", sayingFault(&crdtsync.Changes{Space: "s", Changes: [][]byte{[]byte("x")}}), "protocol", ""},
	{"other version", sayingFault(&crdtsync.Hello{MinVersion: 90, MaxVersion: 91, Origin: merge.Origin{9}}), "needs_upgrade", "90 to 91"},
	{"peer of another version", sayingFault(&crdtsync.Goodbye{Code: "needs_upgrade", Reason: "old"}), "needs_upgrade", "old"},
	{"same origin at both ends", selfFault, "self", "same node"},
	{"too many spaces", sayingFault(&crdtsync.Goodbye{Code: "protocol", Reason: "too many spaces"}), "protocol", "too many spaces"},
	{"hub that drains", drainFault, "peer_draining", "shutting down"},
	{"own node drains", ownDrainFault, "draining", "shutting down"},
	{"hub that takes no more handshakes", busyFault, "peer_busy", "too many"},
	{"queue at the hub", queueFault, "queued", "place 1"},
	{"full disk", storeFault(faultstore.Full(0)), "store_full", "make room"},
	{"failing fsync", fsyncFault, "store_failed", "flush"},
	{"disk error", storeFault(func(faultstore.Step) error { return errDisk }), "store_error", "disk"},
	{"damaged cell", damageFault, "store_error", "checksum"},
	{"origin from the future", futureFault(false), "future_change", "9m"},
	{"own clock ahead", futureFault(true), "refused_by_peer", "9m"},
	{"clock set back", clockBackFault, "clock_behind", "1h0m0s"},
	{"copied data directory", copyFault, "new_origin", "copied"},
	{"branch of a copy in a file", forkFault, "origin_forked", "names two different changes"},
	{"kind that is not known", unknownKindFault, "unknown_type", "1 operations"},
	{"file without what it depends on", missingFault, "waiting", "wait"},
	{"cells that differ", divergedFault, "diverged", "different contents"},
}

// TestEachFaultIsExplained injects faults: within two heartbeats the status
// names the cause and what to do next.
func TestEachFaultIsExplained(t *testing.T) {
	for _, tc := range explained {
		t.Run(tc.fault, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := tc.inject(t)
				time.Sleep(2 * beat)
				st := n.Status()
				for _, p := range st.Problems {
					if p.Code != tc.code {
						continue
					}
					if !strings.Contains(p.Cause, tc.cause) || len(p.Action) < 10 {
						t.Errorf("problem %+v: want a cause that says %q, and what to do", p, tc.cause)
					}
					return
				}
				t.Errorf("problems = %+v, want %s", st.Problems, tc.code)
			})
		})
	}
}

func dialing(t *testing.T, dial func() (wire.Conn, error)) *node.Node {
	n := open(t)
	go n.Sync(t.Context(), &attempts{dial: dial})
	return n
}

func unreachableFault(t *testing.T) *node.Node { return dialing(t, refuse) }

func dialFault(code string) func(*testing.T) *node.Node {
	return func(t *testing.T) *node.Node {
		return dialing(t, func() (wire.Conn, error) { return nil, refusal{code} })
	}
}

// sayingFault is a peer that says the frames and then nothing more.
func sayingFault(frames ...crdtsync.Frame) func(*testing.T) *node.Node {
	return func(t *testing.T) *node.Node {
		n := open(t)
		near, far := wire.Pipe()
		p := puppet{t: t, conn: far}
		go n.Sync(t.Context(), dialed{near})
		if _, isHello := frames[0].(*crdtsync.Hello); !isHello {
			p.send(hello(merge.Origin{9}))
		}
		p.send(frames...)
		return n
	}
}

// deaf is a connection that loses all frames from some time on.
type deaf struct {
	wire.Conn
	cut *atomic.Bool
}

func (d *deaf) Send(ctx context.Context, frame []byte) error {
	if d.cut.Load() {
		return nil
	}
	return d.Conn.Send(ctx, frame)
}

// met returns two nodes that have been connected for a while, and the switch
// that cuts them off from each other.
func met(t *testing.T) (a *node.Node, cut *atomic.Bool) {
	a, b := open(t), open(t)
	mustUpdate(t, a.Space("s"), add(1))
	cut = new(atomic.Bool)
	near, far := wire.Pipe()
	go a.Sync(t.Context(), dialed{&deaf{near, cut}})
	go b.Serve(t.Context(), &deaf{far, cut})
	time.Sleep(20 * beat)
	return a, cut
}

func partitionFault(t *testing.T) *node.Node {
	n, cut := met(t)
	cut.Store(true)
	return n
}

// halfOpenFault is a peer that was there and is gone without a word.
func halfOpenFault(t *testing.T) *node.Node {
	n := open(t)
	near, far := wire.Pipe()
	go n.Sync(t.Context(), dialed{near})
	p := puppet{t: t, conn: far}
	p.drain()
	p.send(hello(merge.Origin{9}))
	for i := range 10 {
		time.Sleep(beat)
		p.send(&crdtsync.Ping{N: uint64(i)})
	}
	return n
}

func muteFault(t *testing.T) *node.Node {
	return dialing(t, func() (wire.Conn, error) {
		near, _ := wire.Pipe()
		return near, nil
	})
}

func deadFault(t *testing.T) *node.Node {
	n := open(t)
	near, far := wire.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	go n.Sync(ctx, &attempts{dial: func() (wire.Conn, error) { return near, nil }})
	time.Sleep(beat)
	far.Close("broken")
	t.Cleanup(cancel)
	return n
}

func stalledFault(t *testing.T) *node.Node {
	n := open(t)
	for i := range 2000 {
		mustUpdate(t, n.Space("s"), func(tx *node.Tx) error { return tags.Add(tx, strings.Repeat("x", 1000)+fmt.Sprint(i)) })
	}
	p := attach(t, n)
	p.send(hello(merge.Origin{9}), &crdtsync.Subscribe{Space: "s", Vector: &merge.VersionVector{}})
	go func() {
		for i := uint64(0); p.conn.Send(t.Context(), ping(t)) == nil; i++ {
			select {
			case <-time.After(beat):
			case <-t.Context().Done():
			}
		}
	}()
	return n
}

func selfFault(t *testing.T) *node.Node {
	n := open(t)
	go n.Sync(t.Context(), &dialer{n, t.Context(), nil})
	return n
}

func drainFault(t *testing.T) *node.Node {
	hub, n := openConfig(t, node.Config{Store: memstore.New(), Name: "hub"}), open(t)
	go n.Sync(t.Context(), &dialer{hub, t.Context(), nil})
	time.Sleep(beat)
	if err := hub.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	return n
}

func ownDrainFault(t *testing.T) *node.Node {
	n := open(t)
	if err := n.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	return n
}

func busyFault(t *testing.T) *node.Node {
	hub := openConfig(t, node.Config{Store: memstore.New(), MaxHandshakes: 1})
	for range 30 {
		attach(t, hub).drain()
	}
	synctest.Wait()
	n := open(t)
	go n.Sync(t.Context(), &dialer{hub, t.Context(), nil})
	return n
}

func queueFault(t *testing.T) *node.Node {
	hub := openConfig(t, node.Config{Store: memstore.New(), MaxInitialSyncs: 1})
	for i := range 12_000 {
		mustUpdate(t, hub.Space("s"), add(i))
	}
	attach(t, hub).send(hello(merge.Origin{9}), &crdtsync.Subscribe{Space: "s", Vector: &merge.VersionVector{}})
	synctest.Wait()
	n := open(t)
	go n.Sync(t.Context(), &dialer{hub, t.Context(), nil})
	return n
}

func storeFault(rule faultstore.Rule) func(*testing.T) *node.Node {
	return func(t *testing.T) *node.Node {
		disk := faultstore.Wrap(memstore.New())
		n := openConfig(t, node.Config{Store: disk})
		disk.Arm(rule)
		if err := n.Space("s").Update(t.Context(), add(1)); err == nil {
			t.Error("Update succeeds")
		}
		return n
	}
}

func fsyncFault(t *testing.T) *node.Node {
	m := meddle(memstore.New())
	n := openConfig(t, node.Config{Store: m})
	m.set(hooks{commit: always(fmt.Errorf("%w: EIO", store.ErrUncertain))})
	if err := n.Space("s").Update(t.Context(), add(1)); !errors.Is(err, store.ErrUncertain) {
		t.Errorf("Update = %v, want ErrUncertain", err)
	}
	return n
}

func damageFault(t *testing.T) *node.Node {
	m := meddle(memstore.New())
	n, peer := openConfig(t, node.Config{Store: m}), open(t)
	mustUpdate(t, peer.Space("s"), add(1))
	file := export(t, peer.Space("s"), node.Cut{})
	reads := 0
	m.set(hooks{op: func() error {
		if reads++; reads == 1 {
			return &store.CorruptError{Space: "s", Table: store.Cells, Offset: 77, Err: errors.New("checksum")}
		}
		return nil
	}})
	if _, err := n.Import(t.Context(), bytes.NewReader(file)); err != nil {
		t.Error(err)
	}
	return n
}

// futureFault returns a node, or its peer, whose clock is ten minutes ahead.
func futureFault(ahead bool) func(*testing.T) *node.Node {
	return func(t *testing.T) *node.Node {
		early := openConfig(t, node.Config{Store: memstore.New(), Now: func() time.Time { return time.Now().Add(10*time.Minute + 45*time.Second) }})
		n := open(t)
		mustUpdate(t, early.Space("s"), add(1))
		join(t, early, n)
		if ahead {
			return early
		}
		return n
	}
}

func clockBackFault(t *testing.T) *node.Node {
	var back atomic.Int64
	n := openConfig(t, node.Config{Store: memstore.New(), Now: func() time.Time { return time.Now().Add(-time.Duration(back.Load())) }})
	mustUpdate(t, n.Space("s"), add(1))
	back.Store(int64(time.Hour) + int64(2*beat))
	return n
}

func copyFault(t *testing.T) *node.Node {
	hub, clone := forked(t)
	join(t, clone, hub)
	return clone
}

func forkFault(t *testing.T) *node.Node {
	hub, clone := forked(t)
	_, _ = hub.Import(t.Context(), bytes.NewReader(export(t, clone.Space("s"), node.Cut{}))) // the status says what became of it
	return hub
}

// forked returns a hub that knows one branch, and the copy that wrote the other.
func forked(t *testing.T) (hub, clone *node.Node) {
	disk := new(memstore.Disk)
	a := openOn(t, disk)
	mustUpdate(t, a.Space("s"), add(1))
	clone, hub = openOn(t, disk.Clone()), open(t)
	mustUpdate(t, a.Space("s"), add(2))
	mustUpdate(t, clone.Space("s"), add(3))
	mustUpdate(t, clone.Space("s"), add(4))
	join(t, a, hub)
	synctest.Wait()
	return hub, clone
}

func unknownKindFault(t *testing.T) *node.Node {
	kinds := crdt.Builtin()
	delete(kinds, "gset")
	n, peer := openConfig(t, node.Config{Store: memstore.New(), Kinds: kinds}), open(t)
	mustUpdate(t, peer.Space("s"), func(tx *node.Tx) error { return paths.Add(tx, "a") })
	join(t, n, peer)
	return n
}

func missingFault(t *testing.T) *node.Node {
	from, n := open(t), open(t)
	mustUpdate(t, from.Space("s"), add(1))
	since := from.Space("s").Vector()
	mustUpdate(t, from.Space("s"), add(2))
	_, err := n.Import(t.Context(), bytes.NewReader(export(t, from.Space("s"), node.Cut{Since: since})))
	if !errors.Is(err, node.ErrIncomplete) {
		t.Errorf("Import = %v, want ErrIncomplete", err)
	}
	return n
}

// divergedFault is a peer that has applied the same and says it holds other
// cells.
func divergedFault(t *testing.T) *node.Node {
	n := open(t)
	mustUpdate(t, n.Space("s"), add(1))
	sum := n.Space("s").Summary()
	p := attach(t, n)
	p.drain()
	p.send(hello(merge.Origin{9}), &crdtsync.Frontier{Space: "s", Applied: sum.Applied, Cells: crdtsync.Fingerprint{1}, Changes: 1})
	return n
}
