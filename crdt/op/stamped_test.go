package op_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/joinery-crdt/joinery/crdt"
	"github.com/joinery-crdt/joinery/crdt/object"
)

// What one transaction does to one element of a unique set is known in it.
func TestUniqueSetInOneTransaction(t *testing.T) {
	r := replica(a)
	do(t, r, func(tx object.Tx) error { return uSetRef.Add(tx, "old") })
	for name, test := range map[string]func(tx object.Tx) error{
		"twice":            func(tx object.Tx) error { return errors.Join(uSetRef.Add(tx, "x"), uSetRef.Add(tx, "x")) },
		"over another":     func(tx object.Tx) error { return uSetRef.Add(tx, "old") },
		"after its remove": func(tx object.Tx) error { return errors.Join(uSetRef.Remove(tx, "old"), uSetRef.Add(tx, "old")) },
	} {
		if m, err := r.Do(r.LastTime()+1, test); !errors.Is(err, crdt.ErrAdded) || m != nil {
			t.Errorf("adding %s = %v, want ErrAdded", name, err)
		}
	}
	m, err := r.Do(r.LastTime()+1, func(tx object.Tx) error {
		return errors.Join(uSetRef.Add(tx, "x"), uSetRef.Remove(tx, "x"))
	})
	if err != nil || m != nil {
		t.Errorf("adding and removing = %v, %v, want no change at all", m, err)
	}
	if got, err := showSet(uSetRef.All(r)); got != "[old]" || err != nil {
		t.Errorf("has %s, %v, want [old]", got, err)
	}
}

// The last write of a transaction is the one that counts.
func TestStampedWritesInOneTransaction(t *testing.T) {
	r := replica(a)
	do(t, r, func(tx object.Tx) error {
		return errors.Join(
			lwwSetRef.Add(tx, "out"), lwwSetRef.Remove(tx, "out"), lwwSetRef.Remove(tx, "in"), lwwSetRef.Add(tx, "in"),
			lwwMapRef.Set(tx, "a", 1), lwwMapRef.Set(tx, "a", 2), lwwMapRef.Set(tx, "b", 1), lwwMapRef.Delete(tx, "b"),
			pnSetRef.Add(tx, "x"), pnSetRef.Add(tx, "x"), pnSetRef.Remove(tx, "y"), pnSetRef.Add(tx, "x"), pnSetRef.Reset(tx, "y"),
		)
	})
	set, errSet := showSet(lwwSetRef.All(r))
	keys, errKeys := showSet(lwwMapRef.Keys(r))
	n, errCount := pnSetRef.Count(r, "x")
	y, errY := pnSetRef.Count(r, "y")
	size, errLen := lwwMapRef.Len(r)
	if err := errors.Join(errSet, errKeys, errCount, errY, errLen); err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(set, keys, size, n, y), "[in][a]1 3 0"; got != want {
		t.Errorf("has %s, want %s", got, want)
	}
	if has, err := lwwMapRef.Has(r, "b"); has || err != nil {
		t.Errorf("b is there: %v, %v", has, err)
	}
}

// A share that is full refuses in every form.
func TestCountingSetOverflow(t *testing.T) {
	r := replica(a)
	name, err := crdt.EncodeElement("x")
	if err != nil {
		t.Fatal(err)
	}
	full, _ := (&crdt.Share{P: 1<<63 - 1, N: 1<<63 - 1}).AppendBinary(nil)
	do(t, r, func(tx object.Tx) error {
		return pnSetRef.Writer(tx).Write(string(slices.Concat(name, a[:])), crdt.Op{Put: true, Payload: full})
	})
	for _, test := range []func(object.Tx, string) error{pnSetRef.Add, pnSetRef.Remove} {
		m, err := r.Do(r.LastTime()+1, func(tx object.Tx) error { return test(tx, "x") })
		if !errors.Is(err, crdt.ErrOverflow) || m != nil {
			t.Errorf("counting a full share = %v, %v, want ErrOverflow", m, err)
		}
	}
}
