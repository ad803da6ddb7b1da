// Package faultstore wraps a [store.Store] and lets single operations of it go
// wrong by rule, so that what is built on a store can be tested at each of them.
//
//	s := faultstore.Wrap(memstore.New())
//	s.Arm(faultstore.At(k, errDisk)) // for k = 0, 1, … until Steps is no longer beyond it
//
// # Guarantees
//
//   - With no rule armed the wrapper keeps every clause of the contract that the
//     wrapped store keeps.
//   - With any rule armed it keeps the contract's word on errors: an operation
//     that fails changed nothing; an Update that fails is not kept, unless its
//     error is [store.ErrUncertain], and after that one no Update is taken.
//
// # Limits
//
// Methods of a backend beyond the contract, and beyond the optional interfaces of
// package store, are not wrapped; [Store.Unwrap] gives the backend.
package faultstore

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/joinery-crdt/joinery/store"
)

// An Op is one kind of step that a store takes.
type Op uint8

// The kinds of step, in the order in which a transaction meets them.
const (
	View        Op = iota + 1 // View, before its function is called
	Update                    // Update, before its function is called
	Get                       // Get
	Scan                      // one loop over a Scan, before its first record
	Next                      // one record of a Scan
	Spaces                    // one loop over Spaces
	Put                       // Put
	Delete                    // Delete
	Commit                    // an Update's function returned nil; nothing is durable yet
	Acknowledge               // the Update is durable; its caller does not know yet
	Close                     // Close, before the wrapped store is closed
)

var opNames = [...]string{
	View: "view", Update: "update", Get: "get", Scan: "scan", Next: "next", Spaces: "spaces",
	Put: "put", Delete: "delete", Commit: "commit", Acknowledge: "acknowledge", Close: "close",
}

// String returns the operation's name.
func (op Op) String() string {
	if int(op) >= len(opNames) || opNames[op] == "" {
		return fmt.Sprintf("op %d", uint8(op))
	}
	return opNames[op]
}

// A Step is one operation that is about to happen.
type Step struct {
	N     int // number of the step since the rule was armed, from 0
	Op    Op
	Space string      // of Get, Scan, Next, Put and Delete
	Table store.Table // of the same
	Bytes int         // of key and value, of Put
}

// A Store is a [store.Store] with faults.
type Store struct {
	inner store.Store
	armed atomic.Pointer[arming]
	stuck atomic.Pointer[error] // why no Update is taken any more
}

// An arming is a rule and the steps it has seen.
type arming struct {
	rule  Rule
	steps atomic.Int64
}

var _ store.Store = (*Store)(nil)

// Wrap returns a store over inner with no rule armed. It owns inner from then
// on: Close closes it.
func Wrap(inner store.Store) *Store {
	s := &Store{inner: inner}
	s.Disarm()
	return s
}

// Arm lets rule decide about every step from now on, in the place of the rule
// before, and counts steps from 0. A transaction that runs meets the new rule
// at its next step.
func (s *Store) Arm(rule Rule) { s.armed.Store(&arming{rule: rule}) }

// Disarm lets every step happen, and counts steps from 0. An Update that ended
// uncertain keeps the store from taking more.
func (s *Store) Disarm() { s.Arm(func(Step) error { return nil }) }

// Steps returns the number of steps since the last Arm or Disarm.
func (s *Store) Steps() int { return int(s.armed.Load().steps.Load()) }

// Unwrap returns the wrapped store.
func (s *Store) Unwrap() store.Store { return s.inner }

// Place implements [store.Placed].
func (s *Store) Place() string { return store.Place(s.inner) }

// Health implements [store.Watched].
func (s *Store) Health() error { return store.Health(s.inner) }

var (
	_ store.Placed  = (*Store)(nil)
	_ store.Watched = (*Store)(nil)
)

// step asks the rule about one step.
func (s *Store) step(st Step) error {
	a := s.armed.Load()
	st.N = int(a.steps.Add(1)) - 1
	return a.rule(st)
}

// View implements [store.Store].
func (s *Store) View(ctx context.Context, fn func(store.Reader) error) error {
	if err := s.step(Step{Op: View}); err != nil {
		return err
	}
	return s.inner.View(ctx, func(r store.Reader) error { return fn(reader{r, s}) })
}

// Update implements [store.Store].
func (s *Store) Update(ctx context.Context, fn func(store.Tx) error) error {
	if err := s.refusal(); err != nil {
		return err
	}
	if err := s.step(Step{Op: Update}); err != nil {
		return s.note(err)
	}
	err := s.inner.Update(ctx, func(inner store.Tx) error {
		if err := fn(tx{reader{inner, s}, inner}); err != nil {
			return err
		}
		if err := s.refusal(); err != nil {
			return err
		}
		return s.note(s.step(Step{Op: Commit}))
	})
	if err != nil {
		return err
	}
	return s.note(uncertain(s.step(Step{Op: Acknowledge})))
}

// refusal returns why no Update is taken.
func (s *Store) refusal() error {
	if err := s.stuck.Load(); err != nil {
		return *err
	}
	return nil
}

// note returns err. After an uncertain one no Update is taken.
func (s *Store) note(err error) error {
	if errors.Is(err, store.ErrUncertain) {
		s.stuck.CompareAndSwap(nil, &err)
	}
	return err
}

// uncertain makes an error about what is already durable an uncertain one.
func uncertain(err error) error {
	if err == nil || errors.Is(err, store.ErrUncertain) {
		return err
	}
	return Uncertain(err)
}

// Close implements [store.Store]. The wrapped store is closed whatever the rule
// says.
func (s *Store) Close() error {
	err := s.step(Step{Op: Close})
	return errors.Join(err, s.inner.Close())
}
