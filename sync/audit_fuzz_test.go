package sync_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/joinery-crdt/joinery/crdt"
	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/recon"
)

// FuzzAuditFrames has a peer say anything in the middle of a comparison, to the
// side that asks and to the side that answers. Neither falls over, and what a log
// gives is what its node holds in the end.
func FuzzAuditFrames(f *testing.F) {
	f.Add(uint8(1), uint8(1), []byte("0123456789abcdef\x00\x00"))
	f.Add(uint8(2), uint8(2), []byte{0, 0x80, 0x10})
	f.Add(uint8(3), uint8(3), []byte{16, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11})
	f.Add(uint8(4), uint8(4), []byte{1, 3, 0, 0})
	f.Add(uint8(2), uint8(5), []byte{1, 1, 2, 3, 4, 5, 6, 7, 8})
	f.Add(uint8(5), uint8(0x12), []byte{2, 9, 1, 1, 1})
	f.Add(uint8(6), uint8(0x24), []byte{1, 3, 0, 1, 'a'})
	f.Add(uint8(6), uint8(0x24), append([]byte{3}, recon.AppendNumbers(nil, 10, []uint64{1, 5, 900})...))
	f.Add(uint8(0), uint8(6), []byte("digest of 16 bytkey of 16 bytes \x03\x05\x00\x0012345678"))
	f.Add(uint8(1), uint8(0x87), []byte{16, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11})
	f.Add(uint8(1), uint8(0x81), []byte{3, 5, 0, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8})
	f.Fuzz(func(t *testing.T, rounds, what uint8, body []byte) {
		n := auditPair(t, 40)
		want := maps.Clone(n.notes(0).cells)
		for i, key := range n.notes(1).keys() {
			if i%3 == 0 {
				n.notes(1).cells[key] = []byte{0xee}
			}
		}
		expected := what&0x80 > 0
		if expected {
			n.notes(1).scan()
			n.do(direction{1, 0}, n.links[direction{1, 0}].Tick())
			n.settle()
		}
		n.do(direction{0, 1}, n.links[direction{0, 1}].Audit("notes"))
		if expected { // the peer knows the key of the question
			body = append(slices.Clone(n.lastCompare(direction{0, 1}).Body[16:32]), body...)
		}
		for range rounds % 16 {
			if !n.pump() && !n.deliver() {
				break
			}
			n.deliver()
		}
		for _, d := range n.order {
			for _, frame := range hostile(n, what, body) {
				n.do(d, n.links[d].Step(frame))
			}
		}
		n.settle()
		for at := range 2 {
			for key := range want {
				if got := n.notes(at).cells[key]; at == 0 && !slices.Equal(got, want[key]) {
					t.Fatalf("a cell is %x, and its log gives %x", got, want[key])
				}
			}
		}
	})
}

// hostile returns frames that carry body.
func hostile(n *network, what uint8, body []byte) []crdtsync.Frame {
	key, _ := crdtsync.CellKey{Object: "tags", Kind: crdt.ORSetKind.Name(), Element: "\x6800000003"}.AppendBinary(nil)
	cell := crdtsync.MendCell{Key: key, State: body, Proved: what&1 == 1}
	b, _ := cell.AppendBinary(nil) // never fails
	return []crdtsync.Frame{
		&crdtsync.Compare{Space: "notes", What: uint64(what & 7), Body: body},
		&crdtsync.Repair{Space: "notes", Applied: n.notes(0).Summary().Applied, Stage: uint64(what >> 4), Wanted: body, Cells: [][]byte{b}},
	}
}
