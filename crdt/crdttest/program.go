package crdttest

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/joinery-crdt/joinery/hlc"
	"github.com/joinery-crdt/joinery/merge"
)

// Replicas is how many replicas a program runs on. One more takes part at the
// end, which learns of everything at once.
const Replicas = 3

// Origin returns the origin of the n-th replica, from 0. They ascend with n.
func Origin(n int) merge.Origin { return merge.Origin{15: byte(n)} }

// A Program is what happens in a history. Every part of a program is a program,
// which is what makes it shrink: a step that has nothing to act upon does
// nothing.
type Program []Step

// A Step is one event. Its numbers are not negative, and are taken modulo what
// there is to choose from.
type Step struct {
	Do      Action
	At      int // the replica
	From    int // the other replica, or how many messages ago
	What    int // the verb, or how many messages ago
	Element int
	N       int // stands for a small number, not always positive
}

// An Action is what a step does.
type Action int

// The actions.
const (
	Local   Action = iota // the replica changes something, and sends the delta
	Deliver               // one message reaches the replica, perhaps again
	Pull                  // the replica merges the state of another
	Group                 // two messages are merged into a third
	Reload                // the replica restarts from its bytes
	actions
)

// String tells the step in words, as far as they do not depend on the history.
func (s Step) String() string {
	at := name(s.At % Replicas)
	switch s.Do % actions {
	case Local:
		return fmt.Sprintf("%s changes e%d by verb %d", at, s.Element%elements, s.What)
	case Deliver:
		return fmt.Sprintf("%s gets the message %d before the last", at, s.From)
	case Pull:
		return fmt.Sprintf("%s merges the state of %s", at, name(s.From%Replicas))
	case Group:
		return fmt.Sprintf("the messages %d and %d before the last are merged", s.From, s.What)
	}
	return at + " restarts"
}

// name returns the letter of a replica.
func name(replica int) string { return string(rune('A' + replica)) }

// elements is the number of different elements.
const elements = 3

// change returns what the step does at a replica that has seen the changes
// given, as the id-th change of the history.
func (s Step) change(id int, verbs []string, seen Changes) Change {
	numbers := []int64{1, 2, 3, -1, -2, 0, 5, -4}
	c := Change{
		ID: id, Origin: Origin(s.At % Replicas), Time: 1,
		Verb:    verbs[s.What%len(verbs)],
		Element: fmt.Sprint("e", s.Element%elements),
		N:       numbers[s.N%len(numbers)],
	}
	for _, o := range seen {
		c.seen |= 1 << o.ID
		c.Time = max(c.Time, o.Time+hlc.Timestamp(1))
	}
	return c
}

// Random returns a program of the number of steps given.
func Random(r *rand.Rand, steps int) Program {
	weights := []Action{Local, Local, Local, Local, Deliver, Deliver, Deliver, Pull, Pull, Group, Reload}
	p := make(Program, steps)
	for i := range p {
		p[i] = Step{
			Do: weights[r.IntN(len(weights))], At: r.IntN(Replicas), From: r.IntN(8),
			What: r.IntN(12), Element: r.IntN(elements), N: r.IntN(8),
		}
	}
	return p
}

// stepBytes is how many bytes stand for a step.
const stepBytes = 4

// ProgramOf returns the program that b stands for, so that a fuzzer can write
// programs. All bytes stand for one, and a change of a byte changes a step.
func ProgramOf(b []byte) Program {
	p := make(Program, len(b)/stepBytes)
	for i := range p {
		c := b[i*stepBytes:]
		p[i] = Step{
			Do: Action(c[0]) % actions, At: int(c[0]>>4) % Replicas,
			From: int(c[1] & 0xf), What: int(c[1] >> 4), Element: int(c[2]) % elements, N: int(c[3]) % 8,
		}
	}
	return p
}

// shrinkEffort bounds how many programs Shrink tries.
const shrinkEffort = 5000

// Shrink returns a program that fails as well and of which no step can be left
// out, and its error. It leaves steps out and makes their numbers smaller as
// long as fails returns an error. It returns p and nil if p does not fail.
func Shrink(p Program, fails func(Program) error) (Program, error) {
	s := shrinker{fails: fails, least: slices.Clone(p), effort: shrinkEffort}
	if s.err = fails(p); s.err == nil {
		return p, nil
	}
	for s.leaveOut() || s.simplify() {
	}
	return s.least, s.err
}

type shrinker struct {
	fails  func(Program) error
	least  Program
	err    error // of least
	effort int
}

// try takes p for the least program if it fails.
func (s *shrinker) try(p Program) bool {
	if s.effort--; s.effort < 0 {
		return false
	}
	err := s.fails(p)
	if err != nil {
		s.least, s.err = p, err
	}
	return err != nil
}

// leaveOut removes what it can, many steps at a time first.
func (s *shrinker) leaveOut() (progress bool) {
	for size := max(1, len(s.least)/2); size > 0; size /= 2 {
		for at := 0; at+size <= len(s.least); {
			if s.try(slices.Delete(slices.Clone(s.least), at, at+size)) {
				progress = true
			} else {
				at += size
			}
		}
	}
	return progress
}

// simplify makes the numbers of the steps smaller.
func (s *shrinker) simplify() (progress bool) {
	for i := range s.least {
		for _, less := range s.least[i].simpler() {
			p := slices.Clone(s.least)
			p[i] = less
			if s.try(p) {
				progress = true
				break
			}
		}
	}
	return progress
}

// simpler returns the step with one of its numbers 0, halved or one less. What
// is delivered does not shrink: it is counted from the end.
func (s Step) simpler() (less []Step) {
	for _, field := range []func(*Step) *int{
		func(s *Step) *int { return (*int)(&s.Do) }, func(s *Step) *int { return &s.At }, func(s *Step) *int { return &s.From },
		func(s *Step) *int { return &s.What }, func(s *Step) *int { return &s.Element }, func(s *Step) *int { return &s.N },
	} {
		was := *field(&s)
		for _, n := range []int{0, was / 2, was - 1} {
			if n >= 0 && n < was {
				smaller := s
				*field(&smaller) = n
				less = append(less, smaller)
			}
		}
	}
	return less
}
