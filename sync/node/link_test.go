package node_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/memstore"
	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/node"
	"github.com/joinery-crdt/joinery/sync/wire"
)

// puppet is the far end of a link, moved by the test.
type puppet struct {
	t    *testing.T
	conn wire.Conn
	done chan error // receives what Serve returns
}

// attach connects a puppet to the node.
func attach(t *testing.T, n *node.Node) *puppet {
	t.Helper()
	near, far := wire.Pipe()
	p := &puppet{t, far, make(chan error, 1)}
	go func() { p.done <- n.Serve(t.Context(), near) }()
	return p
}

func (p *puppet) send(frames ...crdtsync.Frame) {
	p.t.Helper()
	for _, f := range frames {
		b, err := wire.Append(nil, f)
		if err != nil {
			p.t.Fatal(err)
		}
		if err := p.conn.Send(p.t.Context(), b); err != nil {
			p.t.Fatal(err)
		}
	}
}

// hear reads until a frame of type F comes.
func hear[F crdtsync.Frame](p *puppet) F {
	p.t.Helper()
	for {
		b, err := p.conn.Recv(p.t.Context())
		if err != nil {
			p.t.Fatal(err)
		}
		f, err := wire.Decode(b)
		if err != nil {
			p.t.Fatal(err)
		}
		if f, ok := f.(F); ok {
			return f
		}
	}
}

// drain reads and forgets what the node sends.
func (p *puppet) drain() {
	go func() {
		for {
			if _, err := p.conn.Recv(p.t.Context()); err != nil {
				return
			}
		}
	}()
}

func hello(o merge.Origin) *crdtsync.Hello {
	return &crdtsync.Hello{MinVersion: crdtsync.MinVersion, MaxVersion: crdtsync.Version, Origin: o, Name: "puppet"}
}

// checkEqual compares the spaces of nodes byte for byte.
func checkEqual(t *testing.T, space string, nodes ...*node.Node) {
	t.Helper()
	dump := func(n *node.Node) string {
		var b strings.Builder
		err := n.Store().View(t.Context(), func(r store.Reader) error {
			for rec, err := range r.Scan(space, store.Cells, store.Range{}) {
				if err != nil {
					return err
				}
				fmt.Fprintf(&b, "%x=%x\n", rec.Key, rec.Value)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	want := nodes[0].Space(space)
	for _, n := range nodes {
		if got := n.Space(space); !got.Vector().Equal(want.Vector()) || dump(n) != dump(nodes[0]) {
			t.Errorf("%q: nodes hold %d and %d changes, or other bytes", space, got.Summary().Changes, want.Summary().Changes)
		}
		checkSound(t, n, space)
	}
}

func TestChangesAreForwarded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		line := []*node.Node{open(t), open(t), open(t), open(t)}
		for i, n := range line {
			mustUpdate(t, n.Space("s"), add(i))
			mustUpdate(t, n.Space(fmt.Sprint("of", i)), add(i))
		}
		for i := range line[1:] {
			join(t, line[i], line[i+1])
		}
		synctest.Wait()
		for i, n := range line {
			mustUpdate(t, n.Space("s"), add(100+i))
			mustUpdate(t, n.Space("late"), add(100+i))
		}
		synctest.Wait()
		for _, space := range []string{"s", "late", "of0", "of1", "of2", "of3"} {
			checkEqual(t, space, line...)
		}
		if got := len(idsOf(t, line[0].Space("s"))); got != 2*len(line) {
			t.Errorf("%d elements, want %d", got, 2*len(line))
		}
		time.Sleep(10 * time.Second)
		for _, n := range line {
			st := n.Status()
			if len(st.Problems) != 0 {
				t.Errorf("problems %+v", st.Problems)
			}
			for _, p := range st.Peers {
				for _, s := range p.Spaces {
					if !s.Level || s.Missing != 0 {
						t.Errorf("%s at %s: %+v, want level", s.Name, p.Origin, s)
					}
				}
			}
		}
	})
}

// brittle is a connection that breaks after some frames.
type brittle struct {
	wire.Conn
	left atomic.Int64
}

func (b *brittle) Send(ctx context.Context, frame []byte) error {
	if b.left.Add(-1) < 0 {
		b.Close("broken")
	}
	return b.Conn.Send(ctx, frame)
}

// dialer dials a node in this process.
type dialer struct {
	to   *node.Node
	ctx  context.Context
	wrap func(wire.Conn) wire.Conn
}

func (d *dialer) String() string { return "pipe" }

func (d *dialer) Dial(context.Context) (wire.Conn, error) {
	near, far := wire.Pipe()
	go d.to.Serve(d.ctx, far)
	if d.wrap != nil {
		near = d.wrap(near)
	}
	return near, nil
}

// TestBrokenConnections syncs much over connections that break after ever more
// frames: everything arrives, each change once.
func TestBrokenConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := open(t), open(t)
		const changes = 3000
		for i := range changes {
			mustUpdate(t, a.Space("s"), add(i))
			mustUpdate(t, b.Space("s"), add(-1-i))
		}
		events := take(t, b.Space("s"))
		frames := int64(1)
		go a.Sync(t.Context(), &dialer{b, t.Context(), func(c wire.Conn) wire.Conn {
			x := &brittle{Conn: c}
			x.left.Store(frames)
			frames++
			return x
		}})
		time.Sleep(time.Hour)
		checkEqual(t, "s", a, b)
		if got := len(idsOf(t, a.Space("s"))); got != 2*changes {
			t.Errorf("%d elements, want %d", got, 2*changes)
		}
		b.Close()
		seen := make(map[merge.Dot]bool)
		for _, ev := range events() {
			if seen[ev.Dot] {
				t.Errorf("%s was applied twice", ev.Dot)
			}
			seen[ev.Dot] = true
		}
		if len(seen) != changes {
			t.Errorf("%d changes applied, want %d", len(seen), changes)
		}
		if frames < 3 {
			t.Errorf("%d connections, want several", frames)
		}
	})
}

func TestGarbageEndsItsLinkOnly(t *testing.T) {
	frame := func(f crdtsync.Frame) []byte {
		b, err := wire.Append(nil, f)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	other := merge.Origin{9}
	for name, garbage := range map[string][]byte{
		"noise":            []byte("GET / HTTP/1.1\r\n\r\n"),
		"nothing":          {},
		"cut frame":        frame(hello(other))[:20],
		"malformed change": frame(&crdtsync.Changes{Space: "s", Changes: [][]byte{[]byte("change")}}),
		"huge frame":       make([]byte, wire.MaxFrame),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, friend := open(t), open(t)
				join(t, n, friend)
				p := attach(t, n)
				p.send(hello(other))
				hear[*crdtsync.Welcome](p)
				if err := p.conn.Send(t.Context(), garbage); err != nil {
					t.Fatal(err)
				}
				p.drain()
				if err := <-p.done; err == nil {
					t.Error("Serve = nil, want what is wrong")
				}
				mustUpdate(t, n.Space("s"), add(1))
				synctest.Wait()
				checkEqual(t, "s", n, friend)
			})
		})
	}
}

// TestPeerThatDoesNotRead holds a connection open and reads nothing: others
// flow, the node keeps little for it, and gives it up.
func TestPeerThatDoesNotRead(t *testing.T) {
	for _, talks := range []bool{false, true} {
		t.Run(fmt.Sprint("talks=", talks), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, friend := open(t), open(t)
				for i := range 2000 {
					mustUpdate(t, n.Space("s"), add(i))
				}
				p := attach(t, n)
				p.send(hello(merge.Origin{9}), &crdtsync.Subscribe{Space: "s", Vector: &merge.VersionVector{}})
				synctest.Wait()
				join(t, n, friend)
				synctest.Wait()
				checkEqual(t, "s", n, friend)
				mustUpdate(t, n.Space("s"), add(-1))
				synctest.Wait()
				checkEqual(t, "s", n, friend)
				pings := 0
				for talks && p.conn.Send(t.Context(), ping(t)) == nil {
					pings++
					time.Sleep(time.Millisecond)
				}
				err := <-p.done
				if !errors.Is(err, crdtsync.ErrSilent) {
					t.Errorf("Serve = %v, want ErrSilent", err)
				}
				if pings > 10_000 {
					t.Errorf("%d answers were kept for a peer that does not read", pings)
				}
				checkEqual(t, "s", n, friend)
			})
		})
	}
}

func ping(t *testing.T) []byte {
	b, err := wire.Append(nil, &crdtsync.Ping{N: 1})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestHelloTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := open(t)
		mustUpdate(t, n.Space("s"), add(1))
		p := attach(t, n)
		nonce := hear[*crdtsync.Hello](p).Nonce
		p.send(hello(merge.Origin{9}), hello(merge.Origin{9}))
		hear[*crdtsync.Welcome](p)
		hear[*crdtsync.Welcome](p)
		p.send(&crdtsync.Subscribe{Space: "s", Vector: &merge.VersionVector{}})
		if got := hear[*crdtsync.Changes](p); len(got.Changes) != 1 {
			t.Errorf("%d changes, want 1", len(got.Changes))
		}
		self := hello(n.Origin())
		self.Nonce = nonce
		p.send(self)
		if got := hear[*crdtsync.Goodbye](p); got.Code != "self" {
			t.Errorf("goodbye %+v, want self", got)
		}
		<-p.done
	})
}

// TestGoodbyeIsFatalOnBothEnds meets a peer with which trying again cannot
// help, again and again: whoever says goodbye first, both leave it alone and say
// why.
func TestGoodbyeIsFatalOnBothEnds(t *testing.T) {
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			n := open(t)
			p := attach(t, n)
			p.send(&crdtsync.Hello{MinVersion: 90, MaxVersion: 91, Origin: merge.Origin{9}})
			if got := hear[*crdtsync.Goodbye](p); got.Code != "needs_upgrade" || !strings.Contains(got.Reason, "90 to 91") {
				t.Errorf("goodbye %+v, want needs_upgrade", got)
			}
			checkGoodbye(t, <-p.done, "needs_upgrade", false)

			near, far := wire.Pipe()
			go n.Sync(t.Context(), dialed{near})
			b, err := wire.Append(nil, &crdtsync.Goodbye{Code: "needs_upgrade", Reason: "old"})
			if err != nil {
				t.Fatal(err)
			}
			far.Send(t.Context(), b)
			far.Close("old")
			synctest.Wait()
			checkRefused(t, n, "needs_upgrade")

			alone := open(t)
			near, far = wire.Pipe()
			go alone.Sync(t.Context(), dialed{near})
			go alone.Serve(t.Context(), far)
			synctest.Wait()
			checkRefused(t, alone, "self")
			if took := time.Since(began); took != 0 {
				t.Errorf("the links took %v to end once all was said", took)
			}
		})
	}
}

// dialed is a dialer of a connection that is there.
type dialed struct{ conn wire.Conn }

func (d dialed) Dial(context.Context) (wire.Conn, error) { return d.conn, nil }
func (d dialed) String() string                          { return "dialed" }

// checkRefused wants the one peer of a node left alone, for that reason.
func checkRefused(t *testing.T, n *node.Node, code string) {
	t.Helper()
	st := n.Status()
	if len(st.Peers) != 1 || st.Peers[0].State != "refused" || st.Peers[0].Next.Before(time.Now().Add(10*time.Minute)) {
		t.Errorf("peers = %+v, want one that is left alone for long", st.Peers)
	}
	if len(st.Problems) != 1 || st.Problems[0].Code != code || st.Problems[0].Action == "" {
		t.Errorf("problems = %+v, want %s and what to do", st.Problems, code)
	}
}

func checkGoodbye(t *testing.T, err error, code string, byPeer bool) {
	t.Helper()
	if e, ok := errors.AsType[*crdtsync.GoodbyeError](err); !ok || e.Code != code || e.ByPeer != byPeer {
		t.Errorf("the link ended with %v, want goodbye %s, by the peer: %v", err, code, byPeer)
	}
}

// TestManySpaces links nodes that each have more spaces than control frames may
// wait: neither takes the other for one that does not read.
func TestManySpaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// They sign nothing: 9,000 signatures take most of the time otherwise.
		a, b := openConfig(t, node.Config{Store: memstore.New(), NewOrigin: origin(1)}), openConfig(t, node.Config{Store: memstore.New(), NewOrigin: origin(2)})
		const spaces = 4500 // of each
		var wg sync.WaitGroup
		for i := range spaces {
			wg.Go(func() { mustUpdate(t, a.Space(fmt.Sprint("a", i)), add(i)) })
			wg.Go(func() { mustUpdate(t, b.Space(fmt.Sprint("b", i)), add(i)) })
		}
		wg.Wait()
		x, y := wire.Pipe()
		ended := make(chan error, 2)
		go func() { ended <- a.Serve(t.Context(), x) }()
		go func() { ended <- b.Serve(t.Context(), y) }()
		time.Sleep(10 * time.Second)
		select {
		case err := <-ended:
			t.Fatalf("the link ended: %v", err)
		default:
		}
		for _, n := range []*node.Node{a, b} {
			if got := len(n.Spaces()); got != 2*spaces {
				t.Errorf("%d spaces, want %d", got, 2*spaces)
			}
		}
	})
}

// TestNamesOfAPeerCostNothing subscribes to spaces that do not exist.
func TestNamesOfAPeerCostNothing(t *testing.T) {
	n := open(t)
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	const links, names = 3, 9000
	for l := range links {
		p := attach(t, n)
		p.drain()
		p.send(hello(merge.Origin{9}))
		for i := range names {
			p.send(&crdtsync.Subscribe{Space: fmt.Sprint("no such space ", l, " ", i), Vector: &merge.VersionVector{}})
		}
		p.conn.Close("done")
		<-p.done
	}
	if grown := int64(heap()) - int64(before); grown > 2<<20 {
		t.Errorf("%d names of spaces cost %d bytes", links*names, grown)
	}
}
