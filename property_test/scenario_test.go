package property_test

import (
	"testing"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/crdt/crdttest"
	"github.com/joinery-crdt/joinery/crdt/object"
	"github.com/joinery-crdt/joinery/crdt/op"
)

// A key is created, deleted everywhere but at C, compacted and created again;
// then C returns with the first key. The new one must live, without the first.
func TestDoomstone(t *testing.T) {
	a, b, c := &crdt.ORSet[string]{}, &crdt.ORSet[string]{}, &crdt.ORSet[string]{}
	created := a.Add(crdttest.Origin(0), "k")
	b.Merge(created)
	c.Merge(created)
	b.Merge(a.Remove(crdttest.Origin(0), "k"))
	a, b = compacted(t, a), compacted(t, b)
	if a.Len() != 0 || b.Len() != 0 {
		t.Fatal("the deleted key is there")
	}
	b.Merge(a.Add(crdttest.Origin(0), "k"))
	for _, s := range []*crdt.ORSet[string]{a, b, c} {
		s.Merge(c)
		s.Merge(b)
		if !s.Has("k") || len(s.Dots("k")) != 1 || s.Dots("k")[0].Seq != 3 {
			t.Errorf("k has the dots %v, want the third change alone", s.Dots("k"))
		}
	}
}

// compacted returns what is left of a set when it is written and read: no trace
// of what was removed.
func compacted(t *testing.T, s *crdt.ORSet[string]) *crdt.ORSet[string] {
	t.Helper()
	bytes, err := s.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	again := &crdt.ORSet[string]{}
	if err := again.UnmarshalBinary(bytes); err != nil {
		t.Fatal(err)
	}
	return again
}

// The same in operation form, where C misses the delete and gets it last.
func TestDoomstoneByOperations(t *testing.T) {
	a, c := op.NewReplica(op.Config{Self: crdttest.Origin(0)}), op.NewReplica(op.Config{Self: crdttest.Origin(2)})
	keys := object.NewORSet[string]("keys")
	do := func(change func(object.Tx) error) *op.Message {
		m, err := a.Do(a.LastTime()+1, change)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	created := do(func(tx object.Tx) error { return keys.Add(tx, "k") })
	deleted := do(func(tx object.Tx) error { return keys.Remove(tx, "k") })
	again := do(func(tx object.Tx) error { return keys.Add(tx, "k") })
	for _, m := range []*op.Message{created, again, created, deleted, deleted} {
		if _, err := c.Receive(m); err != nil {
			t.Fatal(err)
		}
	}
	if has, err := keys.Has(c, "k"); err != nil || !has || !c.Equal(a) {
		t.Errorf("k is there: %t, error %v, as at A: %t", has, err, c.Equal(a))
	}
}
