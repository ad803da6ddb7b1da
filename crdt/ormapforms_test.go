package crdt_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/merge"
)

var mapKind = allKinds["ormap"].(*crdt.MapKind)

// Histories of maps use the element of an op as the field, and its number as
// what is inside.
func (o op) field() string { return fmt.Sprint("f", o.element) }

func (o op) inner() string { return fmt.Sprint("g", (o.n+4)/3) }

func (o op) value() string { return fmt.Sprint("v", (o.n+4)%3) }

// path returns the name of a cell: the fields, the kinds in them, the element.
func path(t testing.TB, element []byte, fieldsAndKinds ...string) string {
	t.Helper()
	var name []byte
	for at := range slices.Chunk(fieldsAndKinds, 2) {
		var err error
		if name, err = crdt.AppendField(name, at[0], at[1]); err != nil {
			t.Fatal(err)
		}
	}
	return string(append(name, element...))
}

// supersedes is the write by which an author that sees the cell puts payload in
// place of what is there, or nothing.
func (c *cells) supersedes(name string, put bool, payload []byte) []cellOp {
	w, err := crdt.Supersede(c.at[name], put, payload)
	if err != nil {
		c.t.Fatal(err)
	}
	return []cellOp{{name, w}}
}

// inField is a write of the kind of a field.
func (c *cells) inField(o op, name string, w crdt.Op) []cellOp {
	seq := c.seen.Get(o.origin()) + 1
	full := crdt.Write{Dot: merge.Dot{Origin: o.origin(), Seq: seq}, Time: o.time, Element: []byte(name), Op: w}
	w, err := mapKind.InField(full, c.at[name], c.at[name])
	if err != nil {
		c.t.Fatal(err)
	}
	return []cellOp{{name, w}}
}

// drop resets every cell whose name starts with prefix.
func (c *cells) drop(prefix string) (ops []cellOp) {
	for _, name := range slices.Sorted(maps.Keys(c.at)) {
		if !strings.HasPrefix(name, prefix) {
			continue
		}
		w, needed, err := mapKind.ResetCell([]byte(name), c.at[name])
		if err != nil {
			c.t.Fatal(err)
		}
		if needed {
			ops = append(ops, cellOp{name, w})
		}
	}
	return ops
}

// A found is a cell that makes its field present.
type found struct {
	fields  []string
	element []byte
	state   []byte
}

// found returns the cells that make their fields present.
func (c *cells) found() (all []found) {
	for name, cell := range c.at {
		_, needed, err := mapKind.ResetCell([]byte(name), cell)
		state, err2 := mapKind.State([]byte(name), cell)
		if err != nil || err2 != nil {
			c.t.Fatal(err, err2)
		}
		f := found{state: state, element: []byte(name)}
		for kind := []byte("ormap"); string(kind) == "ormap"; {
			var field []byte
			if field, kind, f.element, err = crdt.CutField(f.element); err != nil {
				c.t.Fatal(err)
			}
			f.fields = append(f.fields, text(c.t, field))
		}
		if needed {
			all = append(all, f)
		}
	}
	return all
}

func text(t testing.TB, b []byte) string {
	t.Helper()
	s, err := crdt.DecodeValue[string](b)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// sets renders the elements by field that ok reports.
func (c *cells) sets(ok func([]byte) (bool, error)) string {
	fields := map[string][]string{}
	for _, f := range c.found() {
		at := strings.Join(f.fields, ".")
		yes, err := ok(f.state)
		if err != nil {
			c.t.Fatal(err)
		}
		if fields[at] = append(fields[at], []string{}...); yes {
			fields[at] = append(fields[at], text(c.t, f.element))
		}
	}
	return showFields(fields)
}

func showFields(fields map[string][]string) string {
	for _, values := range fields {
		slices.Sort(values)
	}
	return fmt.Sprint(fields)
}

// unseen returns the ops with one of the verbs in a field that no drop has seen.
func unseen(ops []op, drop func(drop, o op) bool, verbs ...string) (left []op) {
	for _, o := range ops {
		if slices.Contains(verbs, o.verb) && !slices.ContainsFunc(ops, func(d op) bool { return drop(d, o) && d.sees.has(o.id) }) {
			left = append(left, o)
		}
	}
	return left
}

// dropsField says that d removes the field that o changes.
func dropsField(d, o op) bool { return d.verb == "drop" && d.element == o.element }

// setsOf renders fields and values of ops.
func setsOf(ops []op, name func(op) string) string {
	fields := map[string][]string{}
	for _, o := range ops {
		if at := name(o); !slices.Contains(fields[at], o.value()) {
			fields[at] = append(fields[at], o.value())
		}
	}
	return showFields(fields)
}

// applyOrDrop is the apply of a map whose fields change does something to, unless
// the op removes the field.
func applyOrDrop[V any, P crdt.Field[V]](change func(P, op) (P, error)) func(*crdt.ORMap[string, V, P], op) (*crdt.ORMap[string, V, P], error) {
	return func(m *crdt.ORMap[string, V, P], o op) (*crdt.ORMap[string, V, P], error) {
		if o.verb == "drop" {
			return m.Remove(o.origin(), o.field()), nil
		}
		return m.Apply(o.field(), func(v P) (P, error) { return change(v, o) })
	}
}

// writeOrDrop is the same for cells.
func writeOrDrop(write func(*cells, op) []cellOp) func(*cells, op) []cellOp {
	return func(c *cells, o op) []cellOp {
		if o.verb == "drop" {
			return c.drop(string(element(c.t, o.field())))
		}
		return write(c, o)
	}
}

var setMapForm = form[*setMap]{
	verbs:  []string{"add", "add", "add", "remove", "drop"},
	bottom: func() *setMap { return &setMap{} },
	apply: applyOrDrop(func(s *orset, o op) (*orset, error) {
		if o.verb == "remove" {
			return s.Remove(o.origin(), o.value()), nil
		}
		return s.Add(o.origin(), o.value()), nil
	}),
	read: showSets,
	kind: mapKind,
	write: writeOrDrop(func(c *cells, o op) []cellOp {
		return c.supersedes(path(c.t, element(c.t, o.value()), o.field(), "orset"), o.verb == "add", nil)
	}),
	show: func(c *cells) string { return c.sets(anything) },
	spec: func(ops []op) string {
		return setsOf(unseen(ops, func(d, o op) bool {
			return dropsField(d, o) || d.verb == "remove" && d.element == o.element && d.value() == o.value()
		}, "add"), op.field)
	},
}

type rwsetMap = crdt.ORMap[string, crdt.RWSet[string], *crdt.RWSet[string]]

var rwsetMapForm = form[*rwsetMap]{
	verbs:  []string{"add", "add", "remove", "drop"},
	bottom: func() *rwsetMap { return &rwsetMap{} },
	apply: applyOrDrop(func(s *crdt.RWSet[string], o op) (*crdt.RWSet[string], error) {
		if o.verb == "remove" {
			return s.Remove(o.origin(), o.value()), nil
		}
		return s.Add(o.origin(), o.value()), nil
	}),
	read: func(m *rwsetMap) string {
		fields := map[string][]string{}
		for f, s := range m.All() {
			fields[f] = slices.Sorted(s.All())
		}
		return showFields(fields)
	},
	kind: mapKind,
	write: writeOrDrop(func(c *cells, o op) []cellOp {
		payload := crdt.Added
		if o.verb == "remove" {
			payload = crdt.Removed
		}
		return c.supersedes(path(c.t, element(c.t, o.value()), o.field(), "rwset"), true, payload)
	}),
	show: func(c *cells) string { return c.sets(crdt.RWSetHas) },
	// Of what nothing later in the element or a drop of the field has seen:
	// present if there are adds and no removes.
	spec: func(ops []op) string {
		live := unseen(ops, func(d, o op) bool {
			return dropsField(d, o) || d.verb != "drop" && d.element == o.element && d.value() == o.value()
		}, "add", "remove")
		fields := map[string][]string{}
		for _, o := range live {
			removed := some(live, func(r op) bool { return r.verb == "remove" && r.element == o.element && r.value() == o.value() })
			if fields[o.field()] = append(fields[o.field()], []string{}...); !removed && !slices.Contains(fields[o.field()], o.value()) {
				fields[o.field()] = append(fields[o.field()], o.value())
			}
		}
		return showFields(fields)
	},
}

var counterMapForm = form[*counterMap]{
	verbs:  []string{"add", "add", "add", "drop"},
	bottom: func() *counterMap { return &counterMap{} },
	apply:  applyOrDrop(func(c *crdt.PNCounter, o op) (*crdt.PNCounter, error) { return c.Add(o.origin(), o.n) }),
	read:   showCounts,
	kind:   mapKind,
	write: writeOrDrop(func(c *cells, o op) []cellOp {
		return c.counts(o, path(c.t, nil, o.field(), "pncounter"))
	}),
	show: func(c *cells) string { return c.totals() },
	spec: func(ops []op) string { return totalsOf(unseen(ops, dropsField, "add"), op.field) },
}

// counts is an addition to the counter with the prefix given.
func (c *cells) counts(o op, prefix string) []cellOp {
	origin := o.origin()
	name := prefix + string(origin[:])
	share, err := crdt.DecodeShare(c.at[name])
	if err != nil {
		c.t.Fatal(err)
	}
	if share, err = share.Add(o.n); err != nil {
		c.t.Fatal(err)
	}
	if share == (crdt.Share{}) {
		return nil
	}
	return []cellOp{sharePut(name, share)}
}

// totals renders the counters by field.
func (c *cells) totals() string {
	fields := map[string]int64{}
	for _, f := range c.found() {
		s, err := crdt.DecodeShare(f.state)
		if err != nil {
			c.t.Fatal(err)
		}
		fields[strings.Join(f.fields, ".")] += int64(s.P-s.PBase) - int64(s.N-s.NBase)
	}
	return fmt.Sprint(fields)
}

func totalsOf(ops []op, name func(op) string) string {
	fields := map[string]int64{}
	for _, o := range ops {
		if o.n != 0 {
			fields[name(o)] += o.n
		}
	}
	return fmt.Sprint(fields)
}

// dropsInner says that d removes the inner field that o changes, or the field
// around it.
func dropsInner(d, o op) bool {
	return dropsField(d, o) || d.verb == "remove" && d.element == o.element && d.inner() == o.inner()
}

func innerName(o op) string { return o.field() + "." + o.inner() }

var deepMapForm = form[*deepMap]{
	verbs:  []string{"add", "add", "add", "remove", "drop"},
	bottom: func() *deepMap { return &deepMap{} },
	apply: applyOrDrop(func(inner *counterMap, o op) (*counterMap, error) {
		if o.verb == "remove" {
			return inner.Remove(o.origin(), o.inner()), nil
		}
		return inner.Apply(o.inner(), func(c *crdt.PNCounter) (*crdt.PNCounter, error) { return c.Add(o.origin(), o.n) })
	}),
	read: func(m *deepMap) string {
		fields := map[string]int64{}
		for f, inner := range m.All() {
			for g, c := range inner.All() {
				fields[f+"."+g] = c.Value()
			}
		}
		return fmt.Sprint(fields)
	},
	kind: mapKind,
	write: func(c *cells, o op) []cellOp {
		switch o.verb {
		case "drop":
			return c.drop(string(element(c.t, o.field())))
		case "remove":
			return c.drop(path(c.t, element(c.t, o.inner()), o.field(), "ormap"))
		}
		return c.counts(o, path(c.t, nil, o.field(), "ormap", o.inner(), "pncounter"))
	},
	show: func(c *cells) string { return c.totals() },
	spec: func(ops []op) string { return totalsOf(unseen(ops, dropsInner, "add"), innerName) },
}

var nestedMapForm = form[*nestedMap]{
	verbs:  []string{"add", "add", "add", "remove", "drop"},
	bottom: func() *nestedMap { return &nestedMap{} },
	apply: applyOrDrop(func(inner *setMap, o op) (*setMap, error) {
		if o.verb == "remove" {
			return inner.Remove(o.origin(), o.inner()), nil
		}
		return inner.Apply(o.inner(), func(s *orset) (*orset, error) { return s.Add(o.origin(), o.value()), nil })
	}),
	read: func(m *nestedMap) string {
		fields := map[string][]string{}
		for f, inner := range m.All() {
			for g, s := range inner.All() {
				fields[f+"."+g] = slices.Sorted(s.All())
			}
		}
		return showFields(fields)
	},
	kind: mapKind,
	write: func(c *cells, o op) []cellOp {
		switch o.verb {
		case "drop":
			return c.drop(string(element(c.t, o.field())))
		case "remove":
			return c.drop(path(c.t, element(c.t, o.inner()), o.field(), "ormap"))
		}
		return c.supersedes(path(c.t, element(c.t, o.value()), o.field(), "ormap", o.inner(), "orset"), true, nil)
	},
	show: func(c *cells) string { return c.sets(anything) },
	spec: func(ops []op) string { return setsOf(unseen(ops, dropsInner, "add"), innerName) },
}

var gsetMapForm = form[*gsetMap]{
	verbs:  []string{"add", "add", "drop"},
	bottom: func() *gsetMap { return &gsetMap{} },
	apply: applyOrDrop(func(s *gsetField, o op) (*gsetField, error) {
		var one crdt.GSet[string]
		return s.Join(o.origin(), one.Add(o.value())), nil
	}),
	read: func(m *gsetMap) string {
		fields := map[string][]string{}
		for f, s := range m.All() {
			fields[f] = slices.Sorted(s.Value().All())
		}
		return showFields(fields)
	},
	kind: mapKind,
	write: writeOrDrop(func(c *cells, o op) []cellOp {
		return c.inField(o, path(c.t, element(c.t, o.value()), o.field(), "gset"), crdt.Op{Put: true})
	}),
	show: func(c *cells) string { return c.sets(anything) },
	spec: func(ops []op) string { return setsOf(unseen(ops, dropsField, "add"), op.field) },
}

type (
	lwwField = crdt.Nested[crdt.LWWRegister[int], *crdt.LWWRegister[int]]
	lwwMap   = crdt.ORMap[string, lwwField, *lwwField]
)

var lwwFieldsForm = form[*lwwMap]{
	verbs:  []string{"set", "set", "drop"},
	bottom: func() *lwwMap { return &lwwMap{} },
	apply: applyOrDrop(func(r *lwwField, o op) (*lwwField, error) {
		delta, err := r.Value().Set(crdt.Stamp{Time: o.time, Origin: o.origin()}, o.id)
		if err != nil {
			return nil, err
		}
		return r.Join(o.origin(), delta), nil
	}),
	read: func(m *lwwMap) string {
		fields := map[string]int{}
		for f, r := range m.All() {
			fields[f], _ = r.Value().Get()
		}
		return fmt.Sprint(fields)
	},
	kind: mapKind,
	write: writeOrDrop(func(c *cells, o op) []cellOp {
		return c.inField(o, path(c.t, nil, o.field(), "lww"), crdt.Op{Put: true, Payload: element(c.t, o.id)})
	}),
	show: func(c *cells) string {
		fields := map[string]int{}
		for _, f := range c.found() {
			latest, err := crdt.DecodeLatest(f.state)
			if err != nil {
				c.t.Fatal(err)
			}
			if fields[f.fields[0]], err = crdt.DecodeValue[int](latest.Value); err != nil {
				c.t.Fatal(err)
			}
		}
		return fmt.Sprint(fields)
	},
	// The latest of the writes that no drop of the field has seen.
	spec: func(ops []op) string {
		fields := map[string]int{}
		left := unseen(ops, dropsField, "set")
		slices.SortFunc(left, func(a, b op) int { return cmp.Or(a.time.Compare(b.time), cmp.Compare(a.replica, b.replica)) })
		for _, o := range left {
			fields[o.field()] = o.id
		}
		return fmt.Sprint(fields)
	},
}

func TestMapsAgainstSpecification(t *testing.T) {
	t.Run("ORSet", func(t *testing.T) { playAll(t, setMapForm) })
	t.Run("RWSet", func(t *testing.T) { playAll(t, rwsetMapForm) })
	t.Run("PNCounter", func(t *testing.T) { playAll(t, counterMapForm) })
	t.Run("ORMap of PNCounter", func(t *testing.T) { playAll(t, deepMapForm) })
	t.Run("ORMap of ORSet", func(t *testing.T) { playAll(t, nestedMapForm) })
	t.Run("GSet", func(t *testing.T) { playAll(t, gsetMapForm) })
	t.Run("LWWRegister", func(t *testing.T) { playAll(t, lwwFieldsForm) })
}

func TestMapLaws(t *testing.T) {
	t.Run("ORSet", func(t *testing.T) { lawsOf(t, setMapForm) })
	t.Run("RWSet", func(t *testing.T) { lawsOf(t, rwsetMapForm) })
	t.Run("PNCounter", func(t *testing.T) { lawsOf(t, counterMapForm) })
	t.Run("ORMap of PNCounter", func(t *testing.T) { lawsOf(t, deepMapForm) })
	t.Run("ORMap of ORSet", func(t *testing.T) { lawsOf(t, nestedMapForm) })
	t.Run("GSet", func(t *testing.T) { lawsOf(t, gsetMapForm) })
	t.Run("LWWRegister", func(t *testing.T) { lawsOf(t, lwwFieldsForm) })
}
