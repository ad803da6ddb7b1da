package sync_test

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/wire"
)

// said counts what is said of a kind of Compare, and how many bytes that is.
type said struct{ frames, bytes [8]int }

// hear counts what is delivered from now on.
func (n *network) hear() *said {
	s := &said{}
	n.tap = func(_ direction, b []byte) {
		if f, err := wire.Decode(b); err == nil {
			if c, ok := f.(*crdtsync.Compare); ok {
				s.frames[c.What]++
				s.bytes[c.What] += len(b)
			}
		}
	}
	return s
}

// Of a stream no more is on its way than was allowed without being asked, however
// late the word comes that it was enough.
func TestStreamIsBounded(t *testing.T) {
	for how, symbols := range map[string]int{"12 cells lost": 256, "1,000 cells lost": 2048, "one cell altered": 0} {
		t.Run(how, func(t *testing.T) {
			net := auditPair(t, 10_000)
			want := maps.Clone(net.notes(0).cells)
			net.spoil(0, how, true)
			up, down := direction{0, 1}, direction{1, 0}
			net.do(up, net.links[up].Audit("notes"))
			net.deliver() // the question
			heard := net.hear()
			held := net.queues[up]
			for net.pump() {
				held = append(held, net.queues[up]...)
				net.queues[up] = nil // what who asks says then is slow
				for len(net.queues[down]) > 0 {
					net.deliver()
				}
			}
			streamed := heard.bytes[crdtsync.CompareStream] + heard.bytes[crdtsync.CompareSymbols]
			if limit := symbols * 12; streamed > limit || (symbols > 0) != (streamed > symbols*11/2) {
				t.Errorf("%d bytes of symbols came without being asked for, want at most %d, and half of it", streamed, limit)
			}
			net.queues[up] = append(held, net.queues[up]...)
			net.settle()
			if !maps.EqualFunc(net.notes(0).cells, want, slices.Equal) {
				t.Error("not repaired")
			}
		})
	}
}

// A peer that does not know streams is not asked for one and sends none.
func TestStreamNeedsBoth(t *testing.T) {
	for older := range 2 {
		net := auditPair(t, 3000)
		want := maps.Clone(net.notes(0).cells)
		net.older = func(at int) bool { return at == older }
		net.cut(0, 1)
		net.connect(0, 1)
		net.wantLevel("connected", 3)
		heard := net.hear()
		net.spoil(0, "500 cells altered", true)
		net.do(direction{0, 1}, net.links[direction{0, 1}].Audit("notes"))
		net.settle()
		f := heard.frames
		if f[crdtsync.CompareExpected]+f[crdtsync.CompareStream] > 0 || f[crdtsync.CompareDiffer] == 0 || f[crdtsync.CompareSymbols] == 0 {
			t.Errorf("older %d: said %v, want what older peers know", older, f)
		}
		if !maps.EqualFunc(net.notes(0).cells, want, slices.Equal) {
			t.Errorf("older %d: not repaired", older)
		}
	}
}

// Streams that lose, repeat and reorder their frames find what differs all the
// same, and so does one that begins without a word of the peer's.
func TestStreamOverBadLinks(t *testing.T) {
	streams := 0
	for seed := range uint64(24) {
		how := slices.Sorted(maps.Keys(spoils))[seed%uint64(len(spoils))]
		n := auditPair(t, 1000)
		want := maps.Clone(n.notes(0).cells)
		n.rng = rand.New(rand.NewPCG(seed, 9))
		n.loss, n.dup, n.reorder = 0.2, 0.1, 0.2
		n.spoil(int(seed/8)%2, how, true)
		heard := n.hear()
		n.wantRepaired(want, 400)
		streams += heard.frames[crdtsync.CompareStream]
		if err := n.anyEnd(); err != nil {
			t.Error(err)
		}
	}
	if streams < 5 {
		t.Errorf("%d streams in all", streams)
	}
}

// When a peer has lost everything, nobody decodes a sketch of all cells.
func TestNothingLeftToStream(t *testing.T) {
	net := auditPair(t, 10_000)
	net.spoil(1, "all cells lost", true)
	heard := net.hear()
	net.do(direction{0, 1}, net.links[direction{0, 1}].Audit("notes"))
	net.settle()
	if got := heard.bytes[crdtsync.CompareStream] + heard.bytes[crdtsync.CompareSymbols]; got > 0 || len(net.audited) != 1 || net.audited[0].Compared == 0 {
		t.Errorf("%d bytes of symbols, outcome %+v; want none, and cells compared", got, net.audited)
	}
}

// Cells that differ are said to differ until the peer has heard it, and are then
// compared once.
func TestDifferenceIsSaidUntilHeard(t *testing.T) {
	for at := range 2 {
		net := auditPair(t, 1000)
		want := maps.Clone(net.notes(0).cells)
		net.spoil(at, "12 cells lost", false)
		net.notes(at).scan()
		for _, d := range net.order {
			net.do(d, net.links[d].Tick())
		}
		clear(net.queues) // lost
		took := net.wantRepaired(want, 8)
		for range 8 {
			net.tick()
		}
		if len(net.audited) != 1 || net.audited[0].Asked {
			t.Errorf("damage at %d, repaired after %d ticks: %+v, want one comparison", at, took, net.audited)
		}
	}
}

// A hostile peer streams nonsense and says that there is no end to it: who asks
// takes as many symbols as could pay, compares ranges instead, and gives up on a
// peer that does not answer.
func TestHostileStream(t *testing.T) {
	net := auditPair(t, 200)
	net.spoil(0, "12 cells lost", true)
	up := direction{0, 1}
	link := net.links[up]
	net.do(up, link.Audit("notes"))
	asked := net.lastCompare(up)
	key := asked.Body[16:32]
	net.queues[up] = nil
	junk := rand.NewChaCha8([32]byte{1})
	symbols := func(n int) []byte { b := make([]byte, 11*n); _, _ = junk.Read(b); return b }
	r := link.Step(&crdtsync.Compare{Space: "notes", What: crdtsync.CompareStream, Body: append(binary.AppendUvarint(slices.Clone(key), 1<<60), symbols(16)...)})
	at := 16
	for ; len(r.Send) == 0 && at < 1<<17; at += 64 {
		r = link.Step(&crdtsync.Compare{Space: "notes", What: crdtsync.CompareSymbols, Body: append(binary.AppendUvarint(nil, uint64(at)), symbols(64)...)})
	}
	if q, ok := r.Send[0].(*crdtsync.Compare); !ok || q.What != crdtsync.CompareAskSums || at > 2048+64 {
		t.Fatalf("after %d symbols it says %+v, want a question about ranges after 2,048", at, r.Send)
	}
	for range 40 {
		net.audited = append(net.audited, link.Tick().Audited...)
	}
	if len(net.audited) != 1 || net.audited[0].Err != crdtsync.ErrNoAnswer {
		t.Errorf("outcomes %+v, want that there is no answer", net.audited)
	}
}

// lastCompare returns the last question in line in a direction.
func (n *network) lastCompare(d direction) *crdtsync.Compare {
	n.t.Helper()
	for _, b := range slices.Backward(n.queues[d]) {
		if f, err := wire.Decode(b); err == nil {
			if c, ok := f.(*crdtsync.Compare); ok {
				return c
			}
		}
	}
	n.t.Fatal("no question in line")
	return nil
}

// A stream under another key than that of the question is late, and ignored.
func TestStrangeStreamIsIgnored(t *testing.T) {
	net := auditPair(t, 2000)
	net.spoil(0, "500 cells altered", true)
	up := direction{0, 1}
	net.do(up, net.links[up].Audit("notes"))
	for _, f := range []*crdtsync.Compare{
		{Space: "notes", What: crdtsync.CompareStream, Body: make([]byte, 16+2+11*16)},
		{Space: "notes", What: crdtsync.CompareStream, Body: make([]byte, 9)},
		{Space: "notes", What: crdtsync.CompareDiffer, Body: make([]byte, 16+2+11*16)},
	} {
		if r := net.links[up].Step(f); len(r.Send)+len(r.Mend) > 0 {
			t.Errorf("%d: it says %+v, want nothing", f.What, r)
		}
	}
	c := net.costWhile(up, func() {})
	if c.control > 18_500 || len(net.audited) != 1 || net.audited[0].Err != nil {
		t.Errorf("%d bytes of control then, outcome %+v", c.control, net.audited)
	}
}

// A hostile peer that asks again and again, each time under another key, has the
// cells read a few times between two heartbeats.
func TestHostileQuestions(t *testing.T) {
	net := auditPair(t, 100)
	link := net.links[direction{1, 0}]
	scans := 0
	for i := range 50 {
		body := append(make([]byte, 32), fmt.Sprint(i)...)
		r := link.Step(&crdtsync.Compare{Space: "notes", What: crdtsync.CompareExpected, Body: body})
		scans += len(r.Scan)
		for range r.Scan {
			answer := link.Scanned("notes", net.notes(1).scan(), nil)
			if len(answer.Send) != 1 {
				t.Fatalf("answered with %+v", answer.Send)
			}
		}
	}
	if scans != 4 {
		t.Errorf("%d scans for 50 questions, want 4", scans)
	}
	link.Tick() // from which on it reads cells again
	for _, short := range []int{0, 15, 16, 32} {
		r := link.Step(&crdtsync.Compare{Space: "notes", What: crdtsync.CompareExpected, Body: make([]byte, short)})
		if len(r.Scan)+len(r.Send) > 0 {
			t.Errorf("a question of %d bytes, without a key and ranges, is answered with %+v", short, r)
		}
	}
}
