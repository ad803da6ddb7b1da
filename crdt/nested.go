package crdt

import (
	"iter"

	"github.com/joinery-crdt/joinery/internal/varint"
	"github.com/joinery-crdt/joinery/merge"
)

// Field is the constraint "a V can be the value of a field of an [ORMap]": the
// causal types of this package, the counters, [PNSet], ORMap itself, and [Nested]
// of any other lattice.
type Field[V any] interface {
	*V
	merge.Lattice[*V]
	// store returns what a map keeps of the value.
	store() store
	// under returns the value under a context that is not its own, to be read.
	// It may share the memory of both.
	under(seen *merge.Context) *V
	// typeName returns the name of the type in its binary form, also of nil.
	typeName() string
	// appendStore appends what a map keeps of the value.
	appendStore(dst []byte, t *dotTable) ([]byte, error)
	// readStore replaces the receiver, which is empty, by what appendStore
	// wrote, to the end of r. It does not look for a dot in two places.
	readStore(r *varint.Reader, t *dotTable) error
}

// A store is what a map keeps of the value of a field: all but the causal
// context, of which there is one for the whole map.
type store interface {
	// context returns the value's own context, in which the map lends its own
	// while the value is changed. It is empty otherwise, and nil if values of
	// the type have none.
	context() *merge.Context
	// join joins from, a store of the same type. Each side is read under the
	// context given, and neither context changes. dropped names the dots that
	// the receiver holds and fromSeen contains while from does not hold them.
	join(seen *merge.Context, from store, fromSeen *merge.Context, dropped []merge.Dot) (changed bool)
	// dots yields the live dots, in no particular order.
	dots() iter.Seq[merge.Dot]
	// holds reports whether d is live.
	holds(d merge.Dot) bool
	// reset writes into delta, an empty store of the same type, what takes away
	// the part of the receiver that has no dots, and appends the live dots.
	reset(delta store, dots []merge.Dot) []merge.Dot
	// empty reports whether the store is that of the zero value.
	empty() bool
	// present reports whether there is something that a reset would take away.
	present() bool
}

// dotStore is the store of a value that is a DotMap.
type dotStore[K comparable, V any] struct{ *merge.DotMap[K, V] }

func (s dotStore[K, V]) context() *merge.Context { return s.Context() }

func (s dotStore[K, V]) join(seen *merge.Context, from store, fromSeen *merge.Context, dropped []merge.Dot) bool {
	return s.JoinStore(seen, from.(dotStore[K, V]).DotMap, fromSeen, dropped)
}

func (s dotStore[K, V]) dots() iter.Seq[merge.Dot] { return s.Dots() }

func (s dotStore[K, V]) holds(d merge.Dot) bool { return s.Holds(d) }

func (s dotStore[K, V]) reset(_ store, dots []merge.Dot) []merge.Dot {
	for d := range s.Dots() {
		dots = append(dots, d)
	}
	return dots
}

func (s dotStore[K, V]) empty() bool { return s.Len() == 0 }

func (s dotStore[K, V]) present() bool { return s.Len() > 0 }

// underContext returns m under another context, to be read.
func underContext[K comparable, V any](m *merge.DotMap[K, V], seen *merge.Context) *merge.DotMap[K, V] {
	c := *m
	*c.Context() = *seen
	return &c
}

// dotless is the constraint "*V is a counter, or many: of it removals take away
// totals, not dots".
type dotless[V any] interface {
	merge.Ptr[V]
	// resetInto writes into delta, which is empty, what takes away all that the
	// receiver counts.
	resetInto(delta *V)
	// counts reports whether there is something to take away.
	counts() bool
}

// dotlessStore is the store of a value that has no dots, and no context.
type dotlessStore[V any, P dotless[V]] struct{ value P }

func (s dotlessStore[V, P]) context() *merge.Context { return nil }

func (s dotlessStore[V, P]) join(_ *merge.Context, from store, _ *merge.Context, _ []merge.Dot) bool {
	return s.value.Merge(from.(dotlessStore[V, P]).value)
}

func (s dotlessStore[V, P]) dots() iter.Seq[merge.Dot] { return none }

func (s dotlessStore[V, P]) holds(merge.Dot) bool { return false }

func (s dotlessStore[V, P]) reset(delta store, dots []merge.Dot) []merge.Dot {
	s.value.resetInto(delta.(dotlessStore[V, P]).value)
	return dots
}

func (s dotlessStore[V, P]) empty() bool { return s.value.Equal(new(V)) }

func (s dotlessStore[V, P]) present() bool { return s.value.counts() }

// store keeps the set out of columns for good: a map joins parts of it.
func (s *ORSet[T]) store() store {
	if s.few == nil || !s.odd {
		if s.many != nil {
			s.reduce()
		}
		s.open()
		s.odd = true
	}
	return dotStore[T, struct{}]{s.few}
}

func (s *ORSet[T]) under(seen *merge.Context) *ORSet[T] {
	return &ORSet[T]{few: underContext(s.few, seen), odd: true}
}

func (s *ORSet[T]) typeName() string { return ORSetKind.Name() }

func (s *ORSet[T]) appendStore(dst []byte, t *dotTable) ([]byte, error) {
	return appendCells(dst, s.few, t, func(b []byte, _ struct{}) []byte { return b })
}

func (s *ORSet[T]) readStore(r *varint.Reader, t *dotTable) (err error) {
	s.few, err = readCells[T](r, t, func(*varint.Reader) struct{} { return struct{}{} })
	s.odd = true
	return err
}

func (s *USet[T]) store() store { return dotStore[T, struct{}]{&s.dots} }

func (s *USet[T]) under(seen *merge.Context) *USet[T] {
	return &USet[T]{*underContext(&s.dots, seen)}
}

func (s *USet[T]) typeName() string { return USetKind.Name() }

func (s *USet[T]) appendStore(dst []byte, t *dotTable) ([]byte, error) {
	return appendCells(dst, &s.dots, t, func(b []byte, _ struct{}) []byte { return b })
}

func (s *USet[T]) readStore(r *varint.Reader, t *dotTable) error {
	return readInto(&s.dots, r, t, func(*varint.Reader) struct{} { return struct{}{} })
}

func (s *RWSet[T]) store() store { return dotStore[T, polarity]{&s.dots} }

func (s *RWSet[T]) under(seen *merge.Context) *RWSet[T] {
	return &RWSet[T]{*underContext(&s.dots, seen)}
}

func (s *RWSet[T]) typeName() string { return RWSetKind.Name() }

func (s *RWSet[T]) appendStore(dst []byte, t *dotTable) ([]byte, error) {
	return appendCells(dst, &s.dots, t, appendPolarity)
}

func (s *RWSet[T]) readStore(r *varint.Reader, t *dotTable) error {
	return readInto(&s.dots, r, t, readPolarity)
}

func (r *MVRegister[T]) store() store { return dotStore[struct{}, []byte]{&r.values} }

func (r *MVRegister[T]) under(seen *merge.Context) *MVRegister[T] {
	return &MVRegister[T]{*underContext(&r.values, seen)}
}

func (r *MVRegister[T]) typeName() string { return MVKind.Name() }
