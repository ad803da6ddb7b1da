package crdt

import (
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/joinery-crdt/joinery/internal/varint"
	"github.com/joinery-crdt/joinery/merge"
)

// An ORMap is its own store, so that maps nest.
func (m *ORMap[K, V, P]) store() store { return m }

func (m *ORMap[K, V, P]) under(seen *merge.Context) *ORMap[K, V, P] {
	return &ORMap[K, V, P]{m.fields, m.keys, *seen, nil}
}

func (m *ORMap[K, V, P]) context() *merge.Context { return m.Context() }

func (m *ORMap[K, V, P]) join(seen *merge.Context, from store, fromSeen *merge.Context, dropped []merge.Dot) bool {
	return m.joinFields(seen, from.(*ORMap[K, V, P]), fromSeen, dropped)
}

// joinFields joins the fields of from, and those that hold one of the dropped
// dots.
func (m *ORMap[K, V, P]) joinFields(seen *merge.Context, from *ORMap[K, V, P], fromSeen *merge.Context, dropped []merge.Dot) (changed bool) {
	byField := m.group(dropped)
	for k, dots := range byField {
		theirs, ok := from.fields[k]
		if !ok {
			theirs = new(V)
		}
		changed = m.joinField(k, seen, theirs, fromSeen, dots) || changed
	}
	for k, theirs := range from.fields {
		if _, done := byField[k]; !done {
			changed = m.joinField(k, seen, theirs, fromSeen, nil) || changed
		}
	}
	return changed
}

// group returns the live ones among the dots, by the field that holds them.
func (m *ORMap[K, V, P]) group(dots []merge.Dot) map[K][]merge.Dot {
	var byField map[K][]merge.Dot
	for _, d := range dots {
		k, live := m.keys[d]
		if !live {
			continue
		}
		if byField == nil {
			byField = make(map[K][]merge.Dot)
		}
		byField[k] = append(byField[k], d)
	}
	return byField
}

func (m *ORMap[K, V, P]) joinField(k K, seen *merge.Context, theirs P, fromSeen *merge.Context, dropped []merge.Dot) bool {
	mine, ok := m.fields[k]
	if !ok {
		mine = new(V)
	}
	if !mine.store().join(seen, theirs.store(), fromSeen, dropped) {
		return false
	}
	m.refile(k, mine, slices.Values(dropped))
	m.refile(k, mine, theirs.store().dots())
	return true
}

// refile makes value that of field k, and brings the index of dots in step with
// it, as far as those given are concerned.
func (m *ORMap[K, V, P]) refile(k K, value P, dots iter.Seq[merge.Dot]) {
	s := value.store()
	if s.empty() {
		delete(m.fields, k)
	} else {
		m.put(k, value)
	}
	for d := range dots {
		if !s.holds(d) {
			delete(m.keys, d)
			continue
		}
		if m.keys == nil {
			m.keys = make(map[merge.Dot]K)
		}
		m.keys[d] = k
	}
}

// refileAll is refile for every dot of the field. It visits the whole index.
func (m *ORMap[K, V, P]) refileAll(k K, value P) {
	maps.DeleteFunc(m.keys, func(_ merge.Dot, at K) bool { return at == k })
	m.refile(k, value, value.store().dots())
}

func (m *ORMap[K, V, P]) dots() iter.Seq[merge.Dot] { return maps.Keys(m.keys) }

func (m *ORMap[K, V, P]) holds(d merge.Dot) bool {
	_, ok := m.keys[d]
	return ok
}

func (m *ORMap[K, V, P]) reset(delta store, dots []merge.Dot) []merge.Dot {
	into := delta.(*ORMap[K, V, P])
	for k, value := range m.fields {
		reset := P(new(V))
		dots = value.store().reset(reset.store(), dots)
		into.refile(k, reset, reset.store().dots())
	}
	return dots
}

func (m *ORMap[K, V, P]) empty() bool { return len(m.fields) == 0 }

func (m *ORMap[K, V, P]) present() bool {
	for range m.Keys() {
		return true
	}
	return false
}

func (m *ORMap[K, V, P]) typeName() string { return mapName }

// MarshalBinary returns the canonical form (docs/format.md). The error is a
// [*ValueError] about a field or an element that has none, or an origin that has
// run out of sequence numbers.
func (m *ORMap[K, V, P]) MarshalBinary() ([]byte, error) { return m.AppendBinary(nil) }

// AppendBinary appends the form of MarshalBinary to dst.
func (m *ORMap[K, V, P]) AppendBinary(dst []byte) ([]byte, error) {
	return appendStored(dst, m)
}

func (m *ORMap[K, V, P]) appendStore(dst []byte, t *dotTable) ([]byte, error) {
	rows, err := sortRows(maps.Keys(m.fields), len(m.fields))
	if err != nil {
		return nil, err
	}
	bodies := make([][]byte, len(rows))
	for i, row := range rows {
		if bodies[i], err = m.fields[row.element].appendStore(nil, t); err != nil {
			return nil, err
		}
	}
	dst = varint.AppendString(dst, P(nil).typeName())
	dst = appendRows(dst, rows)
	return appendBlobs(dst, len(rows), func(i int) []byte { return bodies[i] }), nil
}

// UnmarshalBinary replaces the receiver by what b holds. It accepts what
// MarshalBinary writes and nothing else: the error is a [*merge.FormatError] or
// a [*ValueError], and then the receiver is unchanged. It does not retain b.
func (m *ORMap[K, V, P]) UnmarshalBinary(b []byte) error {
	var read ORMap[K, V, P]
	if err := readStored(b, &read); err != nil {
		return err
	}
	*m = read
	return nil
}

func (m *ORMap[K, V, P]) readStore(r *varint.Reader, t *dotTable) error {
	name := P(nil).typeName()
	if got := r.Bytes(); r.Err() == nil && string(got) != name {
		r.Fail(fmt.Sprintf("fields of type %.32q where they are %q", got, name))
	}
	keys, err := readRows[K](r)
	if err != nil {
		return err
	}
	bodies := openBlobs(r, len(keys))
	if len(keys) > 0 {
		m.fields, m.keys = make(map[K]P, len(keys)), make(map[merge.Dot]K, len(keys))
	}
	what, field := "crdt: "+name+" in a map", new(varint.Reader)
	for _, k := range keys {
		*field = *varint.NewReader(what, bodies.next())
		if r.Err() != nil {
			return r.Err()
		}
		if err := m.readField(k, field, t); err != nil {
			return err
		}
	}
	return r.Done()
}

// readField reads the value of field k to the end of r.
func (m *ORMap[K, V, P]) readField(k K, r *varint.Reader, t *dotTable) error {
	value := P(new(V))
	if err := value.readStore(r, t); err != nil {
		return err
	}
	if value.store().empty() {
		r.Fail("a field that holds nothing")
	}
	m.fields[k] = value
	for d := range value.store().dots() {
		if m.holds(d) {
			r.Fail("a dot in two fields")
		}
		m.keys[d] = k
	}
	return r.Err()
}
