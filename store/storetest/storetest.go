// Package storetest holds the clauses of the contract in package store as
// checks. A backend's whole conformance test is the call of [Run]:
//
//	func TestConformance(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) storetest.Harness {
//			dir := t.TempDir()
//			return storetest.Harness{Open: func(t *testing.T) store.Store { return open(t, dir) }}
//		})
//	}
//
// The clauses are themselves tested, on stores that break them.
package storetest

import (
	"context"
	"fmt"
	"testing"

	"github.com/joinery-crdt/joinery/store"
)

// A Harness is one place that can hold a store. It starts empty.
type Harness struct {
	// Open opens the store. After Close it opens the same data again. A clause
	// has at most one store of a harness open at a time and closes it.
	Open func(t *testing.T) store.Store
}

// A Clause is one promise of the contract.
type Clause struct {
	Name string
	// Check returns nil if the store keeps the promise and what it did instead
	// if not. It passes t to h.Open and fails it in no other way.
	Check func(t *testing.T, h Harness) error
}

// Run checks every clause, each in a subtest on a harness of its own.
func Run(t *testing.T, newHarness func(t *testing.T) Harness) {
	for _, c := range Clauses() {
		t.Run(c.Name, func(t *testing.T) {
			if err := c.Check(t, newHarness(t)); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// Clauses returns all clauses.
func Clauses() []Clause {
	var all []Clause
	for _, group := range [][]named{basics, limits, scans, spaces, transactions, isolation, lifetime} {
		for _, n := range group {
			all = append(all, Clause{n.name, n.check})
		}
	}
	return all
}

// A named is a clause in the form in which this package writes them.
type named struct {
	name string
	run  func(s *subject) error
}

// check runs the clause on a store of h.
func (n named) check(t *testing.T, h Harness) error {
	s := &subject{t: t, ctx: t.Context(), harness: h, Store: h.Open(t)}
	defer s.Close()
	return n.run(s)
}

// A subject is a store under test with short forms for single operations.
type subject struct {
	store.Store
	t       *testing.T
	ctx     context.Context
	harness Harness
}

// reopen closes the store and opens it again.
func (s *subject) reopen() error {
	if err := s.Close(); err != nil {
		return fmt.Errorf("in Close: %w", err)
	}
	s.Store = s.harness.Open(s.t)
	return nil
}

// update is Update with the subject's context.
func (s *subject) update(fn func(store.Tx) error) error { return s.Update(s.ctx, fn) }

// view is View with the subject's context.
func (s *subject) view(fn func(store.Reader) error) error { return s.View(s.ctx, fn) }

// put sets keys of one table, given as key, value, key, value and so on, in
// one transaction.
func (s *subject) put(space string, t store.Table, pairs ...string) error {
	return s.update(func(tx store.Tx) error { return putAll(tx, space, t, pairs...) })
}

// putAll is subject.put inside a transaction.
func putAll(tx store.Tx, space string, t store.Table, pairs ...string) error {
	for i := 0; i < len(pairs); i += 2 {
		if err := tx.Put(space, t, []byte(pairs[i]), []byte(pairs[i+1])); err != nil {
			return fmt.Errorf("Put(%s): %w", short(pairs[i]), err)
		}
	}
	return nil
}

// want demands the value of a key.
func (s *subject) want(space string, t store.Table, key, value string) error {
	return s.view(func(r store.Reader) error { return wantIn(r, space, t, key, value) })
}

// wantAbsent demands that there is no such key.
func (s *subject) wantAbsent(space string, t store.Table, key string) error {
	return s.view(func(r store.Reader) error { return wantAbsentIn(r, space, t, key) })
}
