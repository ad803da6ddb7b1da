package crdttest_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/joinery-crdt/joinery/crdt/crdttest"
	"github.com/joinery-crdt/joinery/merge"
	"github.com/joinery-crdt/joinery/merge/mergetest"
)

func TestCheckAcceptsWhatIsRight(t *testing.T) {
	for _, seed := range []uint64{0, 1, 2} {
		if err := crdttest.Check(tallies(none), crdttest.Options{Seed: seed, Programs: 30}); err != nil {
			t.Errorf("tally: %v", err)
		}
		if err := crdttest.Check(dotSets(noBug), crdttest.Options{Seed: seed, Programs: 15}); err != nil {
			t.Errorf("dot set: %v", err)
		}
	}
}

// rejects fails unless the type is found to be wrong, under the clause given,
// by a program of a few steps that fails again.
func rejects[V merge.Lattice[V]](t *testing.T, what string, f crdttest.Form[V], clause crdttest.Clause, steps int) *crdttest.Failure {
	t.Helper()
	err := crdttest.Check(f, crdttest.Options{Programs: 200})
	failure, ok := errors.AsType[*crdttest.Failure](err)
	if !ok || !errors.Is(err, crdttest.ErrFailure) {
		t.Fatalf("%s: Check = %v, want a *Failure", what, err)
	}
	if failure.Clause != clause {
		t.Errorf("%s breaks its %s, want %s: %v", what, failure.Clause, clause, err)
	}
	if len(failure.Program) > steps {
		t.Errorf("%s needs %d steps, want at most %d: %v", what, len(failure.Program), steps, failure.Program)
	}
	again := false
	for range 100 { // a map has to come in the wrong order first
		again = again || f.Run(failure.Clause, failure.Program) != nil
	}
	if !again {
		t.Errorf("%s: the program of the failure does not fail again", what)
	}
	t.Logf("%s: %.600v", what, err)
	return failure
}

func TestCheckRejects(t *testing.T) {
	for what, c := range map[string]struct {
		flaw   flaw
		clause crdttest.Clause
		steps  int
	}{
		"one total for all origins":             {oneTotal, crdttest.Specified, 2},
		"a Merge that adds":                     {sums, crdttest.Specified, 2},
		"a Merge that keeps parts of its input": {adopts, crdttest.Specified, 4},
		"a Merge that changes its input":        {mutates, crdttest.Specified, 4},
		"a Clone that shares":                   {shallow, crdttest.Specified, 2},
		"a Merge that lies":                     {lies, crdttest.Specified, 2},
		"a refused change that changes":         {eager, crdttest.Specified, 6},
		"a delta of the increment":              {shortDelta, crdttest.Specified, 2},
		"a delta that shares with the value":    {sharedDelta, crdttest.Specified, 3},
		"a delta that holds nothing":            {emptyDelta, crdttest.Specified, 1},
		"an encoding in the order of a map":     {unsorted, crdttest.Specified, 8},
		"an encoding that loses something":      {lossy, crdttest.Specified, 4},
		"a decoder that takes more than it is":  {lenient, crdttest.Encoded, 1},
	} {
		rejects(t, what, tallies(c.flaw), c.clause, c.steps)
	}
	rejects(t, "average", averages, crdttest.Specified, 2)
	rejects(t, "LWW without tie-break", noTies, crdttest.Specified, 3)
	rejects(t, "a context read as a vector", dotSets(vectorBug), crdttest.Specified, 5)
	rejects(t, "a remove of what was not seen", dotSets(greedyBug), crdttest.Specified, 6)
	rejects(t, "a delta without what it removes", dotSets(leakyBug), crdttest.Specified, 6)
}

// The laws and the deltas are checked also where the specification is content.
func TestEveryClauseRejects(t *testing.T) {
	apart := crdttest.Program{{At: 0}, {At: 1}, {At: 2}}
	again := crdttest.Program{{At: 0}, {At: 1, Do: crdttest.Pull}, {At: 0}}
	for _, c := range []struct {
		flaw    flaw
		clause  crdttest.Clause
		law     mergetest.Law
		program crdttest.Program
	}{
		{lies, crdttest.Lawful, mergetest.Changed, apart},
		{shallow, crdttest.Lawful, mergetest.Cloning, again},
		{sums, crdttest.Unordered, mergetest.Order, apart},
		{lenient, crdttest.Encoded, mergetest.Trailing, apart},
	} {
		f := tallies(c.flaw)
		f.Spec = func(crdttest.Changes) string { return "" }
		f.Read = func(*tally) string { return "" }
		err := f.Run(c.clause, c.program)
		if e, ok := errors.AsType[*mergetest.LawError](err); !ok || e.Law != c.law {
			t.Errorf("flaw %d: %s finds %v, want the %s law", c.flaw, c.clause, err, c.law)
		}
	}
	if err := tallies(none).Run("horse", nil); err == nil {
		t.Error("an unknown clause holds")
	}
}

func TestSameSeedSameFailure(t *testing.T) {
	o := crdttest.Options{Seed: 7, Programs: 300}
	first, again := crdttest.Check(noTies, o), crdttest.Check(noTies, o)
	if first == nil || first.Error() != again.Error() {
		t.Errorf("one seed gives %v and %v", first, again)
	}
}

func TestTraceTellsWhatHappens(t *testing.T) {
	f := rejects(t, "LWW", noTies, crdttest.Specified, 3)
	for _, want := range []string{"A: #0 = set", "B: #1 = set", "D receives every message"} {
		if !slices.ContainsFunc(f.Trace, func(line string) bool { return strings.Contains(line, want) }) {
			t.Errorf("the trace %q lacks %q", f.Trace, want)
		}
	}
}
