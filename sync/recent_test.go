package sync_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/joinery-crdt/joinery/merge"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

// reader is a peer that gets what an outbox gives and checks that it could
// apply it.
type reader struct {
	out *crdtsync.Outbox
	has *merge.VersionVector
}

// take takes a frame and wants each change to be the next of its origin.
func (p *reader) take(t *testing.T, from *replica) (batch [][]byte) {
	t.Helper()
	batch, err := p.out.Take(from, 512, 64<<10)
	if err != nil {
		t.Fatal(err)
	}
	for _, raw := range batch {
		c, err := crdtsync.DecodeChange(raw)
		if err != nil {
			t.Fatal(err)
		}
		if want := p.has.Get(c.Dot.Origin) + 1; c.Dot.Seq != want {
			t.Fatalf("sent %v, the next one is %d", c.Dot, want)
		}
		for _, d := range c.Deps {
			if !p.has.Contains(d) {
				t.Fatalf("%v was sent before %v, on which it depends", c.Dot, d)
			}
		}
		p.has.Raise(c.Dot)
	}
	return batch
}

// TestReadersOfWhatIsRemembered read at times of their own what many write,
// some of it having come from elsewhere: each is sent everything, once, in order.
func TestReadersOfWhatIsRemembered(t *testing.T) {
	const readers, steps, space = 5, 600, "s"
	r := rand.New(rand.NewPCG(1, 2))
	hub := newReplica(t, 2, space) // remembers
	writers := []*replica{hub, newReplica(t, 4, space), newReplica(t, 6, space)}
	var peers []*reader
	for range readers {
		known := &merge.VersionVector{}
		peers = append(peers, &reader{crdtsync.NewOutbox(space, known, nil), &merge.VersionVector{}})
	}
	for i := range steps {
		w := writers[r.IntN(len(writers))]
		w.author(space, register(t, i, r.IntN(3000)))
		if log := w.space(space).log; w != hub {
			hub.offer(space, log[len(log)-1])
		}
		if w = writers[r.IntN(len(writers))]; w != hub && i%7 == 0 { // catches up
			w.offer(space, hub.space(space).log...)
		}
		for d := range hub.Vector(space).Heads() {
			for _, p := range peers {
				p.out.Add(d)
			}
		}
		p := peers[r.IntN(readers)]
		p.take(t, hub)
		if i%100 == 0 { // it got everything elsewhere
			for d := range hub.Vector(space).Heads() {
				p.out.Skip(d)
				p.has.Raise(d)
			}
		}
	}
	if got := hub.Vector(space); got.Len() != len(writers) || hub.Summary(space).Changes != steps {
		t.Fatalf("the hub has %v, want all %d changes", got.Sorted(), steps)
	}
	for n, p := range peers {
		for p.out.Pending() {
			p.take(t, hub)
		}
		if !p.has.Equal(hub.Vector(space)) {
			t.Errorf("reader %d was sent %v of %v", n, p.has.Sorted(), hub.Vector(space).Sorted())
		}
	}
}

// TestLevelReadersAreSentTheSame slices: whoever encodes them does so once. That
// all was forgotten meanwhile does not change it.
func TestLevelReadersAreSentTheSame(t *testing.T) {
	hub := newReplica(t, 2, "s")
	hub.author("s", register(t, 0, 10))
	var peers []*reader
	for range 3 {
		peers = append(peers, &reader{crdtsync.NewOutbox("s", hub.Vector("s"), nil), hub.Vector("s")})
	}
	for i := range 20 {
		if i == 10 {
			hub.space("s").recent.Reset()
		}
		hub.author("s", register(t, i, 10))
		var sent [][][]byte
		for _, p := range peers {
			p.out.Add(dotOf(2, uint64(i+2)))
			sent = append(sent, p.take(t, hub))
			if p.out.Pending() {
				t.Error("something is pending when all was sent")
			}
		}
		if len(sent[0]) != 1 || !slices.ContainsFunc(sent, func(b [][]byte) bool { return &b[0] == &sent[0][0] }) || &sent[1][0] != &sent[2][0] {
			t.Errorf("readers were sent %d, %d and %d changes, or copies", len(sent[0]), len(sent[1]), len(sent[2]))
		}
	}
}

// TestPositionOfWhatIsRemembered has a space go on before the link hears of it: the
// position of a frame is that up to which the peer was sent everything.
func TestPositionOfWhatIsRemembered(t *testing.T) {
	const changes = 40 // are worth a frame
	hub, writer := newReplica(t, 2, "s"), newReplica(t, 4, "s")
	l := crdtsync.NewLink(crdtsync.LinkConfig{Origin: hub.origin}, hub)
	l.Step(helloOf(1))
	l.Step(&crdtsync.Subscribe{Space: "s", Vector: hub.Vector("s")})
	for i := range changes {
		writer.author("s", register(t, i, 10))
	}
	hub.offer("s", writer.space("s").log...)
	l.Moved("s", []merge.Dot{dotOf(4, changes)})
	hub.author("s", register(t, 9, 10)) // not told yet
	f, err := l.Next()
	if c, ok := f.(*crdtsync.Changes); err != nil || !ok || len(c.Changes) != changes || c.Position != changes {
		t.Fatalf("Next = %T, %v; want a frame of %d changes with that as position", f, err, changes)
	}
	l.Moved("s", []merge.Dot{dotOf(2, 1)})
	f, err = l.Next()
	if c, ok := f.(*crdtsync.Changes); err != nil || !ok || c.Position != changes+1 {
		t.Errorf("Next = %v, %v; want a frame with position %d", f, err, changes+1)
	}
}

// TestRecentIsBounded, and what it has forgotten is in the log.
func TestRecentIsBounded(t *testing.T) {
	hub := newReplica(t, 2, "s")
	behind := &reader{crdtsync.NewOutbox("s", &merge.VersionVector{}, nil), &merge.VersionVector{}}
	const changes = 100
	for i := range changes {
		hub.author("s", register(t, i, 20_000))
	}
	behind.out.Fill(hub)
	for behind.out.Pending() {
		behind.take(t, hub)
	}
	if got := behind.has.Get(originOf(2)); got != changes {
		t.Errorf("sent up to %d, want %d", got, changes)
	}
	if got := hub.space("s").recent.Bytes(); got == 0 || got > 256<<10 {
		t.Errorf("%d bytes are remembered, want some and at most 256 KiB", got)
	}
}
