package crdt_test

import (
	"testing"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/merge/mergetest"
)

// states returns three states and six deltas of one random history.
func states[V value[V]](t *testing.T, f form[V], seed uint64) (states [3]V, deltas []V) {
	h := newHistory(t, f, seed, 3)
	for range 24 {
		h.step(h.r.IntN(3))
	}
	for len(h.changes) < mergetest.MaxDeltas {
		h.local(h.r.IntN(3))
	}
	for i := range states {
		states[i] = h.replicas[i].value
	}
	for _, c := range h.changes[:mergetest.MaxDeltas] {
		deltas = append(deltas, c.delta)
	}
	return states, deltas
}

func lawsOf[V value[V]](t *testing.T, f form[V]) {
	decode := func(b []byte) (V, error) {
		v := f.bottom()
		return v, v.UnmarshalBinary(b)
	}
	for seed := range uint64(20) {
		s, deltas := states(t, f, seed)
		if err := mergetest.Laws(s[0], s[1], s[2]); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if err := mergetest.Laws(deltas[0], s[1], deltas[5]); err != nil {
			t.Fatalf("seed %d: of deltas: %v", seed, err)
		}
		if err := mergetest.Codec(s[0], decode); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if seed < 3 {
			if err := mergetest.Orders(f.bottom(), deltas...); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
	}
}

func TestLaws(t *testing.T) {
	t.Run("GSet", func(t *testing.T) { lawsOf(t, gsetForm) })
	t.Run("TwoPSet", func(t *testing.T) { lawsOf(t, twoPSetForm) })
	t.Run("ORSet", func(t *testing.T) { lawsOf(t, orsetForm) })
	t.Run("RWSet", func(t *testing.T) { lawsOf(t, rwsetForm) })
	t.Run("PNCounter", func(t *testing.T) { lawsOf(t, counterForm) })
	t.Run("GCounter", func(t *testing.T) { lawsOf(t, gcounterForm) })
	t.Run("BoundedCounter", func(t *testing.T) { lawsOf(t, boundedForm) })
	t.Run("EWFlag", func(t *testing.T) { lawsOf(t, ewFlagForm) })
	t.Run("DWFlag", func(t *testing.T) { lawsOf(t, dwFlagForm) })
	t.Run("LWWRegister", func(t *testing.T) { lawsOf(t, lwwForm) })
	t.Run("MVRegister", func(t *testing.T) { lawsOf(t, mvForm) })
	t.Run("USet", func(t *testing.T) { lawsOf(t, usetForm) })
	t.Run("LWWSet", func(t *testing.T) { lawsOf(t, lwwSetForm) })
	t.Run("RemoveBiasedLWWSet", func(t *testing.T) { lawsOf(t, removeBiasedForm) })
	t.Run("PNSet", func(t *testing.T) { lawsOf(t, pnsetForm) })
	t.Run("LWWMap", func(t *testing.T) { lawsOf(t, lwwMapForm) })
}

// The cells of the kinds, as lattices.
func TestCellLaws(t *testing.T) {
	phases := []*crdt.Phase{{}, &crdt.PhaseAdded, &crdt.PhaseRemoved}
	if err := mergetest.Laws(phases[0], phases[1], phases[2]); err != nil {
		t.Error(err)
	}
	shares := []*crdt.Share{{P: 5, N: 2}, {P: 3, N: 4, PBase: 3, NBase: 1}, {P: 7}}
	if err := mergetest.Laws(shares[0], shares[1], shares[2]); err != nil {
		t.Error(err)
	}
	times := []*crdt.Times{{Added: 3, Removed: 1}, {Added: 2, Removed: 2}, {Removed: 4}}
	if err := mergetest.Laws(times[0], times[1], times[2]); err != nil {
		t.Error(err)
	}
	var writes []*crdt.Latest
	for _, time := range []uint64{1, 2} {
		for _, d := range []merge.Dot{dot(1, 1), dot(1, 2), dot(2, 1)} {
			for _, v := range [][]byte{nil, element(t, 1), element(t, 2)} { // nil: removed
				writes = append(writes, &crdt.Latest{Time: hlcTime(time), Dot: d, Value: v})
			}
		}
	}
	for _, a := range writes {
		for _, b := range writes {
			if err := mergetest.Laws(a, b, &crdt.Latest{}); err != nil {
				t.Fatal(err)
			}
			if err := mergetest.Chain(a, b, writes[3]); err != nil {
				t.Fatal(err)
			}
		}
	}
}
