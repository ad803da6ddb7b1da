package faultstore

import (
	"fmt"
	"runtime"
	"sync/atomic"

	"github.com/joinery-crdt/joinery/store"
)

// A Rule decides about one step: nil lets it happen, an error happens in its
// place. At [Acknowledge] the step has happened, so that an error there is made
// an uncertain one; an uncertain one at [Commit] is a flush whose data was lost.
//
// A rule may wait, to delay a step, but calls no method of the store. It is
// called by all goroutines that use the store.
type Rule func(Step) error

// Slow lets others go first at every step.
func Slow(Step) error {
	runtime.Gosched()
	return nil
}

// At fails the k-th step, from 0, with err.
func At(k int, err error) Rule {
	return func(s Step) error {
		if s.N == k {
			return err
		}
		return nil
	}
}

// From fails the k-th step, from 0, and all later ones with err. With an
// uncertain error it is a machine that stops there: what the disk holds shows
// when it is opened again.
func From(k int, err error) Rule {
	return func(s Step) error {
		if s.N >= k {
			return err
		}
		return nil
	}
}

// On fails every step of one kind with err.
func On(op Op, err error) Rule {
	return func(s Step) error {
		if s.Op == op {
			return err
		}
		return nil
	}
}

// OnNth fails the n-th step, from 0, of one kind with err.
func OnNth(op Op, n int, err error) Rule {
	var seen atomic.Int64
	return func(s Step) error {
		if s.Op == op && seen.Add(1)-1 == int64(n) {
			return err
		}
		return nil
	}
}

// Full is a disk with room for so many bytes of keys and values: the Put that
// would go beyond fails with a [*store.FullError], and so does every Update that
// begins later. Disarm makes room.
func Full(room int64) Rule {
	var used atomic.Int64
	return func(s Step) error {
		full := used.Load() > room
		if s.Op == Put {
			full = used.Add(int64(s.Bytes)) > room
		}
		if full && (s.Op == Put || s.Op == Update) {
			return &store.FullError{Path: "faultstore", Free: 0, Need: room}
		}
		return nil
	}
}

// Uncertain is an error that is [store.ErrUncertain], for a flush that failed:
// armed at [Commit] the data was lost, at [Acknowledge] it was kept.
func Uncertain(cause error) error {
	return fmt.Errorf("faultstore: %w: %w", store.ErrUncertain, cause)
}
