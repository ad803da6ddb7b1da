package mergetest_test

import (
	"fmt"

	"github.com/joinery-crdt/joinery/merge/mergetest"
)

// A Progress is how many steps of a job are done: a lattice under maximum.
type Progress struct{ done int }

func (p *Progress) Merge(from *Progress) bool {
	if from.done <= p.done {
		return false
	}
	p.done = from.done
	return true
}
func (p *Progress) Equal(o *Progress) bool { return *p == *o }
func (p *Progress) Clone() *Progress       { c := *p; return &c }

// A Tally adds up what it merges, so that a message delivered twice counts
// twice.
type Tally struct{ n int }

func (t *Tally) Merge(from *Tally) bool {
	t.n += from.n
	return from.n != 0
}
func (t *Tally) Equal(o *Tally) bool { return *t == *o }
func (t *Tally) Clone() *Tally       { c := *t; return &c }

// A type of one's own, proved on a few values.
func ExampleLaws() {
	values := []*Progress{{0}, {1}, {2}, {7}}
	for _, a := range values {
		for _, b := range values {
			for _, c := range values {
				if err := mergetest.Laws(a, b, c); err != nil {
					fmt.Println(err)
					return
				}
			}
		}
	}
	fmt.Println("Progress is a lattice")
	// Output: Progress is a lattice
}

// A type that is not a lattice, and the values that show it.
func ExampleLaws_counterexample() {
	fmt.Println(mergetest.Laws(&Tally{1}, &Tally{2}, &Tally{3}))
	// Output:
	// mergetest: *mergetest_test.Tally breaks the idempotent law:
	// 	a     = {n: 1}
	// 	a ⊔ a = {n: 2}
}

// Deltas of a mutator, merged in every order and more than once.
func ExampleDeltas() {
	advance := func(p *Progress) *Progress {
		p.done++
		return &Progress{p.done}
	}
	fmt.Println(mergetest.Deltas(&Progress{}, advance, advance, advance))
	// Output: <nil>
}
