package crdt_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/merge"
)

// A span is a lattice of somebody else: the later of some days. It is read from
// one byte or two, and written as one.
type span struct{ last byte }

func (s *span) Merge(from *span) bool {
	changed := from.last > s.last
	s.last = max(s.last, from.last)
	return changed
}

func (s *span) Equal(o *span) bool                      { return *s == *o }
func (s *span) Clone() *span                            { c := *s; return &c }
func (s *span) AppendBinary(dst []byte) ([]byte, error) { return append(dst, s.last), nil }

var errNoSpan = errors.New("no span")

func decodeSpan(b []byte) (span, error) {
	if len(b) == 0 || len(b) > 2 {
		return span{}, errNoSpan
	}
	return span{b[0]}, nil
}

func newSpanKind(t *testing.T, check func([]byte) error) crdt.Kind {
	t.Helper()
	k, err := crdt.NewLatticeKind("span", check, decodeSpan)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestLatticeKindJoins(t *testing.T) {
	k := newSpanKind(t, crdt.CheckElement)
	var cell []byte
	for _, step := range []struct{ payload, want byte }{{3, 3}, {2, 3}, {7, 7}, {7, 7}} {
		w := put(dot(1, 1), []byte{step.payload})
		w.Element = element(t, "a")
		if err := k.Check(w); err != nil {
			t.Fatal(err)
		}
		var err error
		if cell, err = k.Join(cell, merge.ContextOf(), w); err != nil || !bytes.Equal(cell, []byte{step.want}) {
			t.Errorf("joining %d gives %x, %v, want %x", step.payload, cell, err, step.want)
		}
	}
	if k.Name() != "span" {
		t.Errorf("the name is %q", k.Name())
	}
}

func TestLatticeKindRefusesWrites(t *testing.T) {
	named, single := newSpanKind(t, crdt.CheckElement), newSpanKind(t, nil)
	for _, c := range []struct {
		kind    crdt.Kind
		element []byte
		write   crdt.Write
		why     string
	}{
		{named, nil, put(dot(1, 1), []byte{1}), "no element"},
		{named, element(t, "a"), put(dot(1, 1), nil), "nothing"},
		{named, element(t, "a"), put(dot(1, 1), []byte{1, 1}), "what is written otherwise"},
		{named, element(t, "a"), drop(dot(1, 1)), "a removal"},
		{named, element(t, "a"), put(dot(1, 2), []byte{1}, dot(1, 1)), "superseded dots"},
		{single, element(t, "a"), put(dot(1, 1), []byte{1}), "a named cell"},
	} {
		c.write.Element = c.element
		if err := c.kind.Check(c.write); !errors.Is(err, crdt.ErrWrite) {
			t.Errorf("Check of %s = %v, want ErrWrite", c.why, err)
		}
	}
	if err := single.Check(put(dot(1, 1), []byte{1})); err != nil {
		t.Errorf("Check of a write to the only cell = %v", err)
	}
	_, err := named.Join([]byte{1, 1, 1}, merge.ContextOf(), put(dot(1, 1), []byte{1}))
	if e, ok := errors.AsType[*crdt.CellError](err); !ok || !errors.Is(e, errNoSpan) {
		t.Errorf("Join of a damaged cell = %v, want a *CellError", err)
	}
}

func TestLatticeKindNames(t *testing.T) {
	for _, name := range append(crdt.Builtin().Names(), "", "\xff", strings.Repeat("k", crdt.MaxKindName+1)) {
		k, err := crdt.NewLatticeKind(name, nil, decodeSpan)
		if e, ok := errors.AsType[*crdt.KindError](err); !ok || e.Name != name || !errors.Is(err, crdt.ErrKind) || k != nil {
			t.Errorf("a kind called %q: %v, want a *KindError", name, err)
		}
	}
	if _, err := crdt.NewLatticeKind[span]("span", nil, nil); !errors.Is(err, crdt.ErrKind) {
		t.Errorf("a kind without a decoder: %v, want ErrKind", err)
	}
	if _, err := crdt.NewLatticeKind(strings.Repeat("k", crdt.MaxKindName), nil, decodeSpan); err != nil {
		t.Errorf("a kind with the longest name: %v", err)
	}
}

func TestKindsAdd(t *testing.T) {
	kinds, k := crdt.Builtin(), newSpanKind(t, nil)
	n := len(kinds)
	for _, bad := range [][]crdt.Kind{{k, crdt.ORSetKind}, {k, newSpanKind(t, nil)}} {
		if err := kinds.Add(bad...); !errors.Is(err, crdt.ErrKind) || len(kinds) != n {
			t.Errorf("Add = %v, %d kinds, want ErrKind and nothing added", err, len(kinds))
		}
	}
	if err := kinds.Add(k); err != nil || kinds["span"] != k || len(kinds) != n+1 {
		t.Errorf("Add = %v, %d kinds", err, len(kinds))
	}
	if err := kinds.Add(k); !errors.Is(err, crdt.ErrKind) {
		t.Errorf("Add again = %v, want ErrKind", err)
	}
	if len(crdt.Builtin()) != n {
		t.Error("the built-in kinds are shared")
	}
}
