package sync_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/hlc"
	"github.com/joinery-crdt/joinery/merge"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// linkOf returns a link of a replica with one space, and its other end, which
// has said hello.
func linkOf(t testing.TB, cfg crdtsync.LinkConfig) (*crdtsync.Link, *replica) {
	t.Helper()
	r := newReplica(t, 1, "s")
	cfg.Origin = r.origin
	l := crdtsync.NewLink(cfg, r)
	if r := l.Step(helloOf(2)); r.Err != nil {
		t.Fatal(r.Err)
	}
	return l, r
}

func helloOf(n int) *crdtsync.Hello {
	return &crdtsync.Hello{MinVersion: crdtsync.MinVersion, MaxVersion: crdtsync.Version, Origin: originOf(n), Name: "peer"}
}

// find returns the frames of one type.
func find[F crdtsync.Frame](frames []crdtsync.Frame) (out []F) {
	for _, f := range frames {
		if f, ok := f.(F); ok {
			out = append(out, f)
		}
	}
	return out
}

func wantGoodbye(t *testing.T, what string, r crdtsync.Ready, code string) {
	t.Helper()
	e, ok := errors.AsType[*crdtsync.GoodbyeError](r.Err)
	if !ok || e.Code != code || e.ByPeer || e.Reason == "" || !strings.Contains(e.Error(), code) {
		t.Errorf("%s: Err = %v, want a goodbye %q of this side", what, r.Err, code)
		return
	}
	said := find[*crdtsync.Goodbye](r.Send)
	if len(said) != 1 || *said[0] != e.Goodbye {
		t.Errorf("%s: said %v, want %v once", what, said, e.Goodbye)
	}
}

func TestHandshake(t *testing.T) {
	r := newReplica(t, 1, "s", "t")
	l := crdtsync.NewLink(crdtsync.LinkConfig{Origin: r.origin, Name: "me"}, r)
	if got := find[*crdtsync.Hello](l.Start()); len(got) != 1 || got[0].Origin != r.origin || got[0].Name != "me" || l.Peer() != nil {
		t.Errorf("Start = %+v, Peer = %v", got, l.Peer())
	}
	ready := l.Step(helloOf(2))
	if w := find[*crdtsync.Welcome](ready.Send); len(w) != 1 || w[0].Version != crdtsync.Version {
		t.Errorf("answered %v, want a Welcome of version %d", ready.Send, crdtsync.Version)
	}
	if s := find[*crdtsync.Subscribe](ready.Send); len(s) != 2 || s[0].Space != "s" || s[1].Space != "t" {
		t.Errorf("answered %v, want a Subscribe of each space", ready.Send)
	}
	if l.Peer() == nil || l.Peer().Name != "peer" {
		t.Errorf("Peer = %v", l.Peer())
	}
	again := l.Step(helloOf(2))
	if len(again.Send) != 1 || len(find[*crdtsync.Welcome](again.Send)) != 1 {
		t.Errorf("a repeated hello is answered %v, want a Welcome", again.Send)
	}
}

func TestHelloIsRepeated(t *testing.T) {
	r := newReplica(t, 1, "s")
	l := crdtsync.NewLink(crdtsync.LinkConfig{Origin: r.origin}, r)
	l.Start()
	if got := l.Tick().Send; len(find[*crdtsync.Hello](got)) != 1 || len(got) != 1 {
		t.Errorf("before the peer's hello a tick sends %v, want a hello", got)
	}
	l.Step(helloOf(2))
	if got := l.Tick().Send; len(find[*crdtsync.Hello](got)) != 1 {
		t.Errorf("before the peer's welcome a tick sends %v, want a hello", got)
	}
	l.Step(&crdtsync.Welcome{Version: 1})
	if got := l.Tick().Send; len(find[*crdtsync.Hello](got)) != 0 {
		t.Errorf("after the welcome a tick sends %v", got)
	}
}

// TestFramesBeforeHello hands over frames that overtook the hello.
func TestFramesBeforeHello(t *testing.T) {
	r := newReplica(t, 1, "s")
	l := crdtsync.NewLink(crdtsync.LinkConfig{Origin: r.origin}, r)
	c := newReplica(t, 2, "s").author("s", put(t, 1))
	for _, f := range []crdtsync.Frame{
		&crdtsync.Welcome{Version: 1}, &crdtsync.Ping{N: 1}, &crdtsync.Subscribe{Space: "s", Vector: &merge.VersionVector{}},
		&crdtsync.Changes{Space: "s", Changes: [][]byte{c.Bytes()}}, &crdtsync.Frontier{Space: "s"},
	} {
		if got := l.Step(f); got.Err != nil || len(got.Send)+len(got.Offer) != 0 {
			t.Errorf("%T before the hello: %+v, want nothing", f, got)
		}
	}
	if got := l.Moved("s", []merge.Dot{dotOf(1, 1)}); len(got.Send) != 0 {
		t.Errorf("Moved before the hello sends %v", got.Send)
	}
}

func TestVersions(t *testing.T) {
	for _, test := range []struct {
		min, max uint64
		version  uint64 // 0 for none
	}{
		{1, 1, 1},
		{1, 9, 1},
		{0, 1, 1},
		{2, 9, 0},
		{0, 0, 0},
	} {
		l := crdtsync.NewLink(crdtsync.LinkConfig{Origin: originOf(1)}, newReplica(t, 1))
		what := fmt.Sprintf("a peer of versions %d to %d", test.min, test.max)
		ready := l.Step(&crdtsync.Hello{MinVersion: test.min, MaxVersion: test.max, Origin: originOf(2)})
		if test.version == 0 {
			wantGoodbye(t, what, ready, "needs_upgrade")
			continue
		}
		if w := find[*crdtsync.Welcome](ready.Send); ready.Err != nil || len(w) != 1 || w[0].Version != test.version {
			t.Errorf("%s: %v, %v; want version %d", what, w, ready.Err, test.version)
		}
	}
}

func TestSelf(t *testing.T) {
	l := crdtsync.NewLink(crdtsync.LinkConfig{Origin: originOf(1)}, newReplica(t, 1))
	wantGoodbye(t, "a connection with oneself", l.Step(helloOf(1)), "self")
}

func TestGoodbye(t *testing.T) {
	for _, early := range []bool{true, false} {
		l := crdtsync.NewLink(crdtsync.LinkConfig{Origin: originOf(1)}, newReplica(t, 1))
		if !early {
			l.Step(helloOf(2))
		}
		r := l.Step(&crdtsync.Goodbye{Code: "shutdown", Reason: "nightly"})
		e, ok := errors.AsType[*crdtsync.GoodbyeError](r.Err)
		if !ok || !e.ByPeer || e.Code != "shutdown" || !strings.Contains(e.Error(), "nightly") || len(r.Send) != 0 {
			t.Errorf("a goodbye, before the hello: %v: %+v", early, r)
		}
	}
}

// TestGoaway: a link that is to come again later says so on both ends, and when.
func TestGoaway(t *testing.T) {
	away := crdtsync.Goaway{Code: "draining", After: 2500, Reason: "update"}
	for _, early := range []bool{true, false} {
		l := crdtsync.NewLink(crdtsync.LinkConfig{Origin: originOf(1)}, newReplica(t, 1))
		if !early {
			l.Step(helloOf(2))
		}
		r := l.Step(&away)
		e, ok := errors.AsType[*crdtsync.GoawayError](r.Err)
		if !ok || !e.ByPeer || e.Pause() != 2500*time.Millisecond || !strings.Contains(e.Error(), "update") || len(r.Send) != 0 {
			t.Errorf("a goaway, before the hello: %v: %+v", early, r)
		}
	}
	l, _ := linkOf(t, crdtsync.LinkConfig{})
	r := l.Goaway(away)
	if e, ok := errors.AsType[*crdtsync.GoawayError](r.Err); !ok || e.ByPeer || len(r.Send) != 1 {
		t.Errorf("Goaway = %+v, want the frame and the end", r)
	}
	long := crdtsync.GoawayError{Goaway: crdtsync.Goaway{After: math.MaxUint64}}
	if got := long.Pause(); got != time.Hour {
		t.Errorf("a pause of %v, want at most an hour", got)
	}
}

func TestQueued(t *testing.T) {
	l, _ := linkOf(t, crdtsync.LinkConfig{})
	for _, want := range []uint64{0, 7, 2, 0} {
		if r := l.Step(&crdtsync.Queued{Place: want}); r.Err != nil || len(r.Send) != 0 || l.Queued() != want {
			t.Errorf("place %d after %+v, want %d", l.Queued(), r, want)
		}
	}
}

func TestSilence(t *testing.T) {
	for _, silence := range []int{0, 1, 7} {
		l, _ := linkOf(t, crdtsync.LinkConfig{MaxSilence: silence})
		if silence == 0 {
			silence = 4 // the default
		}
		for range 3 {
			for n := range silence {
				if r := l.Tick(); r.Err != nil {
					t.Errorf("tick %d of %d: %v", n+1, silence, r.Err)
				}
			}
			l.Step(&crdtsync.Pong{})
		}
		for range silence {
			l.Tick()
		}
		if r := l.Tick(); !errors.Is(r.Err, crdtsync.ErrSilent) || len(r.Send) != 0 {
			t.Errorf("after %d ticks of silence: %+v, want ErrSilent", silence+1, r)
		}
	}
}

func TestPing(t *testing.T) {
	l, _ := linkOf(t, crdtsync.LinkConfig{})
	if got := find[*crdtsync.Pong](l.Step(&crdtsync.Ping{N: 77}).Send); len(got) != 1 || got[0].N != 77 {
		t.Errorf("a ping is answered %v, want the pong 77", got)
	}
	first, second := find[*crdtsync.Ping](l.Tick().Send), find[*crdtsync.Ping](l.Tick().Send)
	if len(first) != 1 || len(second) != 1 || first[0].N == second[0].N {
		t.Errorf("two ticks ping %v and %v, want different numbers", first, second)
	}
}

func TestProtocolBreaches(t *testing.T) {
	c := newReplica(t, 2, "s").author("s", put(t, 1))
	for name, f := range map[string]crdtsync.Frame{
		"undecodable change": &crdtsync.Changes{Space: "s", Changes: [][]byte{c.Bytes(), []byte("?")}},
		"unnamed space":      &crdtsync.Frontier{},
		"badly named space":  &crdtsync.Subscribed{Space: "\xff"},
		"long named space":   &crdtsync.Ack{Space: strings.Repeat("s", crdtsync.MaxSpace+1)},
		"one space too many": &crdtsync.Subscribe{Space: "fourth", Vector: &merge.VersionVector{}},
	} {
		l, _ := linkOf(t, crdtsync.LinkConfig{MaxSpaces: 3})
		for _, space := range []string{"second", "third"} {
			if r := l.Step(&crdtsync.Subscribe{Space: space, Vector: &merge.VersionVector{}}); r.Err != nil {
				t.Fatal(r.Err)
			}
		}
		wantGoodbye(t, name, l.Step(f), "protocol")
	}
}

// TestSpacesAppear lets a space come up on either side after the handshake.
func TestSpacesAppear(t *testing.T) {
	net := newNetwork(t, seeded(1), newReplica(t, 1), newReplica(t, 2, "other"))
	net.connect(0, 1)
	net.tick()
	net.write(0, "new here", put(t, 1))
	net.write(1, "new there", put(t, 2))
	for range 3 {
		net.tick()
	}
	net.wantLevel("spaces that appeared", 5)
	if got := len(net.links[direction{0, 1}].Report()); got != 3 {
		t.Errorf("%d spaces are in sync, want 3", got)
	}
}

// TestKnownChangesAreSkipped sends back old changes: they are not even offered.
func TestKnownChangesAreSkipped(t *testing.T) {
	l, r := linkOf(t, crdtsync.LinkConfig{})
	changes := chain(t, r, 3)
	f := &crdtsync.Changes{Space: "s"}
	for _, c := range changes {
		f.Changes = append(f.Changes, c.Bytes())
	}
	ready := l.Step(f)
	if len(ready.Offer) != 1 || ready.Offer[0].Change.Dot.Seq != 3 || ready.Offer[0].Space != "s" {
		t.Errorf("offered %d of 3 known changes, want the last, which shows a fork", len(ready.Offer))
	}
}

func TestDone(t *testing.T) {
	l, _ := linkOf(t, crdtsync.LinkConfig{})
	refused := func(kind error) error {
		return &crdtsync.RefusedError{Dot: dotOf(2, 9), Kind: kind, Reason: "because"}
	}
	r := l.Done("s", []merge.Dot{dotOf(2, 3)}, []error{refused(crdtsync.ErrForked), refused(crdtsync.ErrFuture), refused(crdtsync.ErrRejected)})
	acks, nacks := find[*crdtsync.Ack](r.Send), find[*crdtsync.Nack](r.Send)
	if len(acks) != 1 || acks[0].Space != "s" || len(acks[0].Heads) != 1 || acks[0].Heads[0] != dotOf(2, 3) {
		t.Errorf("acknowledged %+v", acks)
	}
	for i, code := range []string{"forked", "future", "rejected"} {
		if len(nacks) != 3 || nacks[i].Dot != dotOf(2, 9) || nacks[i].Code != code || nacks[i].Class != crdtsync.ClassOf(code) || nacks[i].Reason != "because" || nacks[i].Hint == "" {
			t.Errorf("refused %+v, want the code %s at %d", nacks, code, i)
		}
	}
	early := &crdtsync.EarlyError{Dot: dotOf(2, 9), Missing: dotOf(2, 8), Kept: true}
	if r := l.Done("s", nil, []error{early}); len(r.Send) != 0 {
		t.Errorf("nothing applied and nothing refused sends %v", r.Send)
	}
	if r := l.Step(&crdtsync.Nack{Space: "s", Dot: dotOf(1, 1), Code: "future"}); len(r.Refused) != 1 {
		t.Errorf("a Nack is passed on %d times, want once", len(r.Refused))
	}
}

// TestAcksCount reads Missing while acknowledgements come in.
func TestAcksCount(t *testing.T) {
	l, r := linkOf(t, crdtsync.LinkConfig{})
	chain(t, r, 5)
	l.Step(&crdtsync.Subscribe{Space: "s", Vector: merge.VectorOf(dotOf(1, 1))})
	for _, test := range []struct {
		ack  merge.Dot
		want uint64
	}{{dotOf(1, 1), 4}, {dotOf(1, 3), 2}, {dotOf(1, 2), 2}, {dotOf(7, 9), 2}, {dotOf(1, 5), 0}} {
		l.Step(&crdtsync.Ack{Space: "s", Heads: []merge.Dot{test.ack}})
		if got := l.Report(); len(got) != 1 || got[0].Missing != test.want || got[0].Name != "s" {
			t.Errorf("after %v: %+v, want %d missing", test.ack, got, test.want)
		}
	}
}

func TestSubscribedSaysHowMany(t *testing.T) {
	l, r := linkOf(t, crdtsync.LinkConfig{})
	chain(t, r, 5)
	for has, want := range []uint64{5, 4, 3, 2, 1, 0} {
		got := find[*crdtsync.Subscribed](l.Step(&crdtsync.Subscribe{Space: "s", Vector: merge.VectorOf(dotOf(1, uint64(has)), dotOf(8, 8))}).Send)
		if len(got) != 1 || got[0].Changes != want || got[0].Space != "s" {
			t.Errorf("to a peer that has %d of 5 it says %+v, want %d", has, got, want)
		}
	}
}

func TestDivergence(t *testing.T) {
	l, r := linkOf(t, crdtsync.LinkConfig{})
	chain(t, r, 2)
	mine := r.Summary("s")
	other := crdtsync.Fingerprint{1}
	for name, test := range map[string]struct {
		f    crdtsync.Frontier
		want bool
	}{
		"same":              {crdtsync.Frontier{Applied: mine.Applied, Cells: mine.Cells}, false},
		"other cells":       {crdtsync.Frontier{Applied: mine.Applied, Cells: other}, true},
		"other vector":      {crdtsync.Frontier{Applied: other, Cells: other}, false},
		"peer cannot read":  {crdtsync.Frontier{Applied: mine.Applied, Cells: other, Unread: 1}, false},
		"other vector only": {crdtsync.Frontier{Applied: other, Cells: mine.Cells}, false},
	} {
		test.f.Space = "s"
		if got := l.Step(&test.f).Diverged; (len(got) == 1 && got[0] == "s") != test.want || len(got) > 1 {
			t.Errorf("%s: Diverged = %v, want it: %v", name, got, test.want)
		}
	}
	delete(r.kinds, "gset")
	r.author("s", put(t, "unread here"))
	mine = r.Summary("s")
	if got := l.Step(&crdtsync.Frontier{Space: "s", Applied: mine.Applied, Cells: other}).Diverged; len(got) != 0 {
		t.Errorf("this node cannot read all: Diverged = %v", got)
	}
}

// TestRefusedChangeAndOthers lets a peer refuse one change of many. All others
// arrive, the sender is told why, and the refused one is not sent again and
// again.
func TestRefusedChangeAndOthers(t *testing.T) {
	const ticks = 300
	net := newNetwork(t, seeded(1), someReplicas(t, 3, "s", "t")...)
	net.connect(0, 1)
	net.connect(1, 2)
	net.tick()
	net.replicas[1].limit = hlc.New(1, 0)
	net.write(0, "s", put(t, "good"))
	st := net.replicas[0].space("s").Stage(net.replicas[0].space("s"), 0)
	ahead, err := st.Author(hlc.New(2, 0), []crdtsync.CellOp{put(t, "ahead")})
	if err != nil {
		t.Fatal(err)
	}
	net.moved(0, "s", net.replicas[0].space("s").commit(st))
	net.write(0, "s", put(t, "behind it"))
	net.write(0, "t", put(t, "another space"))
	net.write(2, "s", put(t, "another origin"))
	for range ticks {
		net.tick()
	}
	if got := net.replicas[1].Vector("s"); got.Get(originOf(1)) != 1 || got.Get(originOf(3)) != 1 || net.replicas[1].Head("t", originOf(1)) != 1 {
		t.Errorf("beside the refused change only %v was applied", got.Sorted())
	}
	told := net.refused[direction{0, 1}]
	if len(told) == 0 || told[0].Dot != ahead.Dot || told[0].Code != "future" || !strings.Contains(told[0].Reason, "clock") {
		t.Errorf("the writer was told %v", told)
	}
	if got := net.times(direction{0, 1})[ahead.Dot]; got > 12 {
		t.Errorf("in %d ticks the refused change was sent %d times", ticks, got)
	}
	net.replicas[1].limit = 0
	net.wantLevel("once the change is accepted", 70)
	net.write(0, "s", put(t, "to be lost"))
	net.pump()
	clear(net.queues)
	net.wantLevel("a lost frame later", 8)
}

// TestUnknownKindIsRelayed puts a node that knows no sets between two that do.
func TestUnknownKindIsRelayed(t *testing.T) {
	net := newNetwork(t, seeded(2), someReplicas(t, 3, "s")...)
	net.replicas[1].kinds = crdt.NewKinds(crdt.LWWKind)
	net.replicas[1].spaces = make(map[string]*replicaSpace)
	net.connect(0, 1)
	net.connect(1, 2)
	for n := range 10 {
		net.write(n%2*2, "s", put(t, n), register(t, n, 5))
	}
	for range 5 {
		net.tick()
	}
	if !net.level() {
		t.Errorf("not level: %s", net.reports())
	}
	if got := net.replicas[1].Summary("s").Unread; got != 10 {
		t.Errorf("%d ops unread in the middle, want 10", got)
	}
	wantSame(t, "behind it", net.replicas[2].space("s"), net.replicas[0].space("s"))
}

// TestAckedMeanwhile acknowledges changes that are in line to be sent: the peer
// got them elsewhere.
func TestAckedMeanwhile(t *testing.T) {
	l, r := linkOf(t, crdtsync.LinkConfig{})
	for n := range 10 {
		r.author("s", register(t, n, 60_000))
	}
	l.Step(&crdtsync.Subscribe{Space: "s", Vector: &merge.VersionVector{}})
	for _, want := range []uint64{1, 2, 8, 9, 10} {
		f, err := l.Next()
		if err != nil || f == nil {
			t.Fatalf("Next = %v, %v; want change %d", f, err, want)
		}
		changes := f.(*crdtsync.Changes).Changes
		if h, err := crdtsync.ReadHeader(changes[0]); err != nil || h.Dot.Seq != want || len(changes) != 1 {
			t.Errorf("sent %d changes from %v on, want %d alone", len(changes), h.Dot, want)
		}
		if want == 2 {
			l.Step(&crdtsync.Ack{Space: "s", Heads: []merge.Dot{dotOf(1, 7)}})
		}
	}
	if f, err := l.Next(); f != nil || err != nil {
		t.Errorf("Next at the end = %v, %v", f, err)
	}
}

// TestNextPassesErrorsOn reads a log that has lost a change.
func TestNextPassesErrorsOn(t *testing.T) {
	l, r := linkOf(t, crdtsync.LinkConfig{})
	chain(t, r, 3)
	delete(r.space("s").at, dotOf(1, 2))
	l.Step(&crdtsync.Subscribe{Space: "s", Vector: &merge.VersionVector{}})
	if f, err := l.Next(); err == nil {
		t.Errorf("Next = %v from a log with a hole", f)
	}
}
