package sync_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/merge"
	crdtsync "github.com/joinery-crdt/joinery/sync"
)

func seeded(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0x6a6f696e)) }

func element(t testing.TB, v any) string {
	t.Helper()
	b, err := crdt.EncodeElement(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// put returns the op that adds an element to a grow-only set.
func put(t testing.TB, v any) crdtsync.CellOp {
	t.Helper()
	return crdtsync.CellOp{Cell: crdtsync.CellKey{Object: "log", Kind: "gset", Element: element(t, v)}, Op: crdt.Op{Put: true}}
}

// randomOp returns an op on a random cell of a random kind, as a writer who sees
// the space makes it.
func (r *replica) randomOp(rng *rand.Rand, s *replicaSpace) crdtsync.CellOp {
	kind := r.kinds.Names()[rng.IntN(len(r.kinds))]
	key := crdtsync.CellKey{Object: fmt.Sprintf("object %d", rng.IntN(2)), Kind: kind, Element: element(r.t, rng.IntN(4))}
	switch kind {
	case "lww", "mvregister", "ewflag", "dwflag":
		key.Element = ""
	case "pncounter", "gcounter", "bounded":
		key.Element = string(r.origin[:])
	case "pnset":
		key.Element += string(r.origin[:])
	case "ormap":
		field, err := crdt.AppendField(nil, rng.IntN(2), "orset")
		if err != nil {
			r.t.Fatal(err)
		}
		key.Element = string(field) + key.Element
	}
	stored, _ := key.AppendBinary(nil)
	op, err := randomWrite(rng, kind, s.cells[string(stored)])
	if err != nil {
		r.t.Fatalf("a write of %s: %v", kind, err)
	}
	return crdtsync.CellOp{Cell: key, Op: op}
}

func randomWrite(rng *rand.Rand, kind string, cell []byte) (crdt.Op, error) {
	value := []byte{byte(rng.IntN(24))} // a small integer in CBOR
	switch kind {
	case "gset":
		return crdt.Op{Put: true}, nil
	case "twopset":
		phase := []crdt.Phase{crdt.PhaseAdded, crdt.PhaseRemoved}[rng.IntN(2)]
		b, err := phase.AppendBinary(nil)
		return crdt.Op{Put: true, Payload: b}, err
	case "pncounter", "pnset":
		share, err := crdt.DecodeShare(cell)
		if err != nil {
			return crdt.Op{}, err
		}
		if share, err = share.Add(rng.Int64N(9) - 4); err != nil {
			return crdt.Op{}, err
		}
		b, err := share.AppendBinary(nil)
		return crdt.Op{Put: true, Payload: b}, err
	case "lww":
		return crdt.Op{Put: true, Payload: value}, nil
	case "lwwmap":
		return crdt.Op{Put: true, Payload: value[:rng.IntN(2)]}, nil
	case "lwwset", "lwwset-remove":
		return crdt.Op{Put: true, Payload: [][]byte{crdt.Added, crdt.Removed}[rng.IntN(2)]}, nil
	case "uset":
		return crdt.Supersede(cell, cell == nil, nil)
	case "mvregister":
		if rng.IntN(4) == 0 {
			return crdt.Supersede(cell, false, nil)
		}
		return crdt.Supersede(cell, true, value)
	case "gcounter":
		total, err := crdt.DecodeTotal(cell)
		if err != nil {
			return crdt.Op{}, err
		}
		return crdt.Op{Put: true, Payload: binary.AppendUvarint(nil, uint64(total)+1)}, nil
	case "bounded":
		account, err := crdt.DecodeAccount(cell)
		if err != nil {
			return crdt.Op{}, err
		}
		account.Created += crdt.Total(1 + rng.IntN(3))
		b, err := account.AppendBinary(nil)
		return crdt.Op{Put: true, Payload: b}, err
	case "orset", "ormap", "ewflag":
		return crdt.Supersede(cell, rng.IntN(3) > 0, nil)
	case "rwset", "dwflag":
		return crdt.Supersede(cell, true, [][]byte{crdt.Added, crdt.Removed}[rng.IntN(2)])
	}
	return crdt.Op{}, fmt.Errorf("unknown kind")
}

// randomOps returns up to n ops on different cells.
func (r *replica) randomOps(rng *rand.Rand, s *replicaSpace, n int) (ops []crdtsync.CellOp) {
	taken := make(map[crdtsync.CellKey]bool)
	for range 1 + rng.IntN(n) {
		if op := r.randomOp(rng, s); !taken[op.Cell] {
			taken[op.Cell] = true
			ops = append(ops, op)
		}
	}
	return ops
}

// history lets n replicas write and exchange changes at random until they have
// written the given number, and then levels them. It returns one of them.
func history(t testing.TB, rng *rand.Rand, n, changes int) *replicaSpace {
	t.Helper()
	replicas := make([]*replica, n)
	for i := range replicas {
		replicas[i] = newReplica(t, i+1, "s")
	}
	for range changes {
		r, from := replicas[rng.IntN(n)], replicas[rng.IntN(n)]
		r.pull("s", from, rng.IntN(12))
		r.author("s", r.randomOps(rng, r.space("s"), 3)...)
	}
	first := replicas[0]
	for _, r := range replicas {
		first.pull("s", r, changes)
	}
	for i, r := range replicas {
		r.pull("s", first, changes)
		wantSame(t, fmt.Sprintf("replica %d", i+1), r.space("s"), first.space("s"))
	}
	return first.space("s")
}

// shuffled returns the changes of a log, decoded anew, in a random order.
func shuffled(t testing.TB, rng *rand.Rand, log []*crdtsync.Change) []*crdtsync.Change {
	t.Helper()
	out := make([]*crdtsync.Change, len(log))
	for i, at := range rng.Perm(len(log)) {
		out[i] = copyOf(t, log[at])
	}
	return out
}

// causal fails unless every change stands after all it depends on.
func causal(t testing.TB, what string, changes []*crdtsync.Change) {
	t.Helper()
	seen := &merge.VersionVector{}
	for i, c := range changes {
		if seen.Get(c.Dot.Origin)+1 != c.Dot.Seq {
			t.Fatalf("%s: %v stands at %d, after %d of its origin", what, c.Dot, i, seen.Get(c.Dot.Origin))
		}
		for _, d := range c.Deps {
			if !seen.Contains(d) {
				t.Fatalf("%s: %v stands at %d, before %v on which it depends", what, c.Dot, i, d)
			}
		}
		seen.Raise(c.Dot)
	}
}
