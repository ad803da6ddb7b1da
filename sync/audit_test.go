package sync_test

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/merge"
	crdtsync "github.com/joinery-crdt/joinery/sync"
	"github.com/joinery-crdt/joinery/sync/wire"
)

// audit does what a link asks for in order to compare cells.
func (n *network) audit(d direction, r crdtsync.Ready) {
	n.t.Helper()
	own := n.replicas[d.from]
	for _, space := range r.Scan {
		n.do(d, n.links[d].Scanned(space, own.space(space).scan(), nil))
	}
	for i := range r.Mend {
		m := &r.Mend[i]
		s := own.space(m.Space)
		st := s.Stage(s, 0)
		done, err := st.Mend(m, crdtsync.Prove(own, s.Space, m.Keys))
		if err == nil {
			s.commit(st)
			n.mended = append(n.mended, done)
		}
		n.do(d, n.links[d].Mended(m, done, err))
	}
	n.audited = append(n.audited, r.Audited...)
}

// scan reads the cells and corrects the fingerprint.
func (s *replicaSpace) scan() *crdtsync.Scan {
	scan := crdtsync.NewScan(s.Summary())
	for _, key := range slices.Sorted(maps.Keys(s.cells)) {
		scan.Add([]byte(key), s.cells[key])
	}
	if off := scan.Damage(); off != (crdtsync.Fingerprint{}) {
		st := s.Stage(s, 0)
		st.Correct(off)
		s.commit(st)
	}
	return scan
}

// auditPair is two replicas that share n elements of a set, and are connected.
func auditPair(t testing.TB, n int) *network {
	t.Helper()
	a, b := newReplica(t, 1, "notes"), newReplica(t, 2, "notes")
	for from := 0; from < n; from += 1000 {
		var ops []crdtsync.CellOp
		for i := from; i < min(n, from+1000); i++ {
			ops = append(ops, crdtsync.CellOp{
				Cell: crdtsync.CellKey{Object: "tags", Kind: crdt.ORSetKind.Name(), Element: fmt.Sprintf("\x68%08d", i)},
				Op:   crdt.Op{Put: true},
			})
		}
		b.offer("notes", copyOf(t, a.author("notes", ops...)))
	}
	net := newNetwork(t, rand.New(rand.NewPCG(1, 2)), a, b)
	net.damaged = true
	net.connect(0, 1)
	net.settle()
	net.wantLevel("pair", 5)
	return net
}

func (n *network) notes(at int) *replicaSpace { return n.replicas[at].space("notes") }

// keys returns the stored keys of a replica, ascending.
func (s *replicaSpace) keys() []string { return slices.Sorted(maps.Keys(s.cells)) }

// wantRepaired ticks until both replicas hold what they held before.
func (n *network) wantRepaired(want map[string][]byte, ticks int) (took int) {
	n.t.Helper()
	good := func(at int) bool {
		s := n.notes(at)
		return maps.EqualFunc(s.cells, want, bytes.Equal) && s.scan().Damage() == (crdtsync.Fingerprint{})
	}
	for !good(0) || !good(1) || n.notes(0).Summary() != n.notes(1).Summary() {
		if took == ticks {
			n.t.Fatalf("not repaired after %d ticks: %v %v", ticks, good(0), good(1))
		}
		n.tick()
		took++
	}
	return took
}

// damages are ways in which cells go bad.
var damages = map[string]func(s *replicaSpace, key string){
	"altered": func(s *replicaSpace, key string) { s.cells[key] = append(slices.Clone(s.cells[key]), 1) },
	"lost":    func(s *replicaSpace, key string) { delete(s.cells, key) },
	"empty":   func(s *replicaSpace, key string) { s.cells[key] = []byte{} },
	"made up": func(s *replicaSpace, key string) { s.cells[key+"?"] = slices.Clone(s.cells[key]) },
}

// An audit finds cells that went bad at rest, on either side, and both sides
// hold afterwards what they held before, because the log says what that was.
func TestAuditRepairs(t *testing.T) {
	for name, damage := range damages {
		for at := range 2 {
			for _, count := range []int{1, 30, 400} {
				t.Run(fmt.Sprintf("%s/%d/%d", name, at, count), func(t *testing.T) {
					n := auditPair(t, 2000)
					s := n.notes(at)
					want := maps.Clone(s.cells)
					for i, key := range s.keys() {
						if i%(2000/count) == 0 {
							damage(s, key)
						}
					}
					n.do(direction{0, 1}, n.links[direction{0, 1}].Audit("notes"))
					n.settle()
					n.wantRepaired(want, 20)
					if len(n.audited) == 0 || n.audited[0].Err != nil || n.audited[0].Equal {
						t.Errorf("the audit ended as %+v", n.audited)
					}
					if err := n.anyEnd(); err != nil {
						t.Error(err)
					}
				})
			}
		}
	}
}

// Without an audit the damage shows when a damaged cell is written to: the
// fingerprint takes out what is not in it. Then the links repair by themselves.
func TestDivergenceIsRepaired(t *testing.T) {
	for seed := range uint64(20) {
		n := auditPair(t, 500)
		n.rng = rand.New(rand.NewPCG(seed, 9))
		n.loss, n.dup, n.reorder = 0.2, 0.1, 0.2
		s := n.notes(int(seed) % 2)
		for i, key := range s.keys() {
			if i%50 == 0 {
				s.cells[key] = append(slices.Clone(s.cells[key]), 7)
			}
		}
		s.scan() // the storage is looked at for whatever reason
		for range 3 {
			n.write(0, "notes", crdtsync.CellOp{
				Cell: crdtsync.CellKey{Object: "title", Kind: crdt.LWWKind.Name()}, Op: crdt.Op{Put: true, Payload: []byte{0x61, 'x'}},
			})
			n.tick()
		}
		want := make(map[string][]byte)
		clean := fromLog(t, n)
		maps.Copy(want, clean.cells)
		n.wantRepaired(want, 400)
	}
}

// fromLog returns what the log of a network's first replica gives on a new one.
func fromLog(t testing.TB, n *network) *replicaSpace {
	r := newReplica(t, 9, "notes")
	for _, c := range n.notes(0).log {
		r.offer("notes", copyOf(t, c))
	}
	return r.space("notes")
}

// counted returns the bytes of frames of some types, by type, that an audit takes.
func (n *network) counted(do func()) map[wire.Type]int {
	bytes := make(map[wire.Type]int)
	n.tap = func(_ direction, b []byte) { bytes[wire.Type(b[0])] += len(b) }
	defer func() { n.tap = nil }()
	do()
	return bytes
}

func TestAuditOfEqualsIsShort(t *testing.T) {
	n := auditPair(t, 1000)
	got := n.counted(func() {
		n.do(direction{1, 0}, n.links[direction{1, 0}].Audit("notes"))
		n.settle()
	})
	total := 0
	for _, size := range got {
		total += size
	}
	if len(n.audited) != 1 || !n.audited[0].Equal || total > 40 {
		t.Errorf("%d bytes, audit %+v, want at most 40 bytes and equality", total, n.audited)
	}
}

// Dots of a cell that stay when neither log is whole.
func TestMendKeepsBoth(t *testing.T) {
	a := newReplica(t, 1, "notes")
	cell := crdtsync.CellKey{Object: "tags", Kind: crdt.ORSetKind.Name(), Element: "\x61x"}
	a.author("notes", crdtsync.CellOp{Cell: cell, Op: crdt.Op{Put: true}})
	key, _ := cell.AppendBinary(nil)
	s := a.space("notes")
	mine := s.cells[string(key)]
	state := func(d ...merge.Dot) []byte { return mine }
	_ = state
	clear(s.at) // the log is gone
	other := newReplica(t, 2, "notes")
	other.author("notes", crdtsync.CellOp{Cell: cell, Op: crdt.Op{Put: true}})
	theirs := other.space("notes").cells[string(key)]
	for name, test := range map[string]struct {
		theirs crdtsync.MendCell
		want   func(got []byte) bool
	}{
		"both": {crdtsync.MendCell{State: theirs}, func(got []byte) bool {
			return len(got) > len(mine) && bytes.Contains(got, a.origin[:]) && bytes.Contains(got, other.origin[:])
		}},
		"proved":    {crdtsync.MendCell{State: theirs, Proved: true}, func(got []byte) bool { return bytes.Equal(got, theirs) }},
		"gone":      {crdtsync.MendCell{Proved: true}, func(got []byte) bool { return got == nil }},
		"unproved":  {crdtsync.MendCell{}, func(got []byte) bool { return bytes.Equal(got, mine) }},
		"nonsense":  {crdtsync.MendCell{State: []byte{9, 9}}, func(got []byte) bool { return bytes.Equal(got, mine) }},
		"too large": {crdtsync.MendCell{Withheld: true, Proved: true}, func(got []byte) bool { return bytes.Equal(got, mine) }},
	} {
		test.theirs.Key = key
		m := &crdtsync.Mending{Space: "notes", Applied: s.Summary().Applied, Keys: [][]byte{key}, Theirs: []crdtsync.MendCell{test.theirs}}
		done, err := s.Stage(s, 0).Mend(m, crdtsync.Prove(a, s.Space, m.Keys))
		if err != nil || !test.want(done.Cells[0].State) || done.Cells[0].Proved {
			t.Errorf("%s: Mend gives %x, %v", name, done.Cells[0].State, err)
		}
	}
}
