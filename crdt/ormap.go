package crdt

import (
	"errors"
	"iter"
	"maps"
	"slices"

	"github.com/joinery-crdt/joinery/merge"
)

// An ORMap is a map whose values are replicated themselves, nested as deep as
// its type says: of V, [Field] lists what it can be.
//
// A field is present while its value holds something. Removing a field resets
// what its author has seen of the value; what others did to the value at the
// same time survives, and so the field does. Fields are subject to the rules of
// the package about what can be a K.
//
// The state is the state of each field and one causal context for all of them,
// nested maps included. A removed field leaves nothing behind but, of counters
// and a [PNSet], what each origin has counted and how much of that removals have
// seen, which stay for ever: so what is counted at the time of a removal survives
// it exactly.
//
// Every change of the map or of a value in it takes the next dot of its origin,
// except those of counters, so an origin belongs to one ORMap of one replica,
// whose state must not be lost and then written again under the same origin.
//
// The zero value is empty and ready to use. An ORMap must not be copied by
// assignment once used, and is not safe for concurrent mutation.
//
// Source: Almeida, Shoker, Baquero, "Delta State Replicated Data Types", 2018,
// section 7; reset-remove: Brown et al., "Riak DT Map", PaPEC 2014.
type ORMap[K comparable, V any, P Field[V]] struct {
	fields map[K]P         // no empty ones; their own contexts are empty
	keys   map[merge.Dot]K // the field that holds each live dot
	seen   merge.Context   // unless it is lent
	lent   P               // the value that has the context at the moment, or nil
}

// ErrNotDelta says that a function given to Apply returned more than the delta
// of what it did, such as the value itself. What it did to the map stays, and
// reaches others when the whole map is merged.
var ErrNotDelta = errors.New("crdt: Apply needs the delta that the value's method returned, not the value")

// Apply changes the value of field k, bottom if the field is absent, and returns
// the delta. mutate gets the value, calls its methods, under an origin of this
// replica, and returns what they returned: the delta, or the merged deltas of
// several. The value's changes take their dots from the context of the map.
//
// An error of mutate is returned as it is. If mutate has changed the value
// before, it returns the delta of that with the error, and Apply does too. If it
// returns neither, nothing has changed and the delta is empty. [ErrNotDelta]
// comes with a nil delta.
//
// Apply keeps the delta that mutate returns. The value is mutate's until it
// returns.
func (m *ORMap[K, V, P]) Apply(k K, mutate func(P) (P, error)) (*ORMap[K, V, P], error) {
	value := m.open(k)
	defer m.refile(k, value, none)
	change, err := m.lend(value, mutate)
	if change == nil {
		return m.nothing(err), err
	}
	if change == value {
		m.refileAll(k, value)
		return nil, ErrNotDelta
	}
	delta := &ORMap[K, V, P]{}
	if c := change.store().context(); c != nil {
		delta.seen, *c = *c, merge.Context{}
	}
	if m.concernsOthers(k, &delta.seen) {
		m.refileAll(k, value)
		return nil, ErrNotDelta
	}
	delta.refileAll(k, change)
	m.Context().Merge(&delta.seen)
	m.refile(k, value, delta.seen.All())
	return delta, err
}

// open returns the value of field k, and makes one if there is none: it is empty
// until it is refiled.
func (m *ORMap[K, V, P]) open(k K) P {
	value, ok := m.fields[k]
	if !ok {
		value = new(V)
		m.put(k, value)
	}
	return value
}

func (m *ORMap[K, V, P]) put(k K, value P) {
	if m.fields == nil {
		m.fields = make(map[K]P)
	}
	m.fields[k] = value
}

func none(func(merge.Dot) bool) {}

// nothing returns the delta of no change, nil if there is an error.
func (m *ORMap[K, V, P]) nothing(err error) *ORMap[K, V, P] {
	if err != nil {
		return nil
	}
	return &ORMap[K, V, P]{}
}

// lend runs mutate on a value that has the map's context in place of its own.
func (m *ORMap[K, V, P]) lend(value P, mutate func(P) (P, error)) (P, error) {
	mine, its := m.Context(), value.store().context()
	if its == nil {
		return mutate(value)
	}
	before := m.lent
	*mine, *its = *its, *mine
	m.lent = value
	defer func() {
		*mine, *its = *its, *mine
		m.lent = before
	}()
	return mutate(value)
}

// concernsOthers reports whether seen contains a live dot of a field other than
// k: a change of one field has not seen those.
func (m *ORMap[K, V, P]) concernsOthers(k K, seen *merge.Context) bool {
	if seen.Count() > uint64(len(m.keys)) {
		for d, at := range m.keys {
			if at != k && seen.Contains(d) {
				return true
			}
		}
		return false
	}
	for d := range seen.All() {
		if at, live := m.keys[d]; live && at != k {
			return true
		}
	}
	return false
}

// Remove takes away what the map holds at field k, present or not, as origin,
// and returns the delta.
func (m *ORMap[K, V, P]) Remove(origin merge.Origin, k K) *ORMap[K, V, P] {
	delta := &ORMap[K, V, P]{}
	dots := []merge.Dot{m.Context().Next(origin)}
	if value, ok := m.fields[k]; ok {
		reset := P(new(V))
		dots = value.store().reset(reset.store(), dots)
		delta.refileAll(k, reset)
	}
	slices.SortFunc(dots, merge.Dot.Compare)
	for _, d := range dots {
		delta.seen.Add(d)
	}
	m.Merge(delta)
	return delta
}

// Get returns the value of field k, and whether the field is present. The value
// is for reading, until the map changes: it shares the memory of the map.
func (m *ORMap[K, V, P]) Get(k K) (P, bool) {
	value, ok := m.fields[k]
	if !ok || !value.store().present() {
		return nil, false
	}
	return value.under(m.Context()), true
}

// Has reports whether field k is present.
func (m *ORMap[K, V, P]) Has(k K) bool {
	value, ok := m.fields[k]
	return ok && value.store().present()
}

// All yields the fields that are present with their values, in no particular
// order. The values are for reading, as those of Get.
func (m *ORMap[K, V, P]) All() iter.Seq2[K, P] {
	return func(yield func(K, P) bool) {
		for k, value := range m.fields {
			if value.store().present() && !yield(k, value.under(m.Context())) {
				return
			}
		}
	}
}

// Keys yields the fields that are present, in no particular order.
func (m *ORMap[K, V, P]) Keys() iter.Seq[K] {
	return func(yield func(K) bool) {
		for k, value := range m.fields {
			if value.store().present() && !yield(k) {
				return
			}
		}
	}
}

// Len returns the number of fields that are present. It visits all of them, and
// those of which the shares of counters are left.
func (m *ORMap[K, V, P]) Len() int { return count(m.Keys()) }

// Context returns the changes that the map has seen. It is the map's own and
// must not be modified.
func (m *ORMap[K, V, P]) Context() *merge.Context {
	if m.lent != nil {
		return m.lent.store().context()
	}
	return &m.seen
}

// Merge joins from into the receiver and reports a change. It neither modifies
// nor retains from.
func (m *ORMap[K, V, P]) Merge(from *ORMap[K, V, P]) bool {
	seen, theirs := m.Context(), from.Context()
	changed := m.joinFields(seen, from, theirs, m.dropped(from, theirs))
	return seen.Merge(theirs) || changed
}

// dropped returns the live dots that from has seen and does not hold. It
// enumerates the smaller of from's context and the receiver's live dots.
func (m *ORMap[K, V, P]) dropped(from *ORMap[K, V, P], theirs *merge.Context) (dots []merge.Dot) {
	if theirs.Count() > uint64(len(m.keys)) {
		for d := range m.keys {
			if theirs.Contains(d) && !from.holds(d) {
				dots = append(dots, d)
			}
		}
		return dots
	}
	for d := range theirs.All() {
		if m.holds(d) && !from.holds(d) {
			dots = append(dots, d)
		}
	}
	return dots
}

// Equal reports whether both have seen the same changes and hold the same.
func (m *ORMap[K, V, P]) Equal(o *ORMap[K, V, P]) bool {
	return m.Context().Equal(o.Context()) &&
		maps.EqualFunc(m.fields, o.fields, func(a, b P) bool { return a.Equal(b) })
}

// Clone returns a copy that shares no mutable memory with the receiver.
func (m *ORMap[K, V, P]) Clone() *ORMap[K, V, P] {
	c := &ORMap[K, V, P]{keys: maps.Clone(m.keys), seen: *m.Context().Clone()}
	if m.fields != nil {
		c.fields = make(map[K]P, len(m.fields))
	}
	for k, value := range m.fields {
		c.fields[k] = value.Clone()
	}
	return c
}
