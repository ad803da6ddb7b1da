package op_test

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/crdt/object"
	"github.com/joinery-crdt/joinery/crdt/op"
	"github.com/joinery-crdt/joinery/hlc"
	"github.com/joinery-crdt/joinery/merge"
)

// An act is one random change, in terms that every type understands.
type act struct {
	verb    int
	element string
	n       int64
	stamp   crdt.Stamp // of the author, after all it has seen
}

// A pair is one type in its stand-alone form and in its operation form.
type pair[V merge.Lattice[V]] struct {
	bottom func() V
	apply  func(v V, a act) (delta V, err error)
	write  func(tx object.Tx, a act) error
	read   func(v V) string
	show   func(s object.Space) (string, error)
}

// readSet renders the elements of a set, ascending.
func readSet(all iter.Seq[string]) string { return fmt.Sprint(slices.Sorted(all)) }

// showSet does so for the other form.
func showSet(all iter.Seq2[string, error]) (string, error) {
	list := []string{}
	for v, err := range all {
		if err != nil {
			return "", err
		}
		list = append(list, v)
	}
	slices.Sort(list)
	return fmt.Sprint(list), nil
}

// A side is one of the three forms that run the same history: what replica i
// does, and that it gets from replica j what it lacks.
type side interface {
	act(i int, a act) error
	get(i, j int)
	read(i int) string
}

// states merges whole states.
type states[V merge.Lattice[V]] struct {
	pair[V]
	values []V
}

func (s *states[V]) act(i int, a act) error { _, err := s.apply(s.values[i], a); return err }
func (s *states[V]) get(i, j int)           { s.values[i].Merge(s.values[j]) }
func (s *states[V]) read(i int) string      { return s.pair.read(s.values[i]) }

// deltas merges deltas, shuffled and repeated.
type deltas[V merge.Lattice[V]] struct {
	states[V]
	rand *rand.Rand
	has  [][]V // by replica: the deltas it has made and merged
}

func (d *deltas[V]) act(i int, a act) error {
	delta, err := d.apply(d.values[i], a)
	if err == nil {
		d.has[i] = append(d.has[i], delta)
	}
	return err
}

func (d *deltas[V]) get(i, j int) {
	for _, delta := range scattered(d.rand, d.has[j]) {
		d.values[i].Merge(delta)
	}
	d.has[i] = append(d.has[i], d.has[j][max(0, len(d.has[j])-20):]...) // the earlier ones as a group
	d.has[i] = append(d.has[i], d.values[j].Clone())
}

// operations delivers messages, encoded, shuffled and repeated.
type operations[V merge.Lattice[V]] struct {
	pair[V]
	t        *testing.T
	rand     *rand.Rand
	replicas []*op.Replica
	sent     map[merge.Dot][]byte
}

func (o *operations[V]) act(i int, a act) error {
	m, err := o.replicas[i].Do(a.stamp.Time, func(tx object.Tx) error { return o.write(tx, a) })
	if err != nil || m == nil {
		return err
	}
	b, err := m.MarshalBinary()
	if err != nil {
		o.t.Fatal(err)
	}
	o.sent[m.Dot] = b
	return nil
}

func (o *operations[V]) get(i, j int) {
	var lacking [][]byte
	has := o.replicas[i].Delivery().Vector()
	for head := range o.replicas[j].Delivery().Vector().Heads() {
		for seq := has.Get(head.Origin) + 1; seq <= head.Seq; seq++ {
			lacking = append(lacking, o.sent[dot(head.Origin, seq)])
		}
	}
	for _, b := range scattered(o.rand, lacking) {
		m, err := decode(b)
		if err != nil {
			o.t.Fatal(err)
		}
		if _, err := o.replicas[i].Receive(m); err != nil {
			o.t.Fatal(err)
		}
	}
}

func (o *operations[V]) read(i int) string {
	text, err := o.show(o.replicas[i])
	if err != nil {
		o.t.Fatal(err)
	}
	return text
}

// equivalent runs random histories in all three forms and compares what they
// read after every step. At the end all replicas have everything, and those in
// operation form are equal to the byte.
func equivalent[V merge.Lattice[V]](p pair[V]) func(t *testing.T) {
	return func(t *testing.T) {
		for seed := range uint64(40) {
			r := rand.New(rand.NewPCG(seed, 1))
			n := 2 + r.IntN(3)
			ops := &operations[V]{pair: p, t: t, rand: r, sent: make(map[merge.Dot][]byte)}
			st, de := &states[V]{pair: p}, &deltas[V]{states: states[V]{pair: p}, rand: r, has: make([][]V, n)}
			for i := range n {
				ops.replicas = append(ops.replicas, replica(origin(i)))
				st.values, de.values = append(st.values, p.bottom()), append(de.values, p.bottom())
			}
			run(t, fmt.Sprint("seed ", seed), r, n, []side{st, de, ops})
			for _, other := range ops.replicas[1:] {
				if !other.Equal(ops.replicas[0]) {
					t.Errorf("seed %d: two replicas that have all messages differ", seed)
				}
			}
		}
	}
}

func run(t *testing.T, name string, r *rand.Rand, n int, sides []side) {
	t.Helper()
	clocks := make([]int64, n)
	get := func(i, j int) {
		clocks[i] = max(clocks[i], clocks[j])
		for _, s := range sides {
			s.get(i, j)
		}
	}
	for step := range 40 {
		i, j := r.IntN(n), r.IntN(n)
		if r.IntN(3) == 0 && i != j {
			get(i, j)
		} else {
			clocks[i]++
			a := act{r.IntN(6), fmt.Sprint("e", r.IntN(3)), int64(r.IntN(9)) - 4, crdt.Stamp{Time: hlc.New(clocks[i], 0), Origin: origin(i)}}
			compareActs(t, fmt.Sprint(name, " step ", step), sides, i, a)
		}
		compareReads(t, fmt.Sprint(name, " step ", step), sides, i)
	}
	for range 2 { // around the ring, twice: everybody has everything
		for i := range n {
			get((i+1)%n, i)
		}
	}
	for i := range n {
		compareReads(t, name+" at the end", sides, i)
	}
}

func compareActs(t *testing.T, name string, sides []side, i int, a act) {
	t.Helper()
	want := sides[0].act(i, a)
	for k, s := range sides[1:] {
		if err := s.act(i, a); (err == nil) != (want == nil) {
			t.Fatalf("%s: %+v is %v in form %d, %v as a state", name, a, err, k+1, want)
		}
	}
}

func compareReads(t *testing.T, name string, sides []side, i int) {
	t.Helper()
	want := sides[0].read(i)
	for k, s := range sides[1:] {
		if got := s.read(i); got != want {
			t.Fatalf("%s: replica %d reads %s in form %d, %s as a state", name, i, got, k+1, want)
		}
	}
}

// TestFormsAgree: state, delta and operation form of every type are one type.
func TestFormsAgree(t *testing.T) {
	forms := map[string]func(*testing.T){
		"gset":       equivalent(gsets),
		"twopset":    equivalent(twoPSets),
		"orset":      equivalent(orSets),
		"rwset":      equivalent(rwSets),
		"pncounter":  equivalent(pnCounters),
		"lww":        equivalent(lwwRegisters),
		"mvregister": equivalent(mvRegisters),

		"uset":          equivalent(uSets),
		"lwwset":        equivalent(lwwSets),
		"lwwset-remove": equivalent(removeBiasedSets),
		"pnset":         equivalent(pnSets),
		"lwwmap":        equivalent(lwwMaps),

		"ormap":             equivalent(setMaps),
		"ormap of counters": equivalent(counterMaps),
		"ormap of maps":     equivalent(nestedMaps),

		"gcounter": equivalent(growCounters),
		"bounded":  equivalent(boundedCounters),
		"ewflag":   equivalent(ewFlags),
		"dwflag":   equivalent(dwFlags),
	}
	for _, kind := range crdt.Builtin().Names() {
		if forms[kind] == nil {
			t.Errorf("%s is not compared", kind)
		}
	}
	for name, test := range forms {
		t.Run(name, test)
	}
}
