package crdttest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"

	"github.com/joinery-crdt/joinery/merge"
)

// Options says how hard to look. The zero value looks for about a second or two.
type Options struct {
	Programs int    // how many programs to try; 0 stands for 100
	Length   int    // steps of the longest program; 0 stands for 40
	Seed     uint64 // decides every program: the same seed gives the same answer
}

func (o Options) programs() int {
	if o.Programs == 0 {
		return 100
	}
	return o.Programs
}

// program returns the n-th program. The first are short.
func (o Options) program(n int) Program {
	length := o.Length
	if length == 0 {
		length = 40
	}
	r := rand.New(rand.NewPCG(o.Seed, uint64(n)))
	return Random(r, min(1+n, 1+r.IntN(length)))
}

// ErrFailure is the kind of every [*Failure].
var ErrFailure = errors.New("crdttest: the type is wrong")

// A Failure is a counterexample: the shortest program that the kit could find,
// and what it does to the type.
type Failure struct {
	Type    string
	Clause  Clause
	Program Program  // Run plays it again
	Trace   []string // what happens in it, one event a line
	Err     error    // what is wrong in the end
}

// Error prints the trace, a line an event, and then what is wrong.
func (f *Failure) Error() string {
	lines := append([]string{fmt.Sprintf("crdttest: %s breaks its %s:", f.Type, f.Clause)}, f.Trace...)
	return strings.Join(append(lines, f.Err.Error()), "\n\t")
}

// Is makes a Failure match [ErrFailure].
func (f *Failure) Is(target error) bool { return target == ErrFailure }

// Unwrap returns what is wrong.
func (f *Failure) Unwrap() error { return f.Err }

// Check looks for a history that shows the type to be wrong: one that breaks one
// of the [Clause]s. It returns a [*Failure], or nil if it found none.
func Check[V merge.Lattice[V]](f Form[V], o Options) error {
	for _, clause := range Clauses() {
		run := func(p Program, log *[]string) error { return f.run(clause, p, log) }
		if err := search(reflect.TypeFor[V]().String(), clause, run, o); err != nil {
			return err
		}
	}
	return nil
}

// search tries programs, and shrinks the first that fails.
func search(of string, clause Clause, run func(Program, *[]string) error, o Options) error {
	quiet := func(p Program) error { return run(p, nil) }
	for n := range o.programs() {
		p := o.program(n)
		if quiet(p) == nil {
			continue
		}
		least, err := Shrink(p, quiet)
		f := &Failure{Type: of, Clause: clause, Program: least, Err: err}
		f.record(run)
		return f
	}
	return nil
}

// patience is how often a program is played again that fails not every time,
// because of the order of a map for example.
const patience = 100

// record plays the program until it fails again, and keeps the trace.
func (f *Failure) record(run func(Program, *[]string) error) {
	for range patience {
		var trace []string
		if err := run(f.Program, &trace); err != nil {
			f.Trace, f.Err = trace, err
			return
		}
	}
	f.Trace = []string{"a program that fails now and then: the type is not deterministic"}
}
