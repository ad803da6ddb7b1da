package property_test

import (
	"testing"

	"github.com/leanovate/gopter/prop"

	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/merge/mergetest"
)

// length is the number of steps of the longest programs.
const length = 60

func TestGSet(t *testing.T)        { holds(t, gset) }
func TestTwoPSet(t *testing.T)     { holds(t, twoPSet) }
func TestORSet(t *testing.T)       { holds(t, orSet) }
func TestRWSet(t *testing.T)       { holds(t, rwSet) }
func TestPNCounter(t *testing.T)   { holds(t, pnCounter) }
func TestLWWRegister(t *testing.T) { holds(t, lwwRegister) }
func TestMVRegister(t *testing.T)  { holds(t, mvRegister) }
func TestDotMap(t *testing.T)      { holds(t, dotMaps) }

// holds checks everything that must hold of a type.
func holds[V merge.Lattice[V]](t *testing.T, f form[V]) {
	t.Run("specification", func(t *testing.T) {
		check(t, length, prop.ForAll(func(p program) string { return text(verify(f, p)) }, programs()))
	})
	t.Run("laws", func(t *testing.T) {
		check(t, length/2, prop.ForAll(func(p program) string { return text(lawful(f, p)) }, programs()))
	})
	t.Run("deltas", func(t *testing.T) {
		check(t, length/2, prop.ForAll(func(p program, n int) string {
			return text(deltas(f, p, n))
		}, programs(), upTo(mergetest.MaxDeltas)))
	})
	t.Run("codec", func(t *testing.T) {
		check(t, length/2, prop.ForAll(func(p program) string { return text(codec(f, p)) }, programs()))
	})
}

// lawful checks the laws over the states of a history, and over two of its
// deltas and a state.
func lawful[V merge.Lattice[V]](f form[V], p program) error {
	h, err := play(f, p)
	if err != nil {
		return err
	}
	a, b, c := h.replicas[0].value, h.replicas[1].value, h.replicas[2].value
	if err := mergetest.Laws(a, b, c); err != nil {
		return err
	}
	first, _ := h.sent(len(h.messages) - 1)
	if last, ok := h.sent(0); ok {
		return mergetest.Laws(a, first.delta, last.delta)
	}
	return nil
}

// deltas checks the last n messages of a history in every order, over a state
// of it, and up to n mutators that start from there.
func deltas[V merge.Lattice[V]](f form[V], p program, n int) error {
	h, err := play(f, p)
	if err != nil {
		return err
	}
	var sent []V
	for i := range min(n, len(h.messages)) {
		m, _ := h.sent(i)
		sent = append(sent, m.delta)
	}
	if err := mergetest.Orders(h.replicas[0].value, sent...); err != nil {
		return err
	}
	if err := mergetest.Orders(f.bottom(), sent...); err != nil {
		return err
	}
	return mergetest.Deltas(h.replicas[0].value, h.mutators(p, n)...)
}

// mutators returns up to n of the program's changes, as the first replica would
// make them. One that refuses returns an empty delta.
func (h *history[V]) mutators(p program, n int) (mutators []func(V) V) {
	for _, s := range p {
		if s.do != local || len(mutators) == n {
			continue
		}
		s.at = 0
		o := h.newOp(h.replicas[0], s)
		o.time += int64(len(mutators))
		mutators = append(mutators, func(v V) V {
			if delta, err := h.form.apply(v, o); err == nil {
				return delta
			}
			return h.form.bottom()
		})
	}
	return mutators
}

// codec checks the encodings of a state and of a delta.
func codec[V merge.Lattice[V]](f form[V], p program) error {
	h, err := play(f, p)
	if err != nil || f.decode == nil {
		return err
	}
	if err := mergetest.Codec(h.replicas[0].value, f.decode); err != nil {
		return err
	}
	if m, ok := h.sent(0); ok {
		return mergetest.Codec(m.delta, f.decode)
	}
	return nil
}
