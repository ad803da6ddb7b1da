package sync_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/wire"
)

// auditCost is what an audit puts on the network.
type auditCost struct {
	control  int // bytes of frames but for those of cells, of which it is what they ask for
	cells    int // bytes
	searches int // round trips until who asks knows what differs, as it sees them
	repairs  int // round trips in which cells are exchanged
}

// costOf runs an audit of one replica with the other and counts its frames as
// they are, headers included.
func (n *network) costOf(d direction) auditCost {
	return n.costWhile(d, func() { n.do(d, n.links[d].Audit("notes")) })
}

// costWhile counts the audit that begins in direction d when do is called. A
// round trip begins with what who asks says after it was answered, or first.
func (n *network) costWhile(d direction, do func()) (c auditCost) {
	answered, trip := true, new(int)
	n.tap = func(dir direction, b []byte) {
		f, err := wire.Decode(b)
		if err != nil {
			n.t.Fatal(err)
		}
		kind := &c.searches
		switch f := f.(type) {
		case *crdtsync.Audit, *crdtsync.Audited:
		case *crdtsync.Compare:
			if f.What == crdtsync.CompareAskSymbols && f.Body[1] == 0 {
				kind = nil // says that it was enough, with the cells
			}
		case *crdtsync.Repair:
			for _, cell := range f.Cells {
				c.cells += len(cell)
			}
			b, kind = f.Wanted, &c.repairs // the rest of the frame goes with the cells
		default:
			return
		}
		if dir == d && kind != nil && (answered || kind != trip) {
			*kind++
			trip = kind
		}
		if kind != nil {
			answered = dir != d
		}
		c.control += len(b)
	}
	defer func() { n.tap = nil }()
	do()
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

// spoils are ways in which the cells of a replica come to differ from another's:
// i is which of n cells it is.
var spoils = map[string]func(i, n int, s *replicaSpace, key string){
	"nothing":             func(int, int, *replicaSpace, string) {},
	"one cell altered":    every(1, "altered"),
	"12 cells lost":       every(12, "lost"),
	"1,000 cells lost":    every(1000, "lost"),
	"1,000 cells made up": every(1000, "made up"),
	"500 cells altered":   every(500, "altered"),
	"all cells lost":      func(_, _ int, s *replicaSpace, key string) { delete(s.cells, key) },
	"10,000 cells in a row altered": func(i, n int, s *replicaSpace, key string) {
		if i >= n/2-8000 && i < n/2+2000 {
			damages["altered"](s, key)
		}
	},
}

func every(count int, damage string) func(i, n int, s *replicaSpace, key string) {
	return func(i, n int, s *replicaSpace, key string) {
		if i%(n/count) == n/count/2 {
			damages[damage](s, key)
		}
	}
}

// spoil makes the cells of a replica differ. If that is to be known, it notices,
// and if it is not the one who asks says so with a heartbeat.
func (n *network) spoil(at int, how string, known bool) {
	s := n.notes(at)
	keys := s.keys()
	for i, key := range keys {
		spoils[how](i, len(keys), s, key)
	}
	if known {
		s.scan()
	}
	if d := (direction{1, 0}); known && at == d.from {
		n.do(d, n.links[d].Tick())
		n.settle()
	}
}

// A comparison costs what the differences cost, not what the cells cost: goals
// 12 and 13 of the design, through two links, to the byte. Who asks learns what
// differs in one round trip if it knew that something does.
func TestAuditCosts(t *testing.T) {
	net := auditPair(t, 64_000)
	want := maps.Clone(net.notes(0).cells)
	for _, test := range []struct {
		name     string
		known    bool // that cells differ
		control  int  // at most
		searches int  // at most
	}{
		{"nothing", false, 40, 1},
		{"1,000 cells lost", false, 18_500, 2},
		{"1,000 cells lost", true, 18_500, 1},
		{"1,000 cells made up", false, 18_500, 2},
		{"1,000 cells made up", true, 18_500, 1},
		{"500 cells altered", true, 18_500, 1},
		{"12 cells lost", true, 1100, 1},
		{"10,000 cells in a row altered", false, 2000, 3},
		{"10,000 cells in a row altered", true, 2000, 2},
		{"one cell altered", false, 500, 1},
		{"one cell altered", true, 750, 1},
	} {
		for at := range 2 {
			if at == 0 && !test.known && test.name != "nothing" {
				continue // who reads its own cells knows
			}
			t.Run(fmt.Sprintf("%s/at %d/known %v", test.name, at, test.known), func(t *testing.T) {
				s := net.notes(at)
				net.audited = nil
				net.tick() // the peer reads its cells for others a few times a tick
				net.spoil(at, test.name, test.known)
				c := net.costOf(direction{0, 1})
				t.Logf("%d bytes of control, %d of cells, %d and %d round trips; %+v; a full transfer takes %d bytes",
					c.control, c.cells, c.searches, c.repairs, net.audited, s.all())
				if c.control > test.control || c.searches > test.searches || c.repairs > 1 {
					t.Errorf("%d bytes, %d round trips and %d for cells; want at most %d, %d and 1", c.control, c.searches, c.repairs, test.control, test.searches)
				}
				if !maps.EqualFunc(s.cells, want, slices.Equal) {
					t.Error("not repaired")
				}
			})
		}
	}
}
