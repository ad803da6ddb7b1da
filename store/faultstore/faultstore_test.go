package faultstore_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/joinery-crdt/joinery/store"
	"github.com/joinery-crdt/joinery/store/boltstore"
	"github.com/joinery-crdt/joinery/store/faultstore"
	"github.com/joinery-crdt/joinery/store/memstore"
	"github.com/joinery-crdt/joinery/store/storetest"
)

var errDisk = errors.New("disk: error at this operation")

func TestConformance(t *testing.T) {
	conform(t, nil)
}

// TestConformanceWhenSlow lets every step wait.
func TestConformanceWhenSlow(t *testing.T) {
	conform(t, faultstore.Slow)
}

// conform runs the suite with a rule armed, unless it is nil.
func conform(t *testing.T, rule faultstore.Rule) {
	storetest.Run(t, func(*testing.T) storetest.Harness {
		disk := new(memstore.Disk)
		return storetest.Harness{Open: func(t *testing.T) store.Store {
			s := on(t, disk)
			if rule != nil {
				s.Arm(rule)
			}
			return s
		}}
	})
}

// on opens a store on disk.
func on(t *testing.T, disk *memstore.Disk) *faultstore.Store {
	t.Helper()
	inner, err := memstore.Open(disk)
	if err != nil {
		t.Fatal(err)
	}
	return faultstore.Wrap(inner)
}

// script runs a few transactions that take steps of every kind and returns the
// numbers of the Updates that were acknowledged, and the first error.
func script(t *testing.T, s store.Store) (acknowledged []byte, failed error) {
	for i := range byte(4) {
		err := s.Update(t.Context(), func(tx store.Tx) error { return change(tx, i) })
		if err == nil {
			acknowledged = append(acknowledged, i)
		}
		err = errors.Join(err, s.View(t.Context(), func(r store.Reader) error {
			_, err := contents(r)
			return err
		}))
		if failed == nil {
			failed = err
		}
	}
	return acknowledged, failed
}

// change writes two records under i and replaces a third.
func change(tx store.Tx, i byte) error {
	if _, err := tx.Get("a", store.Cells, []byte{i}); !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("Get of an absent key = %w", err)
	}
	return errors.Join(
		tx.Put("a", store.Cells, []byte{i}, []byte{i}),
		tx.Put("b", store.Log, []byte{i}, []byte{i}),
		tx.Delete("c", store.Meta, nil),
		tx.Put("c", store.Meta, []byte("last"), []byte{i}),
	)
}

// contents returns the numbers of the changes in r, and an error if one is not
// whole.
func contents(r store.Reader) (whole []byte, err error) {
	for name, err := range r.Spaces() {
		if err != nil {
			return nil, fmt.Errorf("Spaces, at %q: %w", name, err)
		}
	}
	for rec, err := range r.Scan("a", store.Cells, store.Range{}) {
		if err != nil {
			return nil, err
		}
		if _, err := r.Get("b", store.Log, rec.Key); err != nil {
			return nil, fmt.Errorf("change %d is half there: %w", rec.Key, err)
		}
		whole = append(whole, rec.Key...)
	}
	return whole, nil
}

// reopened returns the changes that a disk holds.
func reopened(t *testing.T, disk *memstore.Disk) (whole []byte) {
	t.Helper()
	s, err := memstore.Open(disk)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	return wholeIn(t, s)
}

// wholeIn returns the changes that a store holds.
func wholeIn(t *testing.T, s store.Store) (whole []byte) {
	t.Helper()
	err := s.View(t.Context(), func(r store.Reader) (err error) {
		whole, err = contents(r)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return whole
}

// A place opens a store again and again.
type place func(t *testing.T) store.Store

// places are new ones of the backends that need no server; package pgstore has
// a test of its own.
var places = map[string]func(t *testing.T) place{
	"memstore": func(*testing.T) place {
		disk := new(memstore.Disk)
		return func(t *testing.T) store.Store { return must(memstore.Open(disk))(t) }
	},
	"boltstore": func(t *testing.T) place {
		dir := t.TempDir()
		return func(t *testing.T) store.Store { return must(boltstore.Open(dir, boltstore.Options{}))(t) }
	},
}

// must returns a store, or fails the test with the error.
func must[S store.Store](s S, err error) func(*testing.T) store.Store {
	return func(t *testing.T) store.Store {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
}

// TestErrorAtEveryStep fails each step in its turn, alone and with all later
// ones, with an error that undoes the step and with one that leaves it open.
func TestErrorAtEveryStep(t *testing.T) {
	for name, rule := range map[string]func(int, error) faultstore.Rule{"at": faultstore.At, "from": faultstore.From} {
		for backend, newPlace := range places {
			for _, fault := range []error{errDisk, faultstore.Uncertain(errDisk)} {
				k := 0
				for failAt(t, newPlace(t), rule(k, fault), k) {
					k++
				}
				if k < 30 && name == "at" && fault == errDisk {
					t.Errorf("%s: the script took %d steps, want more", backend, k)
				}
			}
		}
	}
}

// failAt runs the script with a rule that fails step k, and demands what was
// acknowledged. It reports whether there was such a step.
func failAt(t *testing.T, open place, rule faultstore.Rule, k int) (hit bool) {
	t.Helper()
	s := faultstore.Wrap(open(t))
	s.Arm(rule)
	acknowledged, err := script(t, s)
	hit = s.Steps() > k
	if !errors.Is(err, errDisk) && hit {
		t.Errorf("step %d: the script ended with %v", k, err)
	}
	s.Disarm()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	again := open(t)
	defer again.Close()
	got := wholeIn(t, again)
	for _, i := range acknowledged {
		if !slices.Contains(got, i) {
			t.Errorf("step %d: the disk holds %v, acknowledged were %v", k, got, acknowledged)
		}
	}
	return hit
}

func TestEveryKindOfStepIsTaken(t *testing.T) {
	s := on(t, new(memstore.Disk))
	seen := map[faultstore.Op]int{}
	s.Arm(func(st faultstore.Step) error {
		seen[st.Op]++
		return nil
	})
	if _, err := script(t, s); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for op := faultstore.View; op <= faultstore.Close; op++ {
		if seen[op] == 0 {
			t.Errorf("no step %v among %v", op, seen)
		}
	}
	if got := faultstore.Op(99).String(); got != "op 99" {
		t.Errorf("String of an unknown operation = %q", got)
	}
}

func TestUncertainCommit(t *testing.T) {
	for _, tt := range []struct {
		op   faultstore.Op
		err  error
		want []byte
	}{
		{faultstore.Commit, faultstore.Uncertain(errDisk), []byte{0}},
		{faultstore.Acknowledge, faultstore.Uncertain(errDisk), []byte{0, 1}},
		{faultstore.Acknowledge, errDisk, []byte{0, 1}}, // too late to undo it
	} {
		disk := new(memstore.Disk)
		s := on(t, disk)
		s.Arm(faultstore.OnNth(tt.op, 1, tt.err))
		acknowledged, err := script(t, s)
		if !errors.Is(err, store.ErrUncertain) || !errors.Is(err, errDisk) {
			t.Errorf("uncertain at %v: the script ended with %v", tt.op, err)
		}
		if !slices.Equal(acknowledged, []byte{0}) {
			t.Errorf("uncertain at %v: acknowledged %v, want only what came before", tt.op, acknowledged)
		}
		s.Disarm()
		called := false
		err = s.Update(t.Context(), func(store.Tx) error { called = true; return nil })
		if !errors.Is(err, store.ErrUncertain) || called {
			t.Errorf("Update after an uncertain one = %v, function called: %v; want ErrUncertain, false", err, called)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if got := reopened(t, disk); !slices.Equal(got, tt.want) {
			t.Errorf("uncertain at %v: the disk holds %v, want %v", tt.op, got, tt.want)
		}
	}
}

func TestFullDisk(t *testing.T) {
	disk := new(memstore.Disk)
	s := on(t, disk)
	s.Arm(faultstore.Full(12))
	acknowledged, err := script(t, s)
	if e, ok := errors.AsType[*store.FullError](err); !ok || !errors.Is(err, store.ErrReadOnly) || e.Need != 12 {
		t.Errorf("the script ended with %v, want a FullError", err)
	}
	if !slices.Equal(acknowledged, []byte{0}) {
		t.Errorf("acknowledged %v, want the one that had room", acknowledged)
	}
	s.Disarm()
	if err := s.Update(t.Context(), func(tx store.Tx) error { return change(tx, 9) }); err != nil {
		t.Errorf("Update with room again: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if got := reopened(t, disk); !slices.Equal(got, []byte{0, 9}) {
		t.Errorf("the disk holds %v, want what was acknowledged", got)
	}
}

func TestCloseWithFaultCloses(t *testing.T) {
	disk := new(memstore.Disk)
	s := on(t, disk)
	s.Arm(faultstore.On(faultstore.Close, errDisk))
	if err := s.Close(); !errors.Is(err, errDisk) {
		t.Errorf("Close = %v, want the rule's error", err)
	}
	if s.Unwrap() == nil {
		t.Error("Unwrap = nil")
	}
	on(t, disk).Close() // fails the test if the disk is still in use
}

// elsewhere is a store with the optional interfaces.
type elsewhere struct{ store.Store }

func (elsewhere) Place() string { return "a place" }
func (elsewhere) Health() error { return errDisk }

func TestOptionalInterfacesArePassedOn(t *testing.T) {
	plain, s := faultstore.Wrap(memstore.New()), faultstore.Wrap(elsewhere{memstore.New()})
	if place, err := store.Place(plain), store.Health(plain); place != "" || err != nil {
		t.Errorf("over a store without: place %q, health %v", place, err)
	}
	if place, err := store.Place(s), store.Health(s); place != "a place" || !errors.Is(err, errDisk) {
		t.Errorf("over a store with them: place %q, health %v", place, err)
	}
}

func Example() {
	s := faultstore.Wrap(memstore.New())
	defer s.Close()
	s.Arm(faultstore.Full(0))
	err := s.Update(context.Background(), func(tx store.Tx) error {
		return tx.Put("notes", store.Cells, []byte("title"), []byte("Shopping"))
	})
	fmt.Println(errors.Is(err, store.ErrReadOnly))
	// Output: true
}
