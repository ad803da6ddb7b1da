package sync_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"github.com/joinery-crdt/joinery/hlc"
	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/wire"
)

// TestTranscript pins what two nodes say to each other, frame by frame: a first
// contact, a change in each direction, a lost frame, and a refusal.
func TestTranscript(t *testing.T) {
	var out strings.Builder
	net := newNetwork(t, seeded(1), someReplicas(t, 2, "notes")...)
	net.tap = func(d direction, frame []byte) {
		body, err := cbor.Diagnose(frame[2:])
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "%c > %c  %s %s\n", 'A'+d.from, 'A'+d.to, wire.Type(frame[0]), body)
	}
	step := func(title string, do func()) {
		fmt.Fprintf(&out, "# %s\n", title)
		do()
		net.settle()
		out.WriteByte('\n')
	}
	net.replicas[0].author("notes", put(t, "written before"))

	step("A and B connect; A has one change", func() { net.connect(0, 1) })
	step("a heartbeat", net.tick)
	step("B writes", func() { net.write(1, "notes", put(t, "from B")) })
	step("A writes, and the frame is lost", func() {
		net.write(0, "notes", put(t, "from A"))
		net.pump()
		clear(net.queues)
	})
	step("heartbeats, until B asks again", func() {
		for !net.level() {
			net.tick()
		}
	})
	net.replicas[0].limit = hlc.New(1, 0)
	step("B writes with a clock that is far ahead", func() {
		s := net.replicas[1].space("notes")
		st := s.Stage(s, 0)
		if _, err := st.Author(hlc.New(1_000_000, 0), []crdtsync.CellOp{put(t, "tomorrow")}); err != nil {
			t.Fatal(err)
		}
		net.moved(1, "notes", s.commit(st))
	})
	step("A shuts down", func() {
		net.send(direction{0, 1}, &crdtsync.Goodbye{Code: "shutdown", Reason: "see you"})
	})
	golden(t, "session.txt", out.String())
}
