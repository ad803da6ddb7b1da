package sync_test

import (
	"maps"
	"slices"
	"testing"

	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/wire"
)

// auditCost is what an audit puts on the network.
type auditCost struct {
	control int // bytes of frames but for those of cells, of which it is what they ask for
	cells   int // bytes
	turns   int // round trips, as seen by who asks
}

// costOf runs an audit of one replica with the other and counts its frames as
// they are, headers included.
func (n *network) costOf(d direction) (c auditCost) {
	last := d.back()
	n.tap = func(dir direction, b []byte) {
		f, err := wire.Decode(b)
		if err != nil {
			n.t.Fatal(err)
		}
		switch f := f.(type) {
		case *crdtsync.Audit, *crdtsync.Audited, *crdtsync.Compare:
		case *crdtsync.Repair:
			for _, cell := range f.Cells {
				c.cells += len(cell)
			}
			b = f.Wanted // the rest of the frame goes with the cells
		default:
			return
		}
		if dir == d && last != d {
			c.turns++
		}
		last = dir
		c.control += len(b)
	}
	defer func() { n.tap = nil }()
	n.do(d, n.links[d].Audit("notes"))
	n.settle()
	return c
}

// all returns the bytes of all cells of a replica, which is what a full transfer takes.
func (s *replicaSpace) all() (n int) {
	for key, state := range s.cells {
		n += len(key) + len(state)
	}
	return n
}

// A comparison costs what the differences cost, not what the cells cost: goals
// 12 and 13 of the design, through two links, to the byte.
func TestAuditCosts(t *testing.T) {
	const n = 100_000
	net := auditPair(t, n)
	want := maps.Clone(net.notes(0).cells)
	for _, test := range []struct {
		name    string
		at      int // whose cells; the first asks
		damage  func(i int, s *replicaSpace, key string)
		control int // at most
		turns   int // at most
	}{
		{"nothing", 1, func(int, *replicaSpace, string) {}, 40, 1},
		{"1,000 cells lost", 1, func(i int, s *replicaSpace, key string) {
			if i%(n/1000) == 0 {
				delete(s.cells, key)
			}
		}, 18_500, 4},
		{"1,000 cells lost by who asks", 0, func(i int, s *replicaSpace, key string) {
			if i%(n/1000) == 0 {
				delete(s.cells, key)
			}
		}, 18_500, 4},
		{"500 cells altered", 1, func(i int, s *replicaSpace, key string) {
			if i%(n/500) == 0 {
				damages["altered"](s, key)
			}
		}, 18_500, 4},
		{"10,000 cells in a row altered", 1, func(i int, s *replicaSpace, key string) {
			if i >= 42_000 && i < 52_000 {
				damages["altered"](s, key)
			}
		}, 2000, 4},
		{"one cell altered", 0, func(i int, s *replicaSpace, key string) {
			if i == 12_345 {
				damages["altered"](s, key)
			}
		}, 700, 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := net.notes(test.at)
			net.audited = nil
			net.tick() // the peer reads its cells for others a few times a tick
			for i, key := range s.keys() {
				test.damage(i, s, key)
			}
			c := net.costOf(direction{0, 1})
			t.Logf("%s of %d: %d bytes of control, %d of cells, %d round trips; %+v; a full transfer takes %d bytes",
				test.name, n, c.control, c.cells, c.turns, net.audited, s.all())
			if c.control > test.control || c.turns > test.turns {
				t.Errorf("%d bytes in %d round trips, want at most %d in %d", c.control, c.turns, test.control, test.turns)
			}
			if !maps.EqualFunc(s.cells, want, slices.Equal) {
				t.Error("not repaired")
			}
		})
	}
}
